"""The bytes of a reply, by each way: the library's iterator, the socket itself, the lane."""

import gzip
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from fetcher.core.interfaces import Body
from fetcher.errors import SourceError
from fetcher.net.body import ChunkFeed, HttpBody, SocketFeed
from fetcher.net.http import HttpClient
from tests.net.wire import CUT, RESET, Piece, Script, Wire, reply, trusting

MIB = 1 << 20
LARGE = random.Random(1).randbytes(3 * MIB + 12345)
SMALL = LARGE[:200_000]


@dataclass(frozen=True)
class Way:
    """A reply that takes this way; `warm` begins with another one, whose connection it uses."""

    name: str
    data: bytes
    feed: type
    headers: tuple[str, ...] = ()
    warm: bool = False

    def reply(self) -> bytes:
        return reply(self.data, *self.headers)


ITERATOR = Way("iterator", SMALL, ChunkFeed, ("Connection: close",))  # no connection is gained by another way
SOCKET = Way("socket", LARGE, SocketFeed)
SMALL_SOCKET = Way("small", SMALL, SocketFeed)
LANE = Way("lane", SMALL, SocketFeed, warm=True)
LARGE_LANE = Way("large-lane", LARGE, SocketFeed, warm=True)


def chunked(body: bytes, *, end: bool = True) -> bytes:
    pieces = [body[at : at + 70_001] for at in range(0, len(body), 70_001)]
    text = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text + (b"0\r\n\r\n" if end else b"")


@contextmanager
def opened(
    script: Script, *, size: int, tls: bool = False, idle_timeout_s: float = 5.0, warm: bool = False
) -> Iterator[HttpBody]:
    with Wire(lambda head: [reply(b"warm")] if b" /warm " in head else script(head), tls=tls) as wire:
        client = HttpClient(idle_timeout_s=idle_timeout_s, tls=trusting)
        try:
            if warm:
                with client.open_range(f"{wire.url}/warm", start=0, stop=4, size=4) as body:
                    assert read_all(body) == b"warm"
            with client.open_range(f"{wire.url}/file", start=0, stop=size, size=size) as body:
                yield body
            assert wire.connections == 1
        finally:
            client.close()


def read_all(body: Body, size: int = 100_003) -> bytes:
    buffer = bytearray(size)
    found = bytearray()
    while count := body.readinto(memoryview(buffer)):
        found += buffer[:count]
    assert body.readinto(memoryview(buffer)) == 0, "the end stays the end"
    return bytes(found)


def read_until_error(body: Body, buffer: memoryview) -> tuple[bytes, SourceError]:
    found = bytearray()
    try:
        while count := body.readinto(buffer):
            found += buffer[:count]
    except SourceError as error:
        return bytes(found), error
    pytest.fail("the body ended well")


def _feed_of(body: HttpBody) -> type:
    return type(body._feed)


def _packets(data: bytes) -> list[Piece]:
    """A head and its body in pieces whose borders fall everywhere."""
    cuts = sorted(random.Random(2).sample(range(1, len(data)), 40))
    return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]


WAYS = pytest.mark.parametrize(
    "way", [ITERATOR, SOCKET, SMALL_SOCKET, LANE, LARGE_LANE], ids=lambda way: way.name if isinstance(way, Way) else ""
)
WIRES = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@WAYS
@WIRES
@pytest.mark.parametrize("size", [1 << 10, 100_003, 8 * MIB])
def test_the_bytes_are_those_of_the_reply(way: Way, tls: bool, size: int) -> None:
    """Whatever the sizes of buffers and packets; the parser holds the first bytes already."""
    with opened(lambda head: _packets(way.reply()), size=len(way.data), warm=way.warm, tls=tls) as body:
        assert _feed_of(body) is way.feed
        assert body.head.length == len(way.data)
        found = read_all(body, size)
        assert hashlib.sha256(found).digest() == hashlib.sha256(way.data).digest()


@WIRES
def test_a_head_that_comes_alone_is_followed_by_its_bytes(tls: bool) -> None:
    """The parser holds nothing then."""
    whole = reply(LARGE)
    at = whole.index(b"\r\n\r\n") + 4
    with opened(lambda head: [whole[:at], 0.2, whole[at:]], size=len(LARGE), tls=tls) as body:
        assert _feed_of(body) is SocketFeed
        assert read_all(body) == LARGE


def test_a_buffer_is_filled_when_the_bytes_are_there() -> None:
    """Aligned writes of whole buffers are what makes it fast."""
    with opened(lambda head: [reply(LARGE)], size=len(LARGE)) as body:
        buffer = bytearray(256 << 10)
        assert body.readinto(memoryview(buffer)) == len(buffer)
        assert bytes(buffer) == LARGE[: len(buffer)]


@WAYS
def test_bytes_of_a_slow_link_are_handed_over_as_they_come(way: Way) -> None:
    """Else a watcher takes slowness for silence, and a kill loses what was received."""

    def drip(head: bytes) -> list[Piece]:
        whole = way.reply()
        return [whole[:5000], *(piece for at in range(5000, 5100, 10) for piece in (whole[at : at + 10], 0.1)), 20.0]

    begun = time.monotonic()
    with opened(drip, size=len(way.data), warm=way.warm) as body:
        buffer = memoryview(bytearray(1 << 20))
        assert 0 < body.readinto(buffer) < 5100
        assert time.monotonic() - begun < 0.9


@WAYS
@WIRES
@pytest.mark.parametrize("end", [CUT, RESET])
def test_an_early_end_gives_what_came_and_then_a_transient_error(way: Way, tls: bool, end: str) -> None:
    """What was received is kept; the rest is asked for again."""
    part = 150_000 if way.data is SMALL else 2 * MIB
    at = len(way.reply()) - len(way.data) + part
    with opened(lambda head: [way.reply()[:at], 0.3, end], size=len(way.data), warm=way.warm, tls=tls) as body:
        buffer = memoryview(bytearray(70_001))
        found, error = read_until_error(body, buffer)
        assert error.transient
        assert error.what == f"{body.head.host} closed the connection early."
        assert way.data.startswith(found)
        assert len(found) == part
        with pytest.raises(SourceError):
            body.readinto(buffer)


@WAYS
@WIRES
def test_silence_ends_after_the_idle_limit(way: Way, tls: bool) -> None:
    """The message says how long."""
    at = len(way.reply()) - 1000
    with opened(
        lambda head: [way.reply()[:at], 30.0], size=len(way.data), warm=way.warm, tls=tls, idle_timeout_s=0.5
    ) as body:
        begun = time.monotonic()
        with pytest.raises(SourceError) as caught:
            read_all(body)
        assert time.monotonic() - begun < 5
        assert caught.value.transient
        assert str(caught.value) == (
            f"{body.head.host} sent nothing for 0.5 s.\n  fix: run the command again; what was received is kept"
        )


@WAYS
@WIRES
def test_another_thread_may_close_while_one_reads(way: Way, tls: bool) -> None:
    """A watcher ends a stalled reply; the reader wakes up at once and no wrong byte is given."""
    at = len(way.reply()) - 1000
    with opened(
        lambda head: [way.reply()[:at], 30.0], size=len(way.data), warm=way.warm, tls=tls, idle_timeout_s=20
    ) as body:
        closer = threading.Timer(0.5, body.close)
        closer.start()
        begun = time.monotonic()
        found, error = read_until_error(body, memoryview(bytearray(100_003)))
        closer.join()
        assert time.monotonic() - begun < 5
        assert error.transient
        assert error.what == f"The reply of {body.head.host} was closed."
        assert way.data.startswith(found)


@WAYS
def test_closing_early_is_always_allowed(way: Way) -> None:
    """And the client answers the next question."""
    with Wire(lambda head: [way.reply()]) as wire:
        client = HttpClient()
        for _ in range(3):
            with client.open_range(wire.url, start=0, stop=len(way.data), size=len(way.data)) as body:
                body.readinto(memoryview(bytearray(10)))
            body.close()
            with pytest.raises(SourceError):
                body.readinto(memoryview(bytearray(10)))
        with client.open_range(wire.url, start=0, stop=len(way.data), size=len(way.data)) as body:
            assert read_all(body) == way.data
        assert wire.connections == 4, "nobody can know what is still to come on the first three"
        client.close()


@WAYS
def test_bytes_after_the_length_are_not_taken(way: Way) -> None:
    """A server that sends more than it announced."""
    with opened(
        lambda head: [reply(way.data + b"more", *way.headers, length=len(way.data))], size=len(way.data), warm=way.warm
    ) as body:
        assert read_all(body) == way.data


@WIRES
def test_a_chunked_reply_takes_the_iterator(tls: bool) -> None:
    """Its framing stands between the bytes."""
    with opened(lambda head: _packets(chunked(LARGE)), size=len(LARGE), tls=tls) as body:
        assert _feed_of(body) is ChunkFeed
        assert body.head.length is None
        assert read_all(body) == LARGE


def test_a_chunked_reply_that_is_cut_is_an_error() -> None:
    """Without its last chunk a reply is not complete (RFC 9112, section 8)."""
    with opened(lambda head: [chunked(LARGE, end=False), CUT], size=len(LARGE)) as body, pytest.raises(SourceError):
        read_all(body)


def test_a_compressed_reply_is_decoded_and_has_no_known_length() -> None:
    """It was not asked for, but some gateways compress JSON all the same."""
    packed = gzip.compress(LARGE)
    with opened(lambda head: [reply(packed, "Content-Encoding: gzip")], size=len(LARGE)) as body:
        assert _feed_of(body) is ChunkFeed
        assert body.head.length is None
        assert read_all(body) == LARGE


@pytest.mark.parametrize("data", [b"not gzip at all" * 100])
def test_damaged_compression_is_an_error(data: bytes) -> None:
    """And none that ends the program."""
    with (
        opened(lambda head: [reply(data, "Content-Encoding: gzip")], size=99) as body,
        pytest.raises(SourceError) as caught,
    ):
        read_all(body)
    assert "reason: its compression is damaged" in str(caught.value)


def test_a_reply_without_length_ends_with_the_connection() -> None:
    """HTTP/1.0; the engine compares with the locked size."""
    with opened(lambda head: [b"HTTP/1.0 200 OK\r\n\r\n" + LARGE, CUT], size=len(LARGE)) as body:
        assert _feed_of(body) is ChunkFeed
        assert read_all(body) == LARGE
