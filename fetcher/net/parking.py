"""Connections that outlive the reply that was read from their socket.

The HTTP library believes a reply unread whose body was taken from the socket, and closes its
connection.  The stream that it is given here closes for show only: the connection is parked,
and lane.py asks the next question on it.  Not in here: TCP, TLS and proxies (httpcore does
them), requests (lane.py).

Promises (tests/net/test_parking.py):
  * only a connection whose reply was read to its exact end is parked;
  * one that the server closed, that has bytes left or was idle for long, is never taken;
  * a head that drips, or replies of 1xx for ever, end within 300 s and 1 MiB;
  * no more than `most` are parked, and none after `close`.
"""

import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpcore

MOST = 128  # connections; more than any limit of connections asks for
IDLE_S = 60.0  # nginx closes after 75 s; boxes in between forget a silent connection after minutes
HEAD_S = 300.0  # a head that drips for longer is given up
MOST_AHEAD = 1 << 20  # bytes before the body, all replies of 1xx included
HELD = 64 << 10  # bytes of a connection's buffer: a reply's head, and what comes with it

HEAD_END = re.compile(rb"\n\r?\n")  # as the HTTP library finds it

_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;|$)")

Origin = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How connections of one kind lead to a host.

    Attributes:
        forward: Headers for a proxy that is asked with whole URLs; None where the host itself is asked.
        may_park: Whether a connection may be used again without knowing who waits at its end.
    """

    forward: tuple[tuple[bytes, bytes], ...] | None = None
    may_park: bool = True


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """An open connection to a host.

    Attributes:
        sock: A plain or a TLS socket, ready to be used.
        buffer: For what is received before it is known where it belongs.
        ahead: Requests that were sent before their turn, and whose replies are still to come.
        rest: What came of those replies with an earlier one.
    """

    origin: Origin
    sock: Any  # socket.socket; the library's door is untyped
    route: Route
    stream: httpcore.NetworkStream
    buffer: bytearray = field(default_factory=lambda: bytearray(HELD))
    ahead: deque[bytes] = field(default_factory=deque)
    rest: bytes = b""

    def is_quiet(self) -> bool:
        """Whether it is open and nothing waits to be read."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not self.stream.get_extra_info("is_readable")

    def close(self) -> None:
        """Close it."""
        self.stream.close()


class ParkingLot:
    """Connections between two replies, newest first.  Used by several threads at once."""

    def __init__(
        self, *, most: int = MOST, idle_s: float = IDLE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._idle_s = idle_s
        self._clock = clock
        self._lock = threading.Lock()
        self._parked: deque[tuple[float, Connection]] = deque()
        self._is_closed = False

    def park(self, connection: Connection) -> None:
        """Keep a connection for the next request, or close it if there is no room."""
        surplus = connection
        with self._lock:
            if not self._is_closed:
                self._parked.append((self._clock(), connection))
                if len(self._parked) <= self._most:
                    return
                _, surplus = self._parked.popleft()
        surplus.close()

    def take(self, origin: Origin) -> Connection | None:
        """A connection to a host on which a request may be sent; None if there is none."""
        while parked := self._newest(origin):
            since_s, connection = parked
            if self._clock() - since_s <= self._idle_s and connection.is_quiet():
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close all; what comes later is closed at once."""
        with self._lock:
            self._is_closed = True
            parked, self._parked = self._parked, deque()
        for _, connection in parked:
            connection.close()

    def _newest(self, origin: Origin) -> tuple[float, Connection] | None:
        with self._lock:
            for at in range(len(self._parked) - 1, -1, -1):
                parked = self._parked[at]
                if parked[1].origin == origin:
                    del self._parked[at]
                    return parked
        return None


class ChunkedEnd:
    """Looks for the end of a chunked body in what is received (RFC 9112, section 7.1).

    What it does not understand counts as surplus.
    """

    def __init__(self) -> None:
        self._line = b""
        self._skip = 0  # bytes of the current chunk and its line end that are still to come
        self._in_trailer = False
        self._is_over = False
        self.has_surplus = False

    def feed(self, data: bytes) -> None:
        """Look at the next bytes."""
        at = 0
        while at < len(data) and not self.has_surplus:
            if self._is_over:
                self.has_surplus = True
            elif self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
            else:
                end = data.find(b"\n", at) + 1 or len(data)
                self._line += data[at:end]
                at = end
                self._read_line()

    def _read_line(self) -> None:
        if not self._line.endswith(b"\n"):
            self.has_surplus = len(self._line) > HELD
            return
        line, self._line = self._line.strip(b"\r\n"), b""
        if self._in_trailer:
            self._is_over = not line
        elif size := _CHUNK.match(line):
            self._in_trailer = int(size[1], 16) == 0
            self._skip = 0 if self._in_trailer else int(size[1], 16) + 2
        else:
            self.has_surplus = True


class ParkingStream(httpcore.NetworkStream):
    """A stream of the HTTP library's that counts, and may be parked when it is closed."""

    def __init__(self, inner: httpcore.NetworkStream, backend: "ParkingBackend") -> None:
        self._inner = inner
        self._backend = backend
        self._origin: Origin | None = None
        self._head = b""
        self._body_at = 0  # where the body begins in what was received; 0 until the head is whole
        self._chunked: ChunkedEnd | None = None
        self._is_open = True
        self._is_suspect = False
        self._head_end_s = 0.0
        self.awaits_head = False  # from a request until its head was read, 1xx replies not counted
        self.received = 0  # bytes of the latest reply, as far as the library has read it
        self.requests = 0

    @property
    def may_park(self) -> bool:
        """Whether its route allows it."""
        return self._backend.route.may_park

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As NetworkStream.read."""
        data = self._inner.read(max_bytes, timeout)
        self.received += len(data)
        if self.awaits_head:
            self._require_head()
        if self._body_at:
            if self._chunked:
                self._chunked.feed(data)
            return data
        self._head += data
        if found := HEAD_END.search(self._head):
            self._body_at = found.end()
            if b"chunked" in self._head[: self._body_at].lower():
                self._chunked = ChunkedEnd()
                self._chunked.feed(self._head[self._body_at :])
            self._head = b""
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As NetworkStream.write; begins a request."""
        if buffer:
            self._head, self._body_at, self.received, self._chunked = b"", 0, 0, None
            self.requests += 1
            self.awaits_head, self._head_end_s = True, self._backend.clock() + self._backend.head_s
            self._backend.latest = self
        self._inner.write(buffer, timeout)

    def _require_head(self) -> None:
        """Give up a server that sends something all the time, and never a head."""
        if self._backend.clock() > self._head_end_s:
            raise httpcore.RemoteProtocolError(f"no whole head within {self._backend.head_s:g} s")
        if self.received > MOST_AHEAD:
            raise httpcore.RemoteProtocolError(f"no head within {MOST_AHEAD} bytes")

    def body_received(self) -> int:
        """Bytes that the library was given after the head of the latest reply; below 0 without one."""
        return self.received - self._body_at if self._body_at else -1

    def has_surplus(self, length: int | None) -> bool:
        """Whether the library was given more than a reply; it would take that for the next one.

        Args:
            length: Bytes of the reply's body, None where it is chunked or ends with the connection.
        """
        if length is not None:
            return self.body_received() > length
        return self._chunked is not None and self._chunked.has_surplus

    def suspect(self) -> None:
        """The library must not use the connection again."""
        self._is_suspect = True

    def park_when_closed(self, origin: Origin) -> None:
        """The reply was read to its exact end."""
        self._origin = origin

    def close(self) -> None:
        """As NetworkStream.close, or park."""
        if not self._is_open:
            return
        self._is_open = False
        if self._origin is None:
            self._inner.close()
            return
        connection = Connection(
            origin=self._origin,
            sock=self._inner.get_extra_info("socket"),
            route=self._backend.route,
            stream=self._inner,
        )
        self._backend.lot.park(connection)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """As NetworkStream.start_tls."""
        return ParkingStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._backend)

    def get_extra_info(self, info: str) -> Any:
        """As NetworkStream.get_extra_info; the library closes an idle connection that is readable."""
        if info == "is_readable" and self._is_suspect:
            return True
        return self._inner.get_extra_info(info)


class ParkingBackend(httpcore.NetworkBackend):
    """Opens connections for one user at a time; `latest` is the stream of its latest request.

    Args:
        head_s: Seconds for a reply's head.
    """

    def __init__(
        self, lot: ParkingLot, route: Route, *, head_s: float = HEAD_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = httpcore.SyncBackend()
        self.head_s = head_s
        self.clock = clock
        self.lot = lot
        self.route = route
        self.latest: ParkingStream | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """As NetworkBackend.connect_tcp."""
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return ParkingStream(stream, self)

    def head_has_come(self) -> None:
        """The latest request has its reply; the body may take its time."""
        if self.latest is not None:
            self.latest.awaits_head = False

    def has_died_unheard(self) -> bool:
        """Whether the latest request went over a used connection and not a byte came back.

        The server closed it in the same moment; the request was not served (RFC 9112, 9.3.1).
        """
        return self.latest is not None and self.latest.requests > 1 and self.latest.received == 0
