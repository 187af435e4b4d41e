"""What a git+… source string names: an address that is safe to hand to git and ssh.  Pure.

Promise (tests/sources/test_git_remote.py): neither git nor ssh can take any part of an address,
or a revision, for an option or for another kind of address.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from fetcher.core.manifest import SourceRef
from fetcher.errors import ConfigError
from fetcher.net.redact import printable

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_BAD_IN_PATH = re.compile(r"[\x00-\x20\x7f\\?#]|%(?:0|1|7[fF])")  # also in its percent form
# git-check-ref-format(1), rules 3 to 10
_BAD_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|[/.]\Z")
_MAX_REF = 1000  # characters
_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """An address of a git repository.

    Attributes:
        url: As git takes it: `https://…`, `http://…`, `ssh://…` or `file:///…`.
        scheme: That of `url`.
        label: Host and port where it is not the usual one, or the folder; for messages.
        path: Of the URL, not decoded.
        user: For ssh; "" where none is named.
        port: None where none is named.
    """

    url: str
    scheme: str
    label: str
    path: str
    host: str = ""
    user: str = ""
    port: int | None = None

    @classmethod
    def of(cls, ref: SourceRef) -> "Remote":
        """Read the address of a source string.

        Raises:
            ConfigError: It names no repository that fetcher would ask.
        """
        return cls.parse(f"{ref.scheme.removeprefix('git+')}:{ref.repo}", shown=str(ref))

    @classmethod
    def parse(cls, url: str, *, shown: str) -> "Remote":
        """Read an address.

        Args:
            shown: The source as messages show it.

        Raises:
            ConfigError: As `of`.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _refused(shown, "it is not an address") from None
        if _BAD_IN_PATH.search(url.partition("://")[2]) or not parts.path.strip("/"):
            raise _refused(shown, "its path is empty, or holds a space, a backslash, `?`, `#` or a control character")
        if parts.scheme == "file":
            return cls._file(parts, shown)
        host = parts.netloc.rpartition("@")[2]
        host = host if host.endswith("]") else re.sub(r":[0-9]*\Z", "", host)
        user = parts.netloc.rpartition("@")[0]
        if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
            raise _refused(shown, "its host is none")
        if user and not (parts.scheme == "ssh" and _USER.fullmatch(user)):
            raise _refused(shown, "it names a user")
        if parts.scheme == "http" and not is_loopback(host.strip("[]")):
            raise _refused(shown, "plain http is for servers on this machine", fix="use git+https:// or git+ssh://")
        usual = port is None or port == _DEFAULT_PORTS[parts.scheme]
        at = f"{user}@" if user else ""
        authority = host.lower() if usual else f"{host.lower()}:{port}"
        return cls(
            url=f"{parts.scheme}://{at}{authority}{parts.path}",
            scheme=parts.scheme,
            label=authority,
            path=parts.path,
            host=host.lower().strip("[]"),
            user=user,
            port=port,
        )

    @classmethod
    def _file(cls, parts: SplitResult, shown: str) -> "Remote":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise _refused(
                shown, "a folder is named by its absolute path", fix="write it as git+file:///absolute/folder"
            )
        return cls(url=f"file://{parts.path}", scheme="file", label=unquote(parts.path), path=parts.path)

    @property
    def folder(self) -> str:
        """The folder of a `file` remote."""
        return unquote(self.path)

    @property
    def web_url(self) -> str:
        """Where the large files of the repository are asked for unless a server says otherwise.

        git-lfs, docs/api/server-discovery.md: `.git` is appended where it is not there.
        """
        path = self.path.rstrip("/")
        base = self.url.rstrip("/") if self.scheme != "ssh" else f"https://{_bracketed(self.host)}{path}"
        return f"{base}/info/lfs" if path.endswith(".git") else f"{base}.git/info/lfs"


def is_safe_revision(revision: str) -> bool:
    """Whether a revision can be the name of a branch, a tag or another ref (git-check-ref-format)."""
    is_odd = _BAD_IN_REF.search(revision) or revision.startswith(("-", "/", ".")) or revision == "@"
    return bool(revision) and len(revision) <= _MAX_REF and not is_odd


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _refused(shown: str, reason: str, *, fix: str = "correct `source` in models.toml") -> ConfigError:
    return ConfigError(
        "A git source cannot be used.",
        facts=[f"source: {printable(shown)}", f"reason: {reason}"],
        fix=fix,
    )
