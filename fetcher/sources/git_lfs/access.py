"""Who may ask a server of large files, and at which address.

An http(s) remote has its server beside it; credentials are tried in this order, each only after
a refusal of the one before: the token of the source, ~/.netrc, the helpers of git
(`git credential fill`).  An ssh remote is asked first (`git-lfs-authenticate`), and says itself
where and with which headers.

Promises (tests/sources/test_git_batch.py, test_git_servers.py):
  * a credential goes to the scheme, host and port that it was found for;
  * a repository's own `.lfsconfig` is never read.
"""

import json
import netrc
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fetcher.net.credentials import Credential, Token, basic
from fetcher.net.redact import origin_of
from fetcher.sources.git_lfs.program import Git, Task
from fetcher.sources.git_lfs.remote import Remote, is_loopback

_MAX_SAID = 64 << 10  # bytes of an answer of ssh or of a helper
_MAX_LIFETIME_S = 3600.0  # an answer of ssh is asked for again after this at the latest
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,16384}")
# What the wire's own code says; a server does not say it for us.
_RESERVED = re.compile(
    r"host|(?:if-)?range|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|"
    r"accept-encoding|proxy-.*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to ask for large files, and as whom.

    Attributes:
        url: Base URL of the LFS API.
        good_until_s: When to ask ssh again, on the monotonic clock.
    """

    url: str
    auth: Credential | None = None
    good_until_s: float = float("inf")


class Access:
    """Finds the places of one remote.

    Args:
        token: Of the source; for the http(s) host that it is bound to.
        home: The user's home folder, for ~/.netrc.
        environment: Of the person who runs fetcher.
    """

    def __init__(
        self,
        remote: Remote,
        *,
        git: Git,
        token: Token | None,
        home: Path,
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remote = remote
        self._git = git
        self._token = token
        self._home = home
        self._environment = environment
        self._clock = clock

    def places(self) -> Iterator[Place]:
        """What to try, in order; the next one only after a refusal."""
        if self._remote.scheme == "ssh" and (told := self._by_ssh()):
            yield told
            return
        url = self._remote.web_url
        yield Place(url=url, auth=_bound(url, *user_and_token(self._token)) if self._token else None)
        for find in (self._by_netrc, self._by_helpers):
            found = find(url)
            if found:
                yield Place(url=url, auth=found)

    def _by_netrc(self, url: str) -> Credential | None:
        host = urlsplit(url).hostname or ""
        try:
            found = netrc.netrc(self._home / ".netrc").authenticators(host)
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            return None
        if not found or not found[2]:
            return None
        return _bound(url, found[0], Token(secret=found[2], variable="~/.netrc"))

    def _by_helpers(self, url: str) -> Credential | None:
        scheme, host, path = self._remote.scheme, urlsplit(url).netloc, unquote(self._remote.path).strip("/")
        if "\n" in path:
            return None
        asked = f"protocol={'https' if scheme == 'ssh' else scheme}\nhost={host}\npath={path}\n\n"
        done = self._git.run(Task(words=["credential", "fill"], said=asked.encode("utf-8")), limit=_MAX_SAID)
        pairs = dict(line.split("=", 1) for line in done.answer.decode("utf-8", "replace").splitlines() if "=" in line)
        if done.status != 0 or not pairs.get("password"):
            return None
        token = Token(secret=pairs["password"], variable="a credential helper of git")
        return _bound(url, pairs.get("username", ""), token)

    def _by_ssh(self) -> Place | None:
        """What `git-lfs-authenticate` says (git-lfs, docs/api/server-discovery.md); None if it says nothing."""
        remote = self._remote
        words = [*self._ssh(), *(["-p", str(remote.port)] if remote.port else [])]
        words.append(f"{remote.user}@{remote.host}" if remote.user else remote.host)
        words.append(f"git-lfs-authenticate {shlex.quote(unquote(remote.path))} download")
        done = self._git.run_program(words, Task(words=()), limit=_MAX_SAID)
        try:
            said = json.loads(done.answer)
            url, headers = said["href"].rstrip("/"), said.get("header") or {}
            auth = Credential.bound(url, checked_headers(headers))
            lifetime = said.get("expires_in")
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        if done.status != 0 or not may_lead(remote, url):
            return None
        good_s = lifetime if isinstance(lifetime, int) and lifetime > 0 else _MAX_LIFETIME_S
        return Place(url=url, auth=auth, good_until_s=self._clock() + min(good_s, _MAX_LIFETIME_S))

    def _ssh(self) -> list[str]:
        """The ssh that git itself would run: a piece of shell, or a program (git(1), GIT_SSH_COMMAND)."""
        shell = self._environment.get("GIT_SSH_COMMAND", "").strip()
        if not shell:
            done = self._git.run(Task(words=["config", "--get", "core.sshCommand"]), limit=_MAX_SAID)
            shell = done.answer.decode("utf-8", "replace").strip() if done.status == 0 else ""
        if shell:
            return ["sh", "-c", f'{shell} "$@"', "ssh"]
        return [self._environment.get("GIT_SSH") or "ssh"]


def user_and_token(token: Token) -> tuple[str, Token]:
    """The user and the password of a token: `USER:TOKEN`, else the user that git hosts take for any token."""
    user, colon, rest = token.secret.partition(":")
    return (user, Token(secret=rest, variable=token.variable)) if colon else ("oauth2", token)


def checked_headers(headers: object) -> dict[str, str]:
    """Headers that a server tells us to send, without those that are not its business.

    Raises:
        ValueError: They are no headers.
    """
    if not isinstance(headers, dict):
        raise ValueError("they are not a table")  # noqa: TRY004  for the caller both are a wrong answer
    for name, value in headers.items():
        if not (isinstance(value, str) and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise ValueError("a header that cannot be sent")
    return {name: value for name, value in headers.items() if not _RESERVED.fullmatch(name)}


def may_lead(remote: Remote, url: str) -> bool:
    """Whether a remote may send us to a URL: never from TLS or ssh to plain http, unless on this machine."""
    try:
        scheme, host, _ = origin_of(url)
    except ValueError:
        return False
    return scheme == "https" or remote.scheme == "http" or is_loopback(host)


def _bound(url: str, user: str, token: Token) -> Credential:
    return Credential.bound(url, {"Authorization": basic(user, token)})
