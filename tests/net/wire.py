"""A server that sends exactly the bytes that a test scripts, on loopback, plain or by TLS.

    with Wire(script) as wire:       # script: request head (bytes) -> pieces to send
        ... wire.url ...

A piece is bytes, a number of seconds to wait, or a word: CUT (FIN) or RESET (RST).  After the
pieces the connection stays open for the next request.  `loopback.pem` is a self-signed
certificate with its key, for 127.0.0.1 and localhost, worth nothing elsewhere.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

CERTIFICATE = Path(__file__).with_name("loopback.pem")
CUT, RESET = "cut", "reset"

Piece = bytes | float | str
Script = Callable[[bytes], Iterable[Piece]]


def reply(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A reply with Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def trusting() -> ssl.SSLContext:
    """A context that trusts `loopback.pem`."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


class Wire:
    """The server; `requests` are the heads that it received, `connections` how many were opened."""

    def __init__(self, script: Script, *, tls: bool = False) -> None:
        self._script = script
        self.tls: ssl.SSLContext | None = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(CERTIFICATE)
        self.requests: list[bytes] = []
        self.connections = 0
        self.chosen: list[str | None] = []  # by ALPN
        self._open: set[socket.socket] = set()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        with contextlib.suppress(OSError):
            if self.tls:
                secure = self.tls.wrap_socket(raw, server_side=True)
                self.chosen.append(secure.selected_alpn_protocol())
                self._open.add(secure)
                connection = secure
            while head := _head(connection):
                self.requests.append(head)
                if not all(self._send(connection, piece) for piece in self._script(head)):
                    return
        connection.close()

    def _send(self, connection: socket.socket, piece: Piece) -> bool:
        """Whether the connection goes on."""
        if isinstance(piece, bytes):
            connection.sendall(piece)
            return True
        if isinstance(piece, float):
            return not self._over.wait(piece)
        if piece == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return False


def _head(connection: socket.socket) -> bytes:
    """The next request's head; empty at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head
