"""Bytes that git or the disk gives, as bodies (core.interfaces.Body)."""

import io
import os
import subprocess
from collections.abc import Callable
from typing import cast

from fetcher.core.interfaces import Closing, Head
from fetcher.net import failures


class LocalBody(Closing):
    """Bytes that come from `read` until it fills nothing.

    Args:
        host: For messages.
        first: Where in the file they begin, in bytes; None when it is the whole file.
        length: How many they are.
        total: Bytes of the whole file.
        read: Fills a buffer; 0 at the end.
        close: Ends whatever gives them.
    """

    def __init__(
        self,
        *,
        host: str,
        first: int | None,
        length: int,
        total: int,
        read: Callable[[memoryview], int],
        close: Callable[[], object],
    ) -> None:
        status = 200 if first is None else 206
        self.head = Head(status=status, first=first, total=total, length=length, host=host)
        self._left = length
        self._read = read
        self._close = close
        self._is_closed = False

    def readinto(self, buffer: memoryview) -> int:
        """As core.interfaces.Body.readinto."""
        if self._left == 0:
            return 0
        if self._is_closed:
            raise failures.closed(self.head.host)
        try:
            count = self._read(buffer[: self._left])
        except (OSError, ValueError) as error:  # ValueError: closed by another thread
            raise failures.cut(self.head.host, str(error)) from None
        if count == 0:
            raise failures.cut(self.head.host, f"{self._left} bytes are missing")
        self._left -= count
        return count

    def close(self) -> None:
        """End it."""
        if not self._is_closed:
            self._is_closed = True
            self._close()


def bytes_body(content: bytes, *, start: int, stop: int, host: str) -> LocalBody:
    """Part of what is in memory."""
    part = memoryview(content)[start:stop]
    at = 0

    def read(buffer: memoryview) -> int:
        nonlocal at
        count = min(len(buffer), len(part) - at)
        buffer[:count] = part[at : at + count]
        at += count
        return count

    return LocalBody(host=host, first=start, length=len(part), total=len(content), read=read, close=lambda: None)


def file_body(path: str, *, start: int, stop: int, host: str) -> LocalBody:
    """Part of a file.

    Raises:
        OSError: It cannot be opened.
    """
    file = open(path, "rb")  # noqa: SIM115  closed by the body
    try:
        size = os.fstat(file.fileno()).st_size
        file.seek(start)
    except BaseException:
        file.close()
        raise
    length = max(0, min(stop, size) - start)
    return LocalBody(host=host, first=start, length=length, total=size, read=file.readinto1, close=file.close)


def program_body(
    process: "subprocess.Popen[bytes]", *, size: int, host: str, end: Callable[["subprocess.Popen[bytes]"], None]
) -> LocalBody:
    """All that a program says, `size` bytes; a part cannot be had."""
    pipe = cast(io.BufferedReader, process.stdout)  # its lock keeps `close` away from a read
    return LocalBody(host=host, first=None, length=size, total=size, read=pipe.readinto1, close=lambda: end(process))
