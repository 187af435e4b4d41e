"""A forward and CONNECT proxy on loopback that leads every name to one server."""

import contextlib
import socket
import threading

from tests.net.listener import Listener, read_head


class Proxy(Listener):
    """The proxy; `heads` are the requests that it was asked itself, `connections` how many came."""

    def __init__(self, target: str) -> None:
        super().__init__()
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.heads: list[bytes] = []

    def serve(self, connection: socket.socket) -> None:
        """As Listener.serve."""
        with contextlib.suppress(OSError), connection, socket.create_connection(self._target, timeout=10) as server:
            self._open.add(server)
            threading.Thread(target=_pump, args=(server, connection), daemon=True).start()
            while head := read_head(connection):
                self.heads.append(head)
                if head.startswith(b"CONNECT "):
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    _pump(connection, server)
                    return
                server.sendall(head)


def _pump(giver: socket.socket, taker: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := giver.recv(1 << 16):
            taker.sendall(data)
    with contextlib.suppress(OSError):
        taker.shutdown(socket.SHUT_WR)
