"""URLs as messages may show them: without users, passwords, queries and fragments.

Signed links carry their signature in the query, so a query is never shown.
Promise (tests/net/test_redact.py): nothing of the userinfo, query or fragment is left.
"""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST = 200  # characters of a URL or of a server's text that a message shows


def redact(url: str) -> str:
    """Scheme, host, port and path of a URL."""
    try:
        parts = urlsplit(url)
        return printable(f"{parts.scheme}://{_authority(url)}{parts.path}")
    except ValueError:
        return "a URL that cannot be read"


def host_of(url: str) -> str:
    """Host of a URL, with the port where it is not the scheme's own; for messages."""
    try:
        return printable(_authority(url))
    except ValueError:
        return "a host that cannot be read"


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a credential is bound to (RFC 6454, section 4).

    Raises:
        ValueError: Not an http or https URL with a host.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("expected http:// or https:// and a host")
    return scheme, parts.hostname.lower().rstrip("."), parts.port or _DEFAULT_PORTS[scheme]


def printable(text: str) -> str:
    """A server's text on one line without control characters, shortened."""
    shown = "".join(char if char.isprintable() else "?" for char in text[: _LONGEST + 1])
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"


def _authority(url: str) -> str:
    scheme, host, port = origin_of(url)
    name = f"[{host}]" if ":" in host else host
    return name if port == _DEFAULT_PORTS[scheme] else f"{name}:{port}"
