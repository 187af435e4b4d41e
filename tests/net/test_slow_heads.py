"""Servers that send something all the time, and never a reply."""

import time
from collections.abc import Callable, Iterable

import pytest

from fetcher.errors import SourceError
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
