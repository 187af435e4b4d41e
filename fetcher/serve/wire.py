"""One request, one answer, and which bytes of a file a Range header means.  Pure; knows no hub.

Promise (tests/serve/test_protocol.py): a range that was not asked for is never sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fetcher.serve.repositories import StoredFile

_BOUNDED_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})\Z")
_OPEN_RANGE = re.compile(r"bytes=([0-9]{1,18})-\Z")
_SUFFIX_RANGE = re.compile(r"bytes=-([0-9]{1,18})\Z")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request; names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSlice:
    """Bytes `start` to `stop` of a file, to be sent as they are."""

    file: StoredFile
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP reply; the server adds Content-Length, Date and Server."""

    status: int
    headers: Headers = ()
    body: bytes | FileSlice = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """Bytes `start` (included) to `stop` (excluded)."""

    start: int
    stop: int


class UnsatisfiableRangeError(ValueError):
    """The range starts behind the end of the file (RFC 9110, 15.5.17)."""


def cdn_range(header: str | None, size: int) -> ByteRange | None:
    """The part that the CDN path sends; None is the whole file (RFC 9110, 14.2).

    Raises:
        UnsatisfiableRangeError: Nothing of the range exists.
    """
    if header is None:
        return None
    if found := _SUFFIX_RANGE.match(header):
        if int(found[1]) == 0 or size == 0:
            raise UnsatisfiableRangeError(header)
        return ByteRange(start=max(0, size - int(found[1])), stop=size)
    if found := _OPEN_RANGE.match(header):
        return _clipped(int(found[1]), size, size, header)
    return gateway_range(header, size)


def gateway_range(header: str | None, size: int) -> ByteRange | None:
    """The part that the gateway sends of a small file: bounded ranges only.

    Raises:
        UnsatisfiableRangeError: Nothing of the range exists.
    """
    found = _BOUNDED_RANGE.match(header or "")
    if not found or int(found[2]) < int(found[1]):
        return None
    return _clipped(int(found[1]), int(found[2]) + 1, size, header or "")


def _clipped(start: int, stop: int, size: int, header: str) -> ByteRange:
    if start >= size:
        raise UnsatisfiableRangeError(header)
    return ByteRange(start=start, stop=min(stop, size))
