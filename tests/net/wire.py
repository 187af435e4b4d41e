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
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.net.listener import Listener, read_head

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


class Wire(Listener):
    """The server; `requests` are the heads that it received, `connections` how many were opened."""

    def __init__(self, script: Script, *, tls: bool = False) -> None:
        super().__init__()
        self._script = script
        self.tls: ssl.SSLContext | None = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(CERTIFICATE)
        self.requests: list[bytes] = []
        self.chosen: list[str | None] = []  # by ALPN

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def serve(self, connection: socket.socket) -> None:
        """As Listener.serve."""
        raw = connection
        with contextlib.suppress(OSError):
            if self.tls:
                secure = self.tls.wrap_socket(raw, server_side=True)
                self.chosen.append(secure.selected_alpn_protocol())
                self._open.add(secure)
                connection = secure
            while head := read_head(connection):
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
