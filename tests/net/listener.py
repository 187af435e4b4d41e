"""A server on loopback with a thread for each connection; what it does with one is its subclass's."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Listener:
    """Accepts connections until the block ends; `connections` is how many came."""

    def __init__(self) -> None:
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def serve(self, connection: socket.socket) -> None:
        """Answer on one connection, in a thread of its own."""
        raise NotImplementedError

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()


def read_head(connection: socket.socket) -> bytes:
    """The next request's head; empty at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    return head
