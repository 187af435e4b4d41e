"""A small GET loop of our own on connections that httpx has opened (performance.md, "Lane").

httpx opens, proxies and encrypts a connection; once its first reply was read, this asks the
next questions on it at a fifth of the cost.  It takes only what leaves no doubt about where
a reply ends; whatever else comes is not judged here but asked for again through httpx.

Several files may be asked for ahead on one connection (RFC 9112, section 9.3.2), by the thread that
wants them next: where the round trip is long, one of them then serves several files.

A small file may be asked for whole: its bytes come back in one piece, if nothing about the reply is out of the
ordinary.  Else the reply is kept for the same thread, which asks for the file by the way that can judge it.

Promises (tests/net/test_lane.py):
  * a request is byte for byte the one that httpx would send;
  * an answer is what httpx would make of the same bytes, or there is none;
  * a connection on which a reply did not end exactly where it said is closed;
  * a head has 64 KiB at most and comes within the time limit;
  * what was asked for ahead and not answered is asked for again, and that host is not asked ahead any more;
  * a reply that `whole` does not take is the answer to the next `ask`, so that nobody is asked twice.
"""

import contextlib
import functools
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fetcher.errors import SourceError
from fetcher.net import failures
from fetcher.net.body import set_timeout, shut_down
from fetcher.net.parking import HEAD_END, HEAD_S, Connection, Origin, ParkingLot, Route
from fetcher.net.redact import host_of, origin_of

REDIRECTS = (301, 302, 303, 307, 308)
_DOUBT = 8  # for an answer that httpx had to fetch again; each other answer takes 1 away
_LEAST_BYTE = 0x21  # of a head's start; nothing below is a word of HTTP
_MOST_DOUBT = 24  # then the host is left to httpx: more than one question in nine was asked twice

# URLs that httpx sends as they are: no escapes to add, no names to encode, no dots to resolve.
_PLAIN_URL = re.compile(
    r"https?://[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?"
    r"(?P<path>/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*)?",
    re.ASCII,
)
_BEFORE_PATH = re.compile(r"https?://[^/?]*")
_DOTS = re.compile(r"/\.\.?(?:/|$)")
_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rf"({_NAME}):[ \t]*([\x21-\x7e](?:[\t \x21-\x7e]*[\x21-\x7e])?)?[ \t]*", re.ASCII)
_STATUS = re.compile(r"HTTP/1\.1 ([1-5][0-9]{2})(?: [\t \x21-\x7e]*)?", re.ASCII)
_LENGTH = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_SENDABLE = re.compile(r"[\x21-\x7e](?:[ \x21-\x7e]*[\x21-\x7e])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply whose end is certain, on its connection.

    Attributes:
        headers: Names in lower case.
        length: Content-Length in bytes.
        held: The first bytes of the body; valid until the connection is used again.
        may_stay: Whether the server keeps the connection open.
    """

    status: int
    headers: Mapping[str, str]
    length: int
    held: memoryview
    may_stay: bool
    connection: Connection


Question = tuple[str, Mapping[str, str]]  # a URL, and headers besides those that each request has


class _Mine(threading.local):
    """What one thread asks ahead."""

    def __init__(self) -> None:
        self.is_ahead = False
        self.wanted: deque[Question] = deque()  # not asked for yet
        self.connection: Connection | None = None  # with replies that are still to come
        self.kept: tuple[Question, Answer | SourceError] | None = None  # what `whole` has learned of a question


class Lane:
    """Asks on parked connections.  Used by several threads at once.

    Args:
        headers: Sent with each request, as httpx has them.
        idle_timeout_s: Seconds without a byte after which a reply is given up.
        head_s: Seconds for a reply's head.
    """

    def __init__(
        self,
        lot: ParkingLot,
        *,
        headers: Mapping[str, str],
        idle_timeout_s: float,
        head_s: float = HEAD_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lot = lot
        self._headers = dict(headers)
        self._idle_timeout_s = idle_timeout_s
        self._head_s = head_s
        self._clock = clock
        self._lock = threading.Lock()
        self._doubts: Counter[Origin] = Counter()
        self._one_at_a_time: set[Origin] = set()  # hosts that did not answer what was asked ahead
        self._mine = _Mine()
        self._slow: set[Origin] = set()  # hosts that took too long to send a small file
        self._reading: set[Connection] = set()  # of `whole`

    def whole(self, url: str, headers: Mapping[str, str], size: int) -> bytes | None:
        """A small file of `size` bytes, if a plain 200 brings it at once; else it must be asked for by `ask`.

        Args:
            headers: As for `ask`.
        """
        if origin_of(url) in self._slow:
            return None
        try:
            answer = self.ask(url, headers)
        except SourceError as error:
            self._mine.kept = ((url, headers), error)
            return None
        if answer is None:
            return None
        if answer.status != 200 or answer.length != size or "content-range" in answer.headers:
            self._mine.kept = ((url, headers), answer)
            return None
        self._reading.add(answer.connection)
        try:
            data = self._read_whole(answer)
        finally:
            self._reading.discard(answer.connection)
            self.release(answer, left=size - len(data))
        return bytes(data) if len(data) == size else None

    def wake(self) -> None:
        """End what waits in `whole`."""
        for connection in list(self._reading):
            shut_down(connection.sock)

    def ask(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        """The answer to a GET; None if httpx must be asked.

        Args:
            headers: Besides those that each request has.

        Raises:
            SourceError: The host sent nothing for too long.
        """
        if (answer := self._kept(url, headers)) is not None:
            return answer
        if not self.takes(url) or not all(map(_SENDABLE.fullmatch, headers.values())):
            return None
        fields = {**self._headers, **headers}
        if self._mine.wanted and self._mine.wanted[0][0] == url:
            self._mine.wanted.popleft()
        connection = self._asked_ahead(url, fields)
        requests = b""
        if connection is None:
            connection = self._lot.take(origin_of(url))
            if connection is None:
                return None
            requests = request_bytes(url, fields, connection.route) + self._ahead(connection)
        try:
            answer = self._exchange(connection, requests, host_of(url))
        except BaseException:
            connection.close()
            raise
        return answer

    @contextlib.contextmanager
    def ahead(self, questions: Sequence[Question]) -> Iterator[None]:
        """In the block the calling thread asks these questions, in this order; they may be sent before their turn."""
        mine = self._mine
        mine.is_ahead, mine.wanted = True, deque(questions)
        try:
            yield
        finally:
            mine.is_ahead, mine.wanted = False, deque()
            if mine.connection is not None:
                mine.connection.close()
                mine.connection = None

    def takes(self, url: str) -> bool:
        """Whether such a URL may be asked for here, if there is a connection."""
        found = _PLAIN_URL.fullmatch(url)
        return (
            found is not None
            and not _DOTS.search(found.group("path") or "")
            and self._doubts[origin_of(url)] < _MOST_DOUBT
        )

    def release(self, answer: Answer, *, left: int) -> None:
        """Done with an answer of which `left` bytes were not read."""
        connection = answer.connection
        if left or not answer.may_stay:
            if connection.ahead:  # a server that closes may take answers back that are on their way
                self._one_at_a_time.add(connection.origin)
            connection.close()
        elif not connection.ahead:
            self._lot.park(connection)
        elif self._mine.is_ahead and self._mine.connection is None:
            self._mine.connection = connection
        else:
            connection.close()

    def _kept(self, url: str, headers: Mapping[str, str]) -> Answer | None:
        """The answer that `whole` has left, if it is to this question.

        Raises:
            SourceError: It was an error.
        """
        kept, self._mine.kept = self._mine.kept, None
        if kept is None:
            return None
        question, answer = kept
        if isinstance(answer, SourceError):
            if question == (url, headers):
                raise answer
        elif question == (url, headers):
            return answer
        else:
            answer.connection.close()
        return None

    def _read_whole(self, answer: Answer) -> bytearray:
        """A body, as far as it comes in time."""
        data = bytearray(answer.length)
        view, filled = memoryview(data), len(answer.held)
        view[:filled] = answer.held
        end_s = self._clock() + self._idle_timeout_s
        with contextlib.suppress(OSError):
            while filled < answer.length and self._clock() < end_s:
                count = answer.connection.sock.recv_into(view[filled:])
                if count == 0:
                    break
                filled += count
        if self._clock() >= end_s:
            self._slow.add(answer.connection.origin)
        view.release()
        del data[filled:]
        return data

    def _ahead(self, connection: Connection) -> bytes:
        """Requests for what this thread wants next, to be sent with the one whose turn it is."""
        if connection.origin in self._one_at_a_time:
            return b""
        while wanted := self._mine.wanted:
            url, headers = wanted[0]
            fields = {**self._headers, **headers}
            if origin_of(url) != connection.origin or not self.takes(url):
                break
            wanted.popleft()
            connection.ahead.append(request_bytes(url, fields, connection.route))
        return b"".join(connection.ahead)

    def _asked_ahead(self, url: str, fields: Mapping[str, str]) -> Connection | None:
        """The connection on which the answer comes next, because it was asked for ahead."""
        connection = self._mine.connection
        if connection is None or connection.origin != origin_of(url):
            return None
        self._mine.connection = None
        if connection.ahead.popleft() == request_bytes(url, fields, connection.route):
            return connection
        connection.close()  # another question than was foreseen
        return None

    def _exchange(self, connection: Connection, requests: bytes, host: str) -> Answer | None:
        """Send requests, and read the first answer; without one, read that of a request sent before."""
        set_timeout(connection.sock, self._idle_timeout_s)
        try:
            if requests:
                connection.sock.sendall(requests)
            received, body_at = self._receive_head(connection)
        except TimeoutError:
            raise failures.stalled(host, self._idle_timeout_s) from None
        except OSError:
            received, body_at = 0, 0
        answer = _answer(connection, received, body_at) if body_at else None
        if answer is None:
            connection.close()
            if connection.ahead or not requests:
                self._one_at_a_time.add(connection.origin)
        if received:  # else the server closed it in the same moment, which says nothing of its replies
            with self._lock:
                doubt = self._doubts[connection.origin]
                self._doubts[connection.origin] = max(0, doubt - 1) if answer else doubt + _DOUBT
        return answer

    def _receive_head(self, connection: Connection) -> tuple[int, int]:
        """Bytes received, and where the body begins in them; 0 if there is no whole head."""
        view, filled, searched = memoryview(connection.buffer), len(connection.rest), 0
        view[:filled], connection.rest = connection.rest, b""
        end_s = self._clock() + self._head_s
        while not (found := HEAD_END.search(connection.buffer, searched, filled)):
            if filled == len(view) or self._clock() >= end_s:
                return filled, 0
            count = connection.sock.recv_into(view[filled:])
            if count == 0:
                return filled, 0
            searched = max(0, filled - 2)
            filled += count
            if connection.buffer[0] < _LEAST_BYTE:
                return filled, 0  # the library waits for no more of such a head
        return filled, found.end()


def request_bytes(url: str, fields: Mapping[str, str], route: Route) -> bytes:
    """A GET as httpx writes it, in absolute form for a proxy (RFC 9112, section 3.2.2)."""
    scheme, name, port = origin_of(url)
    host = name if port == (443 if scheme == "https" else 80) else f"{name}:{port}"
    path = _BEFORE_PATH.sub("", url, count=1)
    target = path if path.startswith("/") else f"/{path}"
    for_proxy = [f"{key.decode('latin-1')}: {value.decode('latin-1')}" for key, value in route.forward or ()]
    if route.forward is not None:
        target = f"{scheme}://{host}{target}"
    own = [f"{key}: {value}" for key, value in fields.items()]
    return "\r\n".join([f"GET {target} HTTP/1.1", f"Host: {host}", *for_proxy, *own, "", ""]).encode("latin-1")


def parse_head(head: bytes) -> tuple[int, dict[str, str]] | None:
    """Status and headers of a reply; None unless it is plainly HTTP/1.1.

    Strict (RFC 9112, section 4, 5): no folded lines, no bare line ends, nothing but ASCII, no
    header twice but those that may be repeated and that nobody here reads.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    status = _STATUS.fullmatch(first)
    if not status or lines[-2:] != ["", ""]:
        return None
    headers: dict[str, str] = {}
    for line in lines[:-2]:
        field = _field(line)
        if field is None:
            return None
        name, value = field
        if name in headers and name not in ("set-cookie", "vary", "via", "link"):
            return None
        headers[name] = value
    return int(status[1]), headers


@functools.lru_cache(maxsize=256)
def _field(line: str) -> tuple[str, str] | None:
    """Name and value of a header; most are the same in all replies of a host."""
    found = _FIELD.fullmatch(line)
    return (found[1].lower(), found[2] or "") if found else None


def _answer(connection: Connection, received: int, body_at: int) -> Answer | None:
    """The answer at the start of the buffer, if it is one that this module takes."""
    parsed = parse_head(bytes(memoryview(connection.buffer)[:body_at]))
    if parsed is None:
        return None
    status, headers = parsed
    if status < 200 or status in (204, 304):
        return None  # without a body, whatever the headers say
    length_text = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length_text) or not _is_plain(headers):
        return None
    length = int(length_text)
    view = memoryview(connection.buffer)
    end = min(received, body_at + length)
    if end < received and not connection.ahead:
        return None  # more than it announced
    connection.rest = bytes(view[end:received])
    return Answer(
        status=status,
        headers=headers,
        length=length,
        held=view[body_at:end],
        may_stay=headers.get("connection", "keep-alive").lower() == "keep-alive",
        connection=connection,
    )


def _is_plain(headers: Mapping[str, str]) -> bool:
    """Whether the body is Content-Length bytes as they are."""
    return (
        "transfer-encoding" not in headers
        and "upgrade" not in headers
        and headers.get("content-encoding", "identity").lower() == "identity"
    )
