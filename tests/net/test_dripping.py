"""Servers that send something all the time, and never a reply, or never all of it."""

import time
from collections.abc import Callable, Iterable

import pytest

from fetcher.errors import SourceError
from fetcher.net.body import LEAST, Pulse
from fetcher.net.http import HttpClient
from tests.net.wire import Piece, Wire, reply


def dripping(head: bytes) -> Iterable[Piece]:
    """A head of a byte at a time; each is in time for a limit of idleness."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 10_000:
        yield bytes([byte])
        yield 0.02


def preparing(head: bytes) -> Iterable[Piece]:
    """Replies of 1xx (RFC 9110, section 15.2) for ever."""
    for _ in range(10_000):
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        yield 0.02


@pytest.mark.parametrize("script", [dripping, preparing])
def test_a_head_that_never_ends_is_given_up(script: Callable[[bytes], Iterable[Piece]]) -> None:
    """Only Ctrl-C would end it otherwise."""
    with Wire(script) as wire:
        client = HttpClient(idle_timeout_s=5.0, head_s=0.4)
        begin_s = time.monotonic()
        with pytest.raises(SourceError) as caught:
            client.get(wire.url)
        took_s = time.monotonic() - begin_s
        host = wire.host
        client.close()
    assert str(caught.value) == (
        f"{host} closed the connection early.\n"
        "  reason: no whole head within 0.4 s\n"
        "  fix: run the command again; what was received is kept"
    )
    assert caught.value.transient
    assert took_s < 4


def test_replies_of_1xx_are_bounded_in_bytes_too() -> None:
    """A fast server could make them cost memory and time within the limit of time."""
    with Wire(lambda head: [b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100_000]) as wire:
        client = HttpClient(idle_timeout_s=5.0)
        with pytest.raises(SourceError, match="no head within 1048576 bytes"):
            client.get(wire.url)
        client.close()


def test_a_body_may_take_longer_than_a_head() -> None:
    """The limit ends with the head, on a used connection as well."""
    slow = [reply(b"", "X: y", length=3), 0.3, b"a", 0.3, b"b", b"c"]
    with Wire(lambda head: slow) as wire:
        client = HttpClient(idle_timeout_s=5.0, head_s=0.4)
        assert [client.get(wire.url).content for _ in range(2)] == [b"abc"] * 2
        client.close()


def test_a_reply_that_drips_is_given_up() -> None:
    """A listing of one byte a second takes a year; each byte is in time for a limit of idleness."""

    def drip(head: bytes) -> Iterable[Piece]:
        yield reply(b"", "Content-Type: application/json", length=1 << 20)
        for _ in range(1000):
            yield b" "
            yield 0.02

    with Wire(drip) as wire:
        client = HttpClient(idle_timeout_s=0.3)
        with pytest.raises(SourceError) as listing:
            client.get(wire.url)
        body = client.open_range(wire.url, start=0, stop=1 << 20, size=1 << 20)
        assert body.readinto(memoryview(bytearray(1000))) > 0
        with pytest.raises(SourceError) as file:
            [body.readinto(memoryview(bytearray(1000))) for _ in range(100)]
        body.close()
        client.close()
        host = wire.host
    assert str(listing.value) == str(file.value)
    assert str(file.value) == (
        f"{host} sent less than 512 bytes in 0.3 s.\n  fix: run the command again; what was received is kept"
    )
    assert file.value.transient


class _Scripted:
    """A feed that takes a time for each piece, and a clock that knows it."""

    def __init__(self, *pieces: tuple[int, float]) -> None:
        self._pieces = list(pieces)
        self.now_s = 0.0

    def read(self, view: memoryview) -> int:
        count, took_s = self._pieces.pop(0)
        self.now_s += took_s
        return count


def test_a_link_of_a_few_hundred_bytes_a_minute_is_slow_and_not_silent() -> None:
    """Whatever the sizes of its packets."""
    feed = _Scripted(*[(LEAST // 2, 25.0)] * 100, (1, 59.0), (LEAST, 30.0), (10, 50.0), (0, 50.0))
    pulse = Pulse("hub.example", 60.0, lambda: feed.now_s)
    assert [pulse.read(feed, memoryview(b"")) for _ in range(104)][-2:] == [10, 0], "the end is no failure"


def test_pauses_of_the_reader_are_not_the_server_s() -> None:
    """A rate that was asked for, or a disk that is busy."""
    feed = _Scripted((10, 1.0), (10, 1.0), (10, 70.0))
    pulse = Pulse("hub.example", 60.0, lambda: feed.now_s)
    pulse.read(feed, memoryview(b""))
    feed.now_s += 500.0
    pulse.read(feed, memoryview(b""))
    with pytest.raises(SourceError, match=r"^hub\.example sent less than 512 bytes in 60 s\."):
        pulse.read(feed, memoryview(b""))
