"""The server of an embedded hub: sockets, threads and a log of requests.

    with Hub(folder) as hub:
        ... hub.url ...

It decides nothing about answers (answers.py does).  Bodies of files go from the disk to
the socket by sendfile.

Promises (tests/serve/test_hub.py):
  * a client that goes away, stalls or sends nonsense ends its own connection only;
  * at most `MAX_CONNECTIONS` connections have a thread; further ones get 503;
  * a file that shrinks while it is sent ends its connection: no other reply fills the gap.
"""

import contextlib
import io
import logging
import re
import socket
import socketserver
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fetcher.core.units import count_text, size_text
from fetcher.errors import ConfigError
from fetcher.serve.answers import Answers, Doorkeeper
from fetcher.serve.repositories import Library, Revisions
from fetcher.serve.wire import Answer, FileSlice, Request

MAX_CONNECTIONS = 256
MAX_BODY = 64 * 1024  # bytes of a request; a login needs far less
MAX_LOGGED = 100_000  # requests kept in memory
IDLE_S = 60.0  # a connection without a byte moving for so long is closed
SETTLE_S = 1.0  # how long `Hub.requests` waits for answers that are being sent

_SHOWN_COMMIT = 12  # hex digits for people; enough to tell the commits of a folder apart
_AUTH_KEY = re.compile(r"(auth_key=)[^&]*")
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """One request that was answered.

    Attributes:
        path: The request's target as it was sent, with the query.
        status: HTTP status code.
        sent: Bytes of body that were handed to the socket.
        range: The Range header, if there was one.
    """

    method: str
    path: str
    status: int
    sent: int
    range: str | None = None

    def __str__(self) -> str:
        shown = "".join(char if char.isprintable() else f"%{ord(char):02X}" for char in self.path)
        shown = _AUTH_KEY.sub(r"\1...", shown)
        return f"{self.method} {shown} {self.status} {self.sent}"


class RequestLog:
    """The last requests, in the order in which their answers began."""

    def __init__(self) -> None:
        self._done: deque[LoggedRequest] = deque(maxlen=MAX_LOGGED)
        self._busy = 0
        self._changed = threading.Condition()

    def begin(self) -> None:
        with self._changed:
            self._busy += 1

    def end(self, entry: LoggedRequest) -> None:
        with self._changed:
            self._busy -= 1
            self._done.append(entry)
            self._changed.notify_all()

    def entries(self) -> list[LoggedRequest]:
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, timeout=SETTLE_S)
            return list(self._done)

    def clear(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0, timeout=SETTLE_S)
            self._done.clear()


class Hub:
    """A folder of repositories, published by HTTP.

    Args:
        root: The folder, laid out as repositories.py says.
        host: Address to listen on; only loopback unless told.
        port: 0 takes a free one.
        token: What a client must show; None lets everyone read.
        access_log: Called with one line a request, without secrets.
        clock: Seconds since the epoch, for the signatures' expiry.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        access_log: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.library = Library(root)
        self._log = RequestLog()
        answers = Answers(self.library, Doorkeeper(token, clock=clock))
        self._server = _Server((host, port), answers, self._log, access_log)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the hub is reached, without a slash at the end."""
        return self._server.base_url

    @property
    def requests(self) -> list[LoggedRequest]:
        """The requests answered so far; waits up to a second for answers that are being sent."""
        return self._log.entries()

    def forget_requests(self) -> None:
        """Empty the list of requests."""
        self._log.clear()

    def published(self) -> Iterator[str]:
        """Hash everything; yields one line for each branch and tag."""
        for key in self.library.repositories():
            repository = self.library.find(key)
            revisions = repository.revisions() if repository else Revisions()
            kind = "datasets/" if key.dataset else ""
            for name, tree in (*revisions.branches.items(), *revisions.tags.items()):
                size = size_text(sum(file.size for file in tree.files.values()))
                files = count_text(len(tree.files), "file")
                yield f"{kind}{key} {name} {tree.commit[:_SHOWN_COMMIT]} {files}, {size}"

    def start(self) -> Self:
        """Serve in a thread of its own."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="hub", daemon=True)
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve in this thread until `close` is called from another, or Ctrl-C."""
        self._server.serve_forever()

    def close(self) -> None:
        """Stop listening and end all connections."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._server.end_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        answers: Answers,
        log: RequestLog,
        access_log: Callable[[str], None] | None,
    ) -> None:
        self.answers = answers
        self.log = log
        self.access_log = access_log
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks the name up in DNS, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    @property
    def base_url(self) -> str:
        host, port = self.server_address[:2]
        name = str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self._turn_away(request)
            return
        with self._open_lock:
            self._open.add(request)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._turn_away(request)
            self._leave(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _leave(self, request: socket.socket) -> None:
        with self._open_lock:
            self._open.discard(request)
        self._places.release()

    def _turn_away(self, request: socket.socket) -> None:
        with contextlib.suppress(OSError):
            request.settimeout(0)
            request.send(_BUSY)
        self.shutdown_request(request)

    def end_connections(self) -> None:
        with self._open_lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exception(), OSError):  # the client went away
            _log.debug("connection of %s ended", client_address, exc_info=True)
        else:
            _log.error("request of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fetcher"
    sys_version = ""
    timeout = IDLE_S
    disable_nagle_algorithm = True
    wbufsize = 0
    server: _Server

    def do_GET(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # its body would be read as the next request
        self._answer(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            self.send_error(413 if length.isdecimal() else 411)
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(method=self.command, target=self.path, headers=headers, body=body)
        self._status, self._sent = 500, 0
        self.server.log.begin()
        try:
            self._send(self.server.answers.answer(request, base_url=self._base_url(headers)))
        finally:
            entry = LoggedRequest(
                method=self.command,
                path=self.path,
                status=self._status,
                sent=self._sent,
                range=headers.get("range"),
            )
            self.server.log.end(entry)
            if self.server.access_log:
                self.server.access_log(f"{self.client_address[0]} {entry}")

    def _base_url(self, headers: dict[str, str]) -> str:
        host = headers.get("host", "")
        return f"http://{host}" if _HOST.fullmatch(host) else self.server.base_url

    def _send(self, answer: Answer) -> None:
        if isinstance(answer.body, bytes):
            self._head(answer, len(answer.body))
            if self.command != "HEAD":
                self.wfile.write(answer.body)
                self._sent = len(answer.body)
            return
        descriptor = answer.body.file.open()
        if descriptor is None:  # changed since it was found
            self._head(Answer(status=404), 0)
            return
        with open(descriptor, "rb", buffering=0) as file:
            self._head(answer, answer.body.stop - answer.body.start)
            if self.command != "HEAD":
                self._send_file(file, answer.body)

    def _head(self, answer: Answer, length: int) -> None:
        self._status = answer.status
        self.send_response_only(answer.status)
        self.send_header("Server", self.server_version)
        self.send_header("Date", self.date_time_string())
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send_file(self, file: io.FileIO, part: FileSlice) -> None:
        length = part.stop - part.start
        if length == 0:
            return
        try:
            self.connection.sendfile(file, part.start, length)
        finally:
            self._sent = file.tell() - part.start
        if self._sent != length:  # the file became shorter: the promised length cannot be kept
            self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The refusal of what is no request to this hub: a status, no page; ends the connection."""
        self.close_connection = True
        self.request_version = self.protocol_version  # what could not be parsed counts as HTTP/0.9
        self._head(Answer(status=int(code), headers=(("Connection", "close"),)), 0)
        if self.server.access_log:
            self.server.access_log(f"{self.client_address[0]} refused {int(code)}")

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("%s: %s", self.client_address[0], format % args)


def serve_folder(
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    log: Callable[[str], None],
) -> None:
    """Publish a folder until interrupted; `log` gets what is published, then one line a request.

    Everything is hashed before the first request is answered, so that no client waits for it.

    Raises:
        ConfigError: The folder does not exist, is a file, or the address cannot be used.
    """
    if not root.is_dir():
        raise ConfigError(
            f"{root} is a file, not a folder." if root.exists() else "The folder to serve does not exist.",
            facts=[] if root.exists() else [f"folder: {root}"],
            fix="run `fetcher serve DIR` with a folder that holds OWNER/NAME/ folders",
        )
    try:
        hub = Hub(root, host=host, port=port, token=token, access_log=log)
    except OSError as error:
        raise ConfigError(
            "The address cannot be listened on.",
            facts=[f"address: {host}:{port}", f"reason: {error.strerror or error}"],
            fix="run `fetcher serve` with another --host or --port",
        ) from error
    try:
        for line in hub.published():
            log(line)
        if not hub.library.repositories():
            log(f"warning: no OWNER/NAME/ folder in {root}; nothing is published yet")
        log(f"serving {root} at {hub.url}")
        hub.serve_forever()
    finally:
        hub.close()
