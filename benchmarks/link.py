"""A long line on loopback: a TCP forwarder that adds round-trip time.

`tc netem` needs privileges and a kernel module that are often missing, so the delay is
made here, in user space.  How it is like a real line, and how not:
  * the whole round trip is added on the way to the server: what a client sends reaches
    the server one round trip later, and two later right after it connected (a real
    connect would have taken the first).  When a client sees its answers is the same as
    with half of the delay each way;
  * answers are handed on as they come (splice, not copied through Python), so that a
    fast reader is not held up by this program; slow start and loss are not there.
A limit of the rate is nginx's part (server.py).  Ends when its standard input ends, so
it never outlives the program that started it.
"""

import fcntl
import heapq
import itertools
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PIPE = 256 << 10  # bytes in flight between the two sockets of a connection
_READ = 64 << 10


@dataclass(slots=True, kw_only=True, eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    open_at_s: float  # when a client on a real line could first send
    directions: Iterator[int] = field(default_factory=lambda: iter((1, 0)))

    def one_direction_done(self) -> None:
        """Close both sockets after the second call."""
        if next(self.directions) == 0:
            self.client.close()
            self.server.close()


class Forwarder:
    """Forwards what comes to any of `hosts` to `port` of the same host."""

    def __init__(self, port: int, *, hosts: Sequence[str], round_trip_s: float) -> None:
        self._upstream_port = port
        self._round_trip_s = round_trip_s
        self._due: list[tuple[float, int, _Connection, bytes]] = []
        self._order = itertools.count()
        self._selector = selectors.DefaultSelector()
        self.port = 0  # where it listens, on each of the hosts
        for host in hosts:
            listener = socket.create_server((host, self.port), backlog=512)
            self.port = int(listener.getsockname()[1])
            self._selector.register(listener, selectors.EVENT_READ)

    def run(self) -> None:
        """Accept and forward what clients send; never returns."""
        while True:
            wait_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for key, _ in self._selector.select(wait_s):
                if isinstance(key.data, _Connection):
                    self._receive(key.data)
                elif isinstance(key.fileobj, socket.socket):
                    self._accept(key.fileobj)
            self._deliver()

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        server = socket.create_connection((listener.getsockname()[0], self._upstream_port))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made = _Connection(client=client, server=server, open_at_s=time.monotonic() + self._round_trip_s)
        self._selector.register(client, selectors.EVENT_READ, made)
        threading.Thread(target=_answer, args=(made,), daemon=True).start()

    def _receive(self, made: _Connection) -> None:
        try:
            piece = made.client.recv(_READ)
        except OSError:
            piece = b""
        if not piece:
            self._selector.unregister(made.client)
        due_s = max(time.monotonic(), made.open_at_s) + self._round_trip_s
        heapq.heappush(self._due, (due_s, next(self._order), made, piece))

    def _deliver(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, _, made, piece = heapq.heappop(self._due)
            try:
                if piece:
                    made.server.sendall(piece)
                else:
                    made.server.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the server closed first; the answering thread sees it too
            if not piece:
                made.one_direction_done()


def _answer(made: _Connection) -> None:
    """Hand the server's bytes to the client until one of them is done."""
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
        while held := os.splice(made.server.fileno(), writer, _PIPE):
            while held:
                held -= os.splice(reader, made.client.fileno(), held)
        made.client.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the client went away, as clients do after their last file
    finally:
        os.close(reader)
        os.close(writer)
        made.one_direction_done()


@contextmanager
def long_line(port: int, *, hosts: Sequence[str], round_trip_ms: int) -> Iterator[int]:
    """A forwarder to `port` of `hosts`, in its own process; yields its port."""
    command = [sys.executable, "-m", "benchmarks.link", str(port), str(round_trip_ms), *hosts]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def main() -> None:
    """`link.py PORT ROUND_TRIP_MS HOST…`: prints its own port, forwards until stdin ends."""
    port, round_trip_ms, *hosts = sys.argv[1:]
    forwarder = Forwarder(int(port), hosts=hosts, round_trip_s=int(round_trip_ms) / 1000)
    threading.Thread(target=forwarder.run, daemon=True).start()
    print(forwarder.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
