"""The bytes of one reply, filled into the caller's buffer.

Two ways to the bytes: `ChunkFeed` takes what the HTTP library's iterator gives; `SocketFeed`
takes what was read with the head, then reads the socket itself (performance.md: a third of
the CPU).  exchange.py decides which one a reply may use.

Promises (tests/net/test_body.py, each for both ways):
  * the bytes are those of the reply, whatever the sizes of buffers and packets;
  * an end before Content-Length is a transient SourceError, and bytes before it are given first;
  * `close` may be called by another thread: the reader wakes up with an error, and no
    descriptor is closed while it is read;
  * a host that sends a byte now and then is taken for one that sends nothing.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, cast

from fetcher.core.interfaces import Body, Closing, Head
from fetcher.errors import SourceError
from fetcher.net import failures

LEAST = 512  # bytes in the time after which silence is given up: 8 a second, less than any modem
_SLICE_S = 0.25  # a slow link's bytes are handed over after this, so that its reader sees them come
_ALL = 1 << 30  # bytes; more than a buffer has: as many as fit


class Feed(Protocol):
    """A way to the bytes."""

    def read(self, view: memoryview) -> int:
        """Put at least one byte at the start of `view`; 0 only at the end."""
        ...


class Pulse:
    """Reads a feed while it lives.

    Args:
        idle_timeout_s: Seconds of waiting within which `LEAST` bytes must come; pauses of the reader do not count.
    """

    def __init__(self, host: str, idle_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._idle_timeout_s = idle_timeout_s
        self._clock = clock
        self._came = 0
        self._waited_s = 0.0

    def read(self, feed: Feed, view: memoryview) -> int:
        """As `Feed.read`.

        Raises:
            SourceError: As the feed, or too little came (`transient`).
        """
        begun_s = self._clock()
        count = feed.read(view)
        self._waited_s += self._clock() - begun_s
        self._came += count
        if self._came >= LEAST:
            self._came, self._waited_s = 0, 0.0
        elif count and self._waited_s > self._idle_timeout_s:
            raise failures.dripping(self._host, LEAST, self._idle_timeout_s)
        return count


class ChunkFeed:
    """Bytes from an iterator that raises SourceError itself."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = memoryview(b"")

    def read(self, view: memoryview) -> int:
        """As `Feed.read`."""
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._held = memoryview(chunk)
        count = min(len(view), len(self._held))
        view[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


class SocketFeed:
    """Bytes from the socket, after those that came with the head.

    A TLS record has 16 KiB, so a large buffer takes many reads: they follow each other in one loop.

    Args:
        first: Gives the bytes that are held already; called once, at the first read.
        length: Content-Length in bytes.
    """

    def __init__(
        self,
        first: Callable[[], bytes | memoryview],
        sock: socket.socket,
        *,
        length: int,
        host: str,
        idle_timeout_s: float,
    ) -> None:
        self._first = first
        self._held: memoryview | None = None
        self._sock = sock
        self._whole = length
        self._host = host
        self._idle_timeout_s = idle_timeout_s
        self._error: SourceError | None = None  # met after bytes that were given first
        self.left = length  # bytes not given yet
        self.by_socket = False  # whether bytes came from the socket itself

    def read(self, view: memoryview) -> int:
        """As `Feed.read`; fills `view` as far as bytes come within a moment."""
        if self.left == 0:
            return 0
        if self._held is None:
            self._held = memoryview(self._first())
            set_timeout(self._sock, self._idle_timeout_s)
        count = self._give(view) if self._held else self._receive(view[: self.left])
        self.left -= count
        return count

    def _give(self, view: memoryview) -> int:
        held = self._held or memoryview(b"")
        count = min(len(view), len(held), self.left)
        view[:count] = held[:count]
        self._held = held[count:]
        return count

    def _receive(self, view: memoryview) -> int:
        """Bytes received; what ends them is raised once they were given."""
        if self._error is None:
            filled = self._fill(view)
            self.by_socket = self.by_socket or filled > 0
            if filled:
                return filled
        raise self._error or self._cut(0)

    def _fill(self, view: memoryview) -> int:
        filled, size, clock = 0, len(view), time.monotonic
        receive = _receiving(self._sock)
        end_s = clock() + _SLICE_S
        try:
            while filled < size:
                count = receive(view[filled:])
                filled += count
                if count == 0:
                    self._error = self._cut(filled)
                    break
                if clock() >= end_s:
                    break
        except TimeoutError:
            self._error = failures.stalled(self._host, self._idle_timeout_s)
        except (OSError, ValueError) as error:  # the latter of a TLS socket that was closed
            self._error = failures.cut(self._host, getattr(error, "strerror", None) or type(error).__name__)
        return filled

    def _cut(self, filled: int) -> SourceError:
        return failures.cut(self._host, f"{self.left - filled} of {self._whole} bytes are missing")


def _receiving(sock: socket.socket) -> Callable[[memoryview], int]:
    """Receives once; for TLS without the layer that looks at what was asked for, 60,000 times a GiB."""
    if isinstance(sock, ssl.SSLSocket):
        return cast("Callable[[memoryview], int]", partial(sock.read, _ALL))  # with a buffer it returns a count
    return sock.recv_into


class HttpBody(Closing):
    """The body of one HTTP reply (core.interfaces.Body).

    Args:
        feed: Where bytes come from.
        wake: Ends what the socket is doing, without closing it.
        release: Gives the connection back or closes it.
        idle_timeout_s: As for Pulse.
    """

    def __init__(
        self,
        *,
        head: Head,
        feed: Feed,
        wake: Callable[[], None],
        release: Callable[[], None],
        idle_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._head = head
        self._feed = feed
        self._wake = wake
        self._release = release
        self._pulse = Pulse(head.host, idle_timeout_s, clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._reading = False
        self._closed = threading.Event()
        self._pending: SourceError | None = None

    @property
    def head(self) -> Head:
        """What the reply's head said."""
        return self._head

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer`, or as much of it as comes within a moment; 0 only at the end.

        Raises:
            SourceError: The connection was cut, stalled or closed (`transient`).
        """
        with self._lock:
            if self._closed.is_set():
                raise failures.closed(self._head.host)
            self._reading = True
        try:
            return self._fill(buffer)
        finally:
            with self._lock:
                self._reading = False
                if self._closed.is_set():
                    self._release()

    def close(self) -> None:
        """Release the connection; while another thread reads, that thread does it."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
            if self._reading:
                self._wake()
            else:
                self._release()

    def _fill(self, buffer: memoryview) -> int:
        if self._pending is not None:
            raise self._pending
        filled = 0
        end_s = self._clock() + _SLICE_S
        while filled < len(buffer):
            try:
                count = self._pulse.read(self._feed, buffer[filled:])
            except SourceError as error:
                self._pending = failures.closed(self._head.host) if self._closed.is_set() else error
                if not filled:
                    raise self._pending from None
                break
            filled += count
            if count == 0 or self._clock() >= end_s:
                break
        return filled


class PeekedBody(Closing):
    """A body whose first bytes were looked at and are given once more."""

    def __init__(self, start: bytes, body: Body) -> None:
        self._start = memoryview(start)
        self._body = body

    @property
    def head(self) -> Head:
        """What the reply's head said."""
        return self._body.head

    def readinto(self, buffer: memoryview) -> int:
        """As `Body.readinto`."""
        if not self._start:
            return self._body.readinto(buffer)
        count = min(len(buffer), len(self._start))
        buffer[:count] = self._start[:count]
        self._start = self._start[count:]
        return count

    def close(self) -> None:
        """Release the connection."""
        self._body.close()


def set_timeout(sock: socket.socket, seconds: float) -> None:
    """Limit each wait; a system call that is not made where nothing changes."""
    if sock.gettimeout() != seconds:
        sock.settimeout(seconds)


def shut_down(sock: socket.socket) -> None:
    """Wake whoever waits for this socket.

    The plain socket's method, because that of a TLS socket forgets its keys at once, and a
    reader would then take the ciphertext for the text.
    """
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
