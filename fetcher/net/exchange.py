"""One question and its reply, whichever way they went: through httpx, or by lane.py.

Not in here: where to ask (http.py), what the bytes are for (body.py).

Promises (tests/net/test_body.py, tests/net/test_parking.py):
  * the socket itself is read only where its bytes are the body's, and no others;
  * a connection is parked only after a reply's exact end, if its server said nothing else.
"""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from fetcher.errors import SourceError
from fetcher.net import failures
from fetcher.net.body import ChunkFeed, Feed, SocketFeed, shut_down
from fetcher.net.heads import body_length
from fetcher.net.lane import Answer, Lane
from fetcher.net.library import httpx
from fetcher.net.parking import ParkingStream
from fetcher.net.redact import host_of, origin_of, printable

RAW_FROM = 1 << 20  # bytes; from here on a faster body is worth its connection, if it cannot be parked


class Exchange(Protocol):
    """A reply whose head was read."""

    @property
    def url(self) -> str:
        """Who was asked, and for what."""
        ...

    @property
    def status(self) -> int:
        """HTTP status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """To be looked up in lower case."""
        ...

    def feed(self, length: int | None) -> Feed:
        """The way to the body, decoded; asked for once.

        Args:
            length: Bytes of the body, None when unknown.
        """
        ...

    def wake(self) -> None:
        """Wake whoever waits for the socket, without closing it."""
        ...

    def release(self) -> None:
        """Give the connection back, or close it."""
        ...


class LaneExchange:
    """A reply that lane.py has brought."""

    def __init__(self, url: str, answer: Answer, lane: Lane, *, idle_timeout_s: float) -> None:
        self.url = url
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._lane = lane
        self._feed = SocketFeed(
            lambda: answer.held,
            answer.connection.sock,
            length=answer.length,
            host=host_of(url),
            idle_timeout_s=idle_timeout_s,
        )

    def feed(self, length: int | None) -> Feed:
        """As Exchange.feed."""
        return self._feed

    def wake(self) -> None:
        """As Exchange.wake."""
        shut_down(self._answer.connection.sock)

    def release(self) -> None:
        """As Exchange.release."""
        self._lane.release(self._answer, left=self._feed.left)


class LibraryExchange:
    """A reply that httpx has brought.

    Args:
        raw_from: Bytes of a body from which its connection had better be parked than left to the library.
        give_back: Takes the client that carried it, after the response was closed.
    """

    def __init__(
        self, response: httpx.Response, *, raw_from: int, idle_timeout_s: float, give_back: Callable[[], None]
    ) -> None:
        self._response = response
        self._idle_timeout_s = idle_timeout_s
        self._raw_from = raw_from
        self._give_back = give_back
        self._stream: ParkingStream = response.extensions["network_stream"]
        self._sock: socket.socket = self._stream.get_extra_info("socket")
        self._raw: SocketFeed | None = None
        self._length = 0
        self._chunks: Iterator[bytes] = iter(())  # held, because a generator that is dropped closes the response
        self.url = str(response.url)
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def feed(self, length: int | None) -> Feed:
        """As Exchange.feed; from the socket where that is possible and worth it."""
        raw_from = self._raw_from if self._may_park() else RAW_FROM
        if length is None or length < raw_from or not self._is_readable_raw():
            return self.chunks()
        self._length = length
        self._raw = SocketFeed(
            self._first,
            self._sock,
            length=length,
            host=host_of(self.url),
            idle_timeout_s=self._idle_timeout_s,
        )
        return self._raw

    def chunks(self) -> ChunkFeed:
        """The library's own way; the connection stays with the library."""
        return ChunkFeed(self._translated(self._response.iter_bytes()))

    def wake(self) -> None:
        """As Exchange.wake."""
        shut_down(self._sock)

    def release(self) -> None:
        """As Exchange.release."""
        if self._may_park() and self._is_at_its_end():
            self._stream.park_when_closed(origin_of(self.url))
        if self._stream.has_surplus(body_length(self.status, self.headers)):
            self._stream.suspect()
        self._response.close()
        self._give_back()

    def _is_readable_raw(self) -> bool:
        """Whether the socket's own bytes are the body's (performance.md, "Why").

        For TLS the socket's own TLS object must be the stream's: an https proxy is TLS in TLS.
        """
        stream_tls = self._stream.get_extra_info("ssl_object")
        own_tls = getattr(self._sock, "_sslobj", None)
        return (
            self._response.http_version == "HTTP/1.1"
            and own_tls is stream_tls
            and "transfer-encoding" not in self.headers
            and "content-encoding" not in self.headers
        )

    def _may_park(self) -> bool:
        said = self.headers.get("connection", "keep-alive").lower()
        return self._stream.may_park and said == "keep-alive" and "upgrade" not in self.headers

    def _is_at_its_end(self) -> bool:
        """Whether the body was read raw and whole, and the library holds nothing that came after it.

        Where bytes came from the socket itself, the library had given all that it held.
        """
        if self._raw is None or self._raw.left:
            return False
        return self._raw.by_socket or self._stream.body_received() == self._length

    def _first(self) -> bytes:
        """What the library holds of the body; for a known length that is one piece."""
        host = host_of(self.url)
        self._chunks = self._response.iter_raw()
        try:
            return next(self._chunks)
        except (StopIteration, httpx.RemoteProtocolError):
            raise failures.cut(host, f"{self._length} of {self._length} bytes are missing") from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise translated(error, host, self._idle_timeout_s) from None

    def _translated(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from chunks
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise translated(error, host_of(self.url), self._idle_timeout_s) from None


def translated(error: Exception, host: str, idle_timeout_s: float) -> SourceError:
    """An error of httpx as the one of ours that it means."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return failures.untrusted(host, cause.verify_message)
        if isinstance(cause, socket.gaierror):
            return failures.unreachable(host, "the name is not known")
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError | httpx.ProxyError):
        return failures.unreachable(host, _reason(error))
    if isinstance(error, httpx.TimeoutException):
        return failures.stalled(host, idle_timeout_s)
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.StreamError):
        return failures.cut(host, _reason(error))
    if isinstance(error, httpx.DecodingError):
        return failures.cut(host, "its compression is damaged")
    return failures.not_understood(host, "cannot be asked", facts=(f"reason: {type(error).__name__}",))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _reason(error: BaseException) -> str:
    """The operating system's word for it, else the library's."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return printable(cause.strerror).lower()
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer in time"
    return printable(str(error)) or type(error).__name__  # the library repeats a line that it does not understand
