"""The least that a program in Python can do for large files: `python -m benchmarks.bare [URL FILE SHA256]…`.

One connection, whose body goes through a ring of buffers from the thread that receives to
one that writes and one that hashes, the way to the disk that fetcher has, and bytes that
are durable at the end.  No journal, no chunk list, no command line, no plan: what fetcher
takes longer is what those cost, and a goal that this does not reach is out of fetcher's
reach on that machine, too.
"""

import hashlib
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit

from fetcher.disk.datafile import DataFile, Gauge, page_buffer

_BUFFER = 1 << 20  # bytes
_BUFFERS = 8
_ALL = 1 << 30
_PATIENCE_S = 60  # then the thread that writes has failed, and said so

_Filled = tuple[int, int, memoryview]  # offset, count, buffer
_Buffers = SimpleQueue[memoryview]
_Pieces = SimpleQueue[_Filled | None]  # None: the end


def fetch(url: str, file: DataFile, sha256: str) -> None:
    """Receive a file; where its sha256 is empty, it is not hashed.

    Raises:
        SystemExit: It has another sha256.
        OSError: The server failed.
        Empty: The disk did.
    """
    spare: _Buffers = SimpleQueue()
    for _ in range(_BUFFERS):
        spare.put(page_buffer(_BUFFER))
    to_write: _Pieces = SimpleQueue()
    to_hash: _Pieces = SimpleQueue()
    hasher = hashlib.sha256()

    def write() -> None:
        while (piece := to_write.get()) is not None:
            offset, count, buffer = piece
            file.write(offset, buffer[:count])
            to_hash.put(piece)
        to_hash.put(None)

    def hash_all() -> None:
        while (piece := to_hash.get()) is not None:
            _, count, buffer = piece
            if sha256:
                hasher.update(buffer[:count])
            spare.put(buffer)

    threads = [threading.Thread(target=work, daemon=True) for work in (write, hash_all)]
    for thread in threads:
        thread.start()
    _receive(url, file, spare, to_write)
    to_write.put(None)
    for thread in threads:
        thread.join()
    file.sync()
    if sha256 and hasher.hexdigest() != sha256:
        raise SystemExit("other bytes than expected")


def _receive(url: str, file: DataFile, spare: _Buffers, to_write: _Pieces) -> None:
    address = urlsplit(url)
    with _connected(address.scheme, address.hostname or "", address.port or 0) as sock:
        sock.sendall(f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        size = _length(sock)
        file.allocate(size)
        read = _reader(sock)
        for at in range(0, size, _BUFFER):
            buffer, filled = spare.get(timeout=_PATIENCE_S), 0
            while filled < min(_BUFFER, size - at):
                count = read(buffer[filled : size - at])
                if count == 0:
                    raise OSError("the reply was cut")
                filled += count
            to_write.put((at, filled, buffer))


def _connected(scheme: str, host: str, port: int) -> socket.socket:
    sock = socket.create_connection((host, port))
    return ssl.create_default_context().wrap_socket(sock, server_hostname=host) if scheme == "https" else sock


def _length(sock: socket.socket) -> int:
    """Content-Length; reads the head and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise OSError(head.decode())
    return int(re.findall(rb"(?i)content-length: (\d+)", head)[0])


def _reader(sock: socket.socket) -> Callable[[memoryview], int]:
    if isinstance(sock, ssl.SSLSocket):
        return lambda view: int(sock.read(_ALL, view))  # type: ignore[arg-type]
    return sock.recv_into


def main() -> None:
    """Fetch the files that the command line names, one after the other."""
    gauge = Gauge()
    words = sys.argv[1:]
    for url, path, sha256 in zip(words[::3], words[1::3], words[2::3], strict=True):
        file = DataFile(Path(path), gauge)
        fetch(url, file, sha256)
        file.close()


if __name__ == "__main__":
    main()
