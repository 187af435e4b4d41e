"""What the headers of a reply say.  Pure; strict where bytes depend on it.

Promises (tests/net/test_heads.py):
  * a Content-Range that is not exactly RFC 9110, section 14.4, is no Content-Range but a ValueError;
  * Retry-After gives seconds from now, never a negative number, whichever form it has;
  * of the limits of a RateLimit header only those that are spent count.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_NO_RANGE = re.compile(r"bytes \*/(\d{1,18})", re.ASCII | re.IGNORECASE)
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_SPENT = re.compile(r";\s*r=0(?![0-9.])")
_RESET = re.compile(r";\s*t=(\d{1,9})(?![0-9.])", re.ASCII)
_NEXT = re.compile(r"<([^<>]{1,4000})>((?:\s*;[^,<>]*)*)")
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """A parsed Content-Range; `first` and `last` are None for `bytes */SIZE`, `total` for `/*`."""

    first: int | None
    last: int | None
    total: int | None

    @property
    def size(self) -> int | None:
        """Bytes of the part; None for `bytes */SIZE`, whose reply has a body of any length."""
        return None if self.first is None or self.last is None else self.last - self.first + 1


def content_range(text: str | None) -> ContentRange | None:
    """Read a Content-Range header; None without one.

    Raises:
        ValueError: Another unit, or positions that contradict each other.
    """
    if text is None:
        return None
    if found := _NO_RANGE.fullmatch(text.strip()):
        return ContentRange(first=None, last=None, total=int(found[1]))
    found = _RANGE.fullmatch(text.strip())
    if not found:
        raise ValueError("expected `bytes FIRST-LAST/SIZE`")
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if last < first or (total is not None and last >= total):
        raise ValueError("its positions contradict each other")
    return ContentRange(first=first, last=last, total=total)


def content_length(headers: Mapping[str, str]) -> int | None:
    """Content-Length in bytes; None when the length is not known in advance."""
    text = headers.get("content-length", "")
    if "transfer-encoding" in headers or not _LENGTH.fullmatch(text):
        return None
    return int(text)


def body_length(status: int, headers: Mapping[str, str]) -> int | None:
    """Bytes of a GET's body; some replies have none whatever they announce (RFC 9112, section 6.3)."""
    return 0 if status < 200 or status in (204, 304) else content_length(headers)


def media_type(text: str | None) -> str:
    """Content-Type in lower case without its parameters."""
    return (text or "").partition(";")[0].strip().lower()


def retry_after_s(text: str | None, *, now_s: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3); None without a usable one.

    Args:
        now_s: Seconds since the epoch.
    """
    if not text:
        return None
    if found := _SECONDS.fullmatch(text.strip()):
        return float(found[0])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None


def rate_limit_s(text: str | None) -> float | None:
    """Seconds until a spent limit is reset, by a RateLimit header (draft-ietf-httpapi-ratelimit-headers-10, 4).

    Such as `"resolvers";r=0;t=55`: `r` is what is left, `t` the seconds until there is more.
    """
    waits = [
        float(reset[1]) for limit in (text or "").split(",") if _SPENT.search(limit) for reset in _RESET.finditer(limit)
    ]
    return max(waits, default=None)


def next_link(text: str | None) -> str | None:
    """The target of `rel="next"` in a Link header (RFC 8288, section 3)."""
    for target, parameters in _NEXT.findall(text or ""):
        if re.search(r";\s*rel=\"?next\"?\s*(?:;|$)", parameters):
            return str(target)
    return None
