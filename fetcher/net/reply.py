"""One reply: what its head says, and its content read whole, within bounds.

Not in here: how a reply comes about (http.py), what it means (sources/).

Promises (tests/net/test_http.py, test_dripping.py, tests/sources/test_hostile.py):
  * a reply that is read whole is bounded in size, in time, and as JSON in values;
  * an encoded one is never unpacked: a few KB can be all of the memory.
"""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from fetcher.core.interfaces import Head
from fetcher.errors import SourceError
from fetcher.net import failures
from fetcher.net.body import Feed, Pulse
from fetcher.net.exchange import Exchange
from fetcher.net.heads import body_length, content_length, content_range, media_type
from fetcher.net.redact import host_of, path_of

MAX_REPLY = 64 << 20  # bytes of a reply that is read whole; 100,000 entries of a listing take 40 MiB
MAX_REFUSAL = 64 << 10  # bytes read of an error's text
MAX_VALUES = 3_000_000  # of a reply in JSON; 100,000 entries of 25 keys, and 1 GB of memory at the worst
_WHOLE_REPLY_S = 300.0  # a listing that comes slower than this is given up
_PIECE = 64 << 10  # bytes read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply that was read whole; `host` is who answered; names of headers are in lower case."""

    status: int
    host: str
    path: str
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> object:
        """The parsed content.

        Raises:
            SourceError: It is not JSON, or such that a few bytes of text are many of memory.
        """
        if sum(map(self.content.count, (b",", b"[", b"{"))) > MAX_VALUES:  # each value but the first is behind one
            facts = (f"limit: {MAX_VALUES} values", f"path: {self.path}")
            raise failures.not_understood(self.host, "sent a reply that is too large", facts=facts)
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise failures.not_understood(
                self.host,
                "did not answer with JSON",
                facts=(f"status: {self.status}", f"path: {self.path}"),
            ) from None


def read_whole(exchange: Exchange, feed: Feed, *, limit: int, idle_timeout_s: float) -> Reply:
    """Read a reply of at most `limit` bytes.

    Raises:
        SourceError: It is larger, encoded, cut, or comes too slowly.
    """
    host, path = host_of(exchange.url), path_of(exchange.url)
    if exchange.headers.get("content-encoding", "identity").lower() != "identity":
        # A few KB can unpack to all of the memory; identity was asked for.
        raise failures.not_understood(host, "sent an encoded reply, which was not asked for", facts=(f"path: {path}",))
    content = bytearray()
    buffer = memoryview(bytearray(_PIECE))
    pulse = Pulse(host, idle_timeout_s)
    end_s = time.monotonic() + _WHOLE_REPLY_S
    while count := pulse.read(feed, buffer):
        content += buffer[:count]
        if len(content) > limit:
            facts = (f"limit: {limit} bytes", f"path: {path}")
            raise failures.not_understood(host, "sent a reply that is too large", facts=facts)
        if time.monotonic() > end_s:
            raise failures.cut(host, f"the reply took longer than {_WHOLE_REPLY_S:g} s")
    headers = {name.lower(): value for name, value in exchange.headers.items()}
    return Reply(status=exchange.status, host=host, path=path, content=bytes(content), headers=headers)


def drain(exchange: Exchange, *, idle_timeout_s: float) -> None:
    """Read a short body that nobody wants, so that its connection can be used again."""
    length = length_of(exchange)
    if length is None or length > MAX_REFUSAL:
        return
    feed = exchange.feed(length)
    buffer = memoryview(bytearray(_PIECE))
    pulse = Pulse(host_of(exchange.url), idle_timeout_s)
    with contextlib.suppress(SourceError):
        while pulse.read(feed, buffer):
            pass


def length_of(exchange: Exchange) -> int | None:
    """Bytes of the body, None when unknown."""
    encoding = exchange.headers.get("content-encoding", "identity").lower()
    return body_length(exchange.status, exchange.headers) if encoding == "identity" else None


def head_of(exchange: Exchange) -> Head:
    """What a reply's head says.

    Raises:
        SourceError: It contradicts itself (`transient`).
    """
    host = host_of(exchange.url)
    headers = exchange.headers
    try:
        part = content_range(headers.get("content-range"))
    except ValueError as error:
        raise _odd_reply(host, f"Content-Range: {error}") from None
    length = content_length(headers)
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        if encoding not in ("gzip", "deflate") or part:
            raise _odd_reply(host, "the bytes are encoded, which was not asked for")
        length = None
    if part and part.size is not None and length not in (None, part.size):
        raise _odd_reply(host, "Content-Range and Content-Length contradict each other")
    return Head(
        status=exchange.status,
        first=part.first if part else None,
        total=part.total if part else None,
        length=length,
        content_type=media_type(headers.get("content-type")),
        host=host,
        stamp=headers.get("etag") or headers.get("last-modified") or "",
    )


def _odd_reply(host: str, reason: str) -> SourceError:
    return SourceError(
        f"{host} sent a reply that cannot be used.",
        facts=[f"reason: {reason}"],
        fix="run the command again, or use another source",
        transient=True,
    )
