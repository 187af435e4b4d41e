"""Where logins are kept: in the system's keyring where there is one, else in a file of mode 0600.

Not in here: tokens of the environment and of official tools (sources/catalog.py), who may see
a token (net/credentials.py).

The file names every scheme, host and port with a login, so that a keyring, which may ask a
person to unlock it, is opened for those only.

Promises (tests/disk/test_tokens.py):
  * a token is given for the scheme, host and port that it was kept for, and for no other;
  * nobody else can read the file at any moment, and one that others can read is refused;
  * a token that the keyring holds is in no file;
  * two that log in at the same time are both kept.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from fetcher.disk.atomic import disk_errors, make_folder, write_atomic
from fetcher.disk.claim import claim
from fetcher.errors import AuthError, ConfigError
from fetcher.net.credentials import Token, is_usable
from fetcher.net.redact import origin_text

KEYRING = "the system's keyring"

_SERVICE = "fetcher"  # under which the keyring lists its entries
_VERSION = 1
_WAIT_S = 10.0  # a login writes a file of some hundred bytes
_REAL_KEYRING = 1.0  # priority of a keyring that is fit to be used (keyring: "recommended")


class TokenStore:
    """The logins of one user.

    Args:
        path: The file, in the platform's folder for configuration.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def token_for(self, url: str) -> Token | None:
        """The token kept for the scheme, host and port of a URL.

        Raises:
            AuthError: The keyring does not give it.
            ConfigError: The file cannot be trusted or understood.
        """
        origin = origin_text(url)
        entry = self._entries().get(origin)
        if entry is None:
            return None
        if "token" in entry:
            return Token(secret=entry["token"], variable=str(self.path))
        secret = _from_keyring(origin)
        return Token(secret=secret, variable=KEYRING) if secret else None

    def origins(self) -> list[str]:
        """Every `scheme://host:port` with a login."""
        return sorted(self._entries())

    def keep(self, url: str, secret: str) -> str:
        """Keep a token for the scheme, host and port of a URL; returns where, in words.

        Raises:
            DiskError: The file cannot be written.
        """
        Token(secret=secret, variable="")  # conceals it from here on
        origin = origin_text(url)
        keyring = _keyring()
        if keyring and _put_into(keyring, origin, secret):
            self._change(origin, {"in": "keyring"})
            return KEYRING
        self._change(origin, {"token": secret})
        return str(self.path)

    def forget(self, url: str) -> bool:
        """Remove the token of a URL's scheme, host and port; returns whether there was one."""
        origin = origin_text(url)
        entry = self._entries().get(origin)
        if entry is None:
            return False
        if "token" not in entry:
            _out_of_keyring(origin)
        self._change(origin, None)
        return True

    def _change(self, origin: str, entry: Mapping[str, str] | None) -> None:
        make_folder(self.path.parent)
        with claim(self.path.with_suffix(".claim"), wait_s=_WAIT_S, what="the logins"):
            entries = {name: kept for name, kept in self._entries().items() if name != origin}
            if entry is not None:
                entries[origin] = dict(entry)
            document = {"version": _VERSION, "tokens": dict(sorted(entries.items()))}
            write_atomic(self.path, f"{json.dumps(document, indent=2)}\n".encode(), mode=0o600)

    def _entries(self) -> dict[str, dict[str, str]]:
        text = self._text()
        if text is None:
            return {}
        try:
            document = json.loads(text)
            if document["version"] != _VERSION:
                raise ValueError("version")  # noqa: TRY301
            entries = {str(origin): _entry(kept) for origin, kept in document["tokens"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError(
                "The file with your logins cannot be understood.",
                facts=[f"path: {self.path}"],
                fix="remove the file, then run `fetcher login SOURCE` again",
            ) from None
        return entries

    def _text(self) -> str | None:
        """The file's text, if it is there and nobody else can read it."""
        try:
            with disk_errors(self.path), self.path.open(encoding="utf-8", errors="replace") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if os.name == "posix" and mode & 0o077:
                    raise ConfigError(
                        "The file with your logins can be read by others.",
                        facts=[f"path: {self.path}", f"mode: {mode:04o}; due: 0600"],
                        fix=f"run `chmod 600 {self.path}`; revoke the tokens if others may have seen them",
                    )
                return file.read()
        except FileNotFoundError:
            return None


def _entry(kept: Mapping[str, str]) -> dict[str, str]:
    """An entry as this version writes them.

    Raises:
        ValueError, KeyError: It is another one.
    """
    if kept.get("in") == "keyring":
        return {"in": "keyring"}
    secret = kept["token"]
    if not isinstance(secret, str) or not is_usable(secret):
        raise ValueError("token")
    return {"token": secret}


def _keyring() -> ModuleType | None:
    """The library, if it is installed and has found a keyring that is fit for secrets."""
    try:
        import keyring  # an extra, and slow to load: it looks for every kind of keyring
    except ImportError:
        return None
    try:
        priority = float(keyring.get_keyring().priority)
    except (RuntimeError, ValueError, TypeError):
        return None
    return keyring if priority >= _REAL_KEYRING else None


def _put_into(keyring: ModuleType, origin: str, secret: str) -> bool:
    """Whether the keyring has taken it; one that is locked or broken has not."""
    try:
        keyring.set_password(_SERVICE, origin, secret)
    except keyring.errors.KeyringError:
        return False
    return True


def _from_keyring(origin: str) -> str | None:
    keyring = _keyring()
    if keyring is None:
        raise _shut(origin, "there is none now, or the package `keyring` is not installed")
    try:
        secret: str | None = keyring.get_password(_SERVICE, origin)
    except keyring.errors.KeyringError as error:
        raise _shut(origin, type(error).__name__) from None
    return secret if secret and is_usable(secret) else None


def _out_of_keyring(origin: str) -> None:
    keyring = _keyring()
    if keyring is None:
        return
    try:
        keyring.delete_password(_SERVICE, origin)
    except keyring.errors.PasswordDeleteError:
        return  # somebody else has removed it
    except keyring.errors.KeyringError as error:
        raise _shut(origin, type(error).__name__) from None


def _shut(origin: str, reason: str) -> AuthError:
    return AuthError(
        f"The system's keyring does not give the token for {origin}.",
        facts=[f"reason: {reason}"],
        fix="unlock the keyring, or set the variable that `fetcher auth --offline` names",
    )
