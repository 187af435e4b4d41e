"""A loopback proxy that does to a hub's replies what bad networks and bad hubs do.

    plan = [Rule(OBJECT, Cut(after=MIB)), Rule(LISTING, Status(503), times=2)]
    with FaultProxy(hub.url, plan) as proxy:
        ... use proxy.url as the hub's endpoint ...
        assert proxy.bytes_of(OBJECT) <= size + MIB

A `Rule` has a regular expression that is searched in the percent-decoded target, a fault,
`times` (None: every time) and `skip` (let so many matching requests pass first).  The first
rule of the plan that matches and is not used up decides; without one the reply passes as it
is.  `proxy.plan` is a list and may be changed while the proxy runs.

    LISTING, FILE, OBJECT    patterns: listings; the file endpoint (both forms); the CDN path
    BYTES                    FILE or OBJECT

    Cut(after)               end the connection after so many bytes of the body (FIN)
    Reset(after)             the same with a reset (RST)
    Hangup()                 end the connection without a reply
    Stall(after, seconds)    send so many bytes of the body, then nothing for `seconds`
    Slow(rate)               bytes per second
    Corrupt(offset)          flip a bit of the byte at this offset of the *file*
    WrongLength(delta)       Content-Length is wrong by `delta`; the body stays as it is
    WrongRange(shift)        Content-Range is wrong by `shift`
    NoRange()                ask the hub without the Range header: the whole file, 200
    Status(code, headers, body)      answer this, do not ask the hub
    TooMany(retry_after)     429 with Retry-After
    JsonInstead(code)        error JSON with status 200 where bytes were due
    Lie(change)              JSON -> JSON, applied to the reply; the length is right
    Before(action)           call `action()`, then pass: a branch that moves between two pages
    RedirectTo(url)          302 to `url`; "" is the same address again: a loop
    Relocate(base)           point the hub's own redirect at another base URL

Recorded, each a copy: `proxy.requests` (every request with its headers, status, body bytes
sent and the fault), `proxy.body_bytes` (body bytes sent by path, query without auth_key).
Absolute redirects of the hub are rewritten so that the CDN path passes through here too.
"""

import http.client
import json
import os
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

LISTING = r"/repo/(files|tree)\?"
FILE = r"/repo\?|/resolve/"
OBJECT = r"/lfs-objects/"
BYTES = f"{FILE}|{OBJECT}"

_PIECE = 64 * 1024  # bytes
_DROPPED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One request that reached the proxy; `sent` is in bytes of body, header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    status: int
    sent: int
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply on its way to the client.

    Attributes:
        headers: Without Content-Length.
        length: What Content-Length will say.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    length: int
    body: Iterator[bytes]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_header(self, name: str, value: str) -> "Reply":
        kept = tuple((key, old) for key, old in self.headers if key.lower() != name.lower())
        return replace(self, headers=(*kept, (name, value)))

    @property
    def first(self) -> int:
        """Offset in the file of the first byte of the body."""
        found = re.match(r"bytes (\d+)-", self.header("content-range") or "")
        return int(found[1]) if found else 0


class Line:
    """The client's connection, as a fault sees it."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._connection = connection
        self._closing = closing
        self.sent = 0
        self.ended = False

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)
        self.sent += len(data)

    def wait(self, seconds: float) -> None:
        """Pause; ends early when the proxy is closed."""
        self._closing.wait(seconds)

    def cut(self) -> None:
        self.ended = True

    def reset(self) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self._connection.detach())  # at once, before the server says goodbye with a FIN
        self.ended = True


class Fault:
    """Changes nothing; each fault replaces one of these steps."""

    def before(self) -> None:
        """Called before the hub is asked."""

    def ask(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers to ask the hub with."""
        return headers

    def instead(self, target: str) -> Reply | None:
        """A reply without asking the hub."""
        return None

    def change(self, reply: Reply) -> Reply:
        """The reply to send."""
        return reply

    def deliver(self, reply: Reply, line: Line) -> None:
        """Send the body."""
        for piece in reply.body:
            line.send(piece)


def _send_first(reply: Reply, line: Line, count: int) -> None:
    """Send the first `count` bytes of the body."""
    for piece in reply.body:
        line.send(piece[: count - line.sent])
        if line.sent >= count:
            return


@dataclass(frozen=True)
class Cut(Fault):
    after: int

    def deliver(self, reply: Reply, line: Line) -> None:
        _send_first(reply, line, self.after)
        line.cut()


@dataclass(frozen=True)
class Reset(Fault):
    after: int

    def deliver(self, reply: Reply, line: Line) -> None:
        _send_first(reply, line, self.after)
        line.reset()


@dataclass(frozen=True)
class Hangup(Fault):
    def instead(self, target: str) -> Reply | None:
        return Reply(status=0, headers=(), length=0, body=iter(()))


@dataclass(frozen=True)
class Stall(Fault):
    after: int
    seconds: float = 60.0

    def deliver(self, reply: Reply, line: Line) -> None:
        _send_first(reply, line, self.after)
        line.wait(self.seconds)
        line.cut()


@dataclass(frozen=True)
class Slow(Fault):
    rate: int

    def deliver(self, reply: Reply, line: Line) -> None:
        step = max(1, self.rate // 20)
        for piece in reply.body:
            for start in range(0, len(piece), step):
                line.send(piece[start : start + step])
                line.wait(step / self.rate)


@dataclass(frozen=True)
class Corrupt(Fault):
    offset: int

    def deliver(self, reply: Reply, line: Line) -> None:
        position = reply.first
        for piece in reply.body:
            at = self.offset - position
            if 0 <= at < len(piece):
                piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
            position += len(piece)
            line.send(piece)


@dataclass(frozen=True)
class WrongLength(Fault):
    delta: int

    def change(self, reply: Reply) -> Reply:
        return replace(reply, length=max(0, reply.length + self.delta))

    def deliver(self, reply: Reply, line: Line) -> None:
        super().deliver(reply, line)
        line.cut()


@dataclass(frozen=True)
class WrongRange(Fault):
    shift: int

    def change(self, reply: Reply) -> Reply:
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", reply.header("content-range") or "")
        if not found:
            return reply
        start, stop, total = int(found[1]) + self.shift, int(found[2]) + self.shift, found[3]
        return reply.with_header("Content-Range", f"bytes {start}-{stop}/{total}")


@dataclass(frozen=True)
class NoRange(Fault):
    def ask(self, headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name != "range"}


def _ready(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    return Reply(status=status, headers=tuple(headers.items()), length=len(body), body=iter((body,)))


@dataclass(frozen=True)
class Status(Fault):
    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def instead(self, target: str) -> Reply | None:
        return _ready(self.code, self.headers, self.body)


@dataclass(frozen=True)
class TooMany(Fault):
    retry_after: int | str = 1

    def instead(self, target: str) -> Reply | None:
        return _ready(429, {"Retry-After": str(self.retry_after)}, b"")


@dataclass(frozen=True)
class JsonInstead(Fault):
    code: int = 10990101007

    def instead(self, target: str) -> Reply | None:
        document = {"Code": self.code, "Success": False, "Message": "injected", "RequestId": "0", "Data": None}
        return _ready(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


@dataclass(frozen=True)
class Lie(Fault):
    apply: Callable[[Any], Any]

    def change(self, reply: Reply) -> Reply:
        body = json.dumps(self.apply(json.loads(b"".join(reply.body)))).encode()
        return replace(reply, length=len(body), body=iter((body,)))


@dataclass(frozen=True)
class Before(Fault):
    action: Callable[[], object]

    def before(self) -> None:
        self.action()


@dataclass(frozen=True)
class RedirectTo(Fault):
    url: str = ""

    def instead(self, target: str) -> Reply | None:
        return _ready(302, {"Location": self.url or target}, b"")


@dataclass(frozen=True)
class Relocate(Fault):
    base: str

    def change(self, reply: Reply) -> Reply:
        parts = urlsplit(reply.header("location") or "")
        query = f"?{parts.query}" if parts.query else ""
        return reply.with_header("Location", f"{self.base}{parts.path}{query}") if parts.path else reply


@dataclass
class Rule:
    """One line of a plan."""

    match: str
    fault: Fault
    times: int | None = None
    skip: int = 0


class FaultProxy:
    """A proxy in front of one hub; see the module's header.

    Args:
        upstream_url: The hub, such as `http://127.0.0.1:8000`.
        plan: The rules, the first that matches decides.
        host: Loopback address to listen on; 127.0.0.2 is another host for a client.
    """

    def __init__(self, upstream_url: str, plan: Sequence[Rule] = (), *, host: str = "127.0.0.1") -> None:
        self.plan = [replace(rule) for rule in plan]
        self.upstream_url = upstream_url.rstrip("/")
        self._closing = threading.Event()
        self._seen: list[SeenRequest] = []
        self._lock = threading.Lock()
        self._busy = 0
        self._settled = threading.Condition(self._lock)
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server((host, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The endpoint to give to a client."""
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}"

    @property
    def requests(self) -> list[SeenRequest]:
        """All requests whose reply was sent or failed; waits up to a second for those under way."""
        with self._settled:
            self._settled.wait_for(lambda: self._busy == 0, timeout=1)
            return list(self._seen)

    @property
    def body_bytes(self) -> Counter[str]:
        """Bytes of body sent by path; the query belongs to the path, but for `auth_key`."""
        counted: Counter[str] = Counter()
        for seen in self.requests:
            counted[re.sub(r"[?&]auth_key=[^&]*", "", seen.target)] += seen.sent
        return counted

    def bytes_of(self, match: str) -> int:
        """Bytes of body sent for the targets in which the pattern `match` is found."""
        return sum(seen.sent for seen in self.requests if re.search(match, unquote(seen.target)))

    def count(self, match: str = "") -> int:
        """Number of requests whose target matches."""
        return sum(bool(re.search(match, unquote(seen.target))) for seen in self.requests)

    def forget_requests(self) -> None:
        """Empty the record."""
        with self._settled:
            self._settled.wait_for(lambda: self._busy == 0, timeout=1)
            self._seen.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, target: str) -> Fault | None:
        """The fault for this request, counted as used; `record` must follow."""
        with self._lock:
            self._busy += 1
            for rule in self.plan:
                if rule.times == 0 or not re.search(rule.match, unquote(target)):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.times is not None:
                    rule.times -= 1
                return rule.fault
        return None

    def record(self, seen: SeenRequest) -> None:
        with self._settled:
            self._busy -= 1
            self._seen.append(seen)
            self._settled.notify_all()

    def line(self, connection: socket.socket) -> Line:
        return Line(connection, self._closing)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60.0
    proxy: FaultProxy

    def do_GET(self) -> None:
        fault = self.proxy.take(self.path)
        acting = fault or Fault()
        line = self.proxy.line(self.connection)
        status = 0
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        upstream = None
        try:
            acting.before()
            reply = acting.instead(self.path)
            if reply is None:
                upstream = self._upstream()
                reply = acting.change(self._ask(upstream, acting.ask(headers), body))
            status = reply.status
            if status == 0:
                line.cut()
            else:
                self._head(reply)
                if self.command != "HEAD":
                    acting.deliver(reply, line)
        finally:
            if upstream:
                upstream.close()
            seen = SeenRequest(
                method=self.command,
                target=self.path,
                headers=headers,
                status=status,
                sent=line.sent,
                fault=type(fault).__name__ if fault else None,
            )
            self.proxy.record(seen)
        if line.ended:
            self.close_connection = True

    do_HEAD = do_GET
    do_POST = do_GET

    def _upstream(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.proxy.upstream_url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def _ask(self, upstream: http.client.HTTPConnection, headers: dict[str, str], body: bytes) -> Reply:
        passed = {name: value for name, value in headers.items() if name not in _DROPPED}
        upstream.request(self.command, self.path, body=body or None, headers=passed)
        answer = upstream.getresponse()
        kept = tuple((name, value) for name, value in answer.getheaders() if name.lower() not in _DROPPED)
        reply = Reply(
            status=answer.status, headers=kept, length=int(answer.headers["Content-Length"]), body=_pieces(answer)
        )
        location = reply.header("location")
        if location and location.startswith(self.proxy.upstream_url):
            reply = reply.with_header("Location", self.proxy.url + location.removeprefix(self.proxy.upstream_url))
        return reply

    def _head(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(reply.length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet; `FaultProxy.requests` has it all."""


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := answer.read(_PIECE):
        yield piece
