"""URLs as messages may show them: without users, passwords, queries and fragments.

Signed links carry their signature in the query, so a query is never shown.
Promises (tests/net/test_redact.py):
  * nothing of the userinfo, query or fragment is left;
  * a token that this process knows is in no text from here, whoever repeated it.
"""

import functools
import re
from urllib.parse import urlsplit

from fetcher.core.secrets import SECRETS

_DEFAULT_PORTS = {"http": 80, "https": 443}
_BASE = re.compile(r"[^/?#]*://[^/?#]*")  # what is asked thousands of times is the same for a host's URLs
_LONGEST = 200  # characters of a URL or of a server's text that a message shows


def redact(url: str) -> str:
    """Scheme, host, port and path of a URL."""
    try:
        parts = urlsplit(url)
        return printable(f"{parts.scheme}://{_authority(url)}{parts.path}")
    except ValueError:
        return "a URL that cannot be read"


def path_of(url: str) -> str:
    """Path of a URL; for messages."""
    try:
        return printable(urlsplit(url).path)
    except ValueError:
        return "a path that cannot be read"


def host_of(url: str) -> str:
    """Host of a URL, with the port where it is not the scheme's own; for messages."""
    return _host_of(_base(url))


def origin_text(url: str) -> str:
    """Scheme, host and port of a URL as one writes them: `https://hub.example`.

    Raises:
        ValueError: As `origin_of`.
    """
    base = _base(url)
    return f"{_origin_of(base)[0]}://{_authority(base)}"


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a credential is bound to (RFC 6454, section 4).

    Raises:
        ValueError: Not an http or https URL with a host.
    """
    return _origin_of(_base(url))


def printable(text: str) -> str:
    """A server's text on one line without control characters and known secrets, shortened."""
    text = SECRETS.conceal(text)
    if text.isprintable() and len(text) <= _LONGEST:
        return text
    shown = "".join(char if char.isprintable() else "?" for char in text[: _LONGEST + 1])
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"


def _base(url: str) -> str:
    """What a URL's host can be told from."""
    found = _BASE.match(url)
    return found[0] if found else url


@functools.lru_cache(maxsize=256)
def _origin_of(base: str) -> tuple[str, str, int]:
    parts = urlsplit(base)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("expected http:// or https:// and a host")
    return scheme, parts.hostname.lower().rstrip("."), parts.port or _DEFAULT_PORTS[scheme]


@functools.lru_cache(maxsize=256)
def _host_of(base: str) -> str:
    try:
        return printable(_authority(base))
    except ValueError:
        return "a host that cannot be read"


def _authority(url: str) -> str:
    scheme, host, port = origin_of(url)
    name = f"[{host}]" if ":" in host else host
    return name if port == _DEFAULT_PORTS[scheme] else f"{name}:{port}"
