"""The file that an object's bytes are written to: any offset, any thread, with or without the page cache.

The page cache keeps what was written for whoever reads it next, so it is the usual way.  Where
it is what slows a download down (a guest whose host takes memory back: 3 CPU seconds a GiB; a
cache that is full of dirty pages), `Gauge` sends whole pages past it (O_DIRECT: a tenth of the
CPU, and durable at once).  The kernel keeps both ways coherent.

Not in here: what the bytes are, the journal (partial.py).

Promises (tests/disk/test_datafile.py):
  * what was written is what is read, whichever way either took;
  * a file system without O_DIRECT, or a refusal of it, costs the way, never the bytes.
"""

import errno
import math
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fetcher.disk.share import read_at, write_at

_PAGE = 4096  # bytes; O_DIRECT wants offsets, sizes and addresses in multiples of the disk's blocks, 4 KiB at most
_WINDOW = 32 << 20  # bytes; one look of the gauge
_BUSY = 0.4  # share of the time; a writer that is less busy is not what a download waits for
_FORGET = {True: 1 << 30, False: 128 << 20}  # bytes by one way after which what the other one was worth is old
_BETTER = 1.2  # times as fast; less is not worth a change
_DIRECT = getattr(os, "O_DIRECT", 0)
_REFUSED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOENT}  # or its name is gone
_sync_data = getattr(os, "fdatasync", os.fsync)


def page_buffer(size: int) -> memoryview:
    """A buffer that begins on a page, as O_DIRECT wants it."""
    return memoryview(mmap.mmap(-1, size)) if size else memoryview(b"")


class Gauge:
    """Finds the faster of the two ways while bytes are written.  Used by several threads at once.

    A way is left when writers are busy with it for long, and the other one was faster when it was
    last measured, or was not measured lately.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.past_cache = False
        self._lock = threading.Lock()
        self._has_one_way = _DIRECT == 0
        self._rates: dict[bool, float] = {}  # bytes a second of writing, by way, when last measured
        self._since = 0  # bytes, since the way was changed
        self._begun_s = 0.0
        self._busy_s = 0.0
        self._size = 0

    def wrote(self, size: int, seconds: float, *, past_cache: bool) -> None:
        """Take note of `size` bytes that took so long to be written."""
        if self._has_one_way:
            return
        with self._lock:
            if past_cache != self.past_cache:
                return  # begun before the last decision
            if self._size == 0:
                self._begun_s = self.clock() - seconds
            self._size += size
            self._busy_s += seconds
            if self._size >= _WINDOW:
                self._decide()

    def refused(self) -> None:
        """Take note that this file system has one way only."""
        self.past_cache, self._has_one_way = False, True

    def _decide(self) -> None:
        elapsed_s = max(self.clock() - self._begun_s, 1e-9)
        rate = self._rates[self.past_cache] = self._size / max(self._busy_s, 1e-9)
        self._since += self._size
        if self._since >= _FORGET[self.past_cache]:
            self._rates.pop(not self.past_cache, None)
        if self._busy_s > _BUSY * elapsed_s and self._rates.get(not self.past_cache, math.inf) > _BETTER * rate:
            self.past_cache = not self.past_cache
            self._since = 0
        self._size, self._busy_s = 0, 0.0


class DataFile:
    """A file of a known size, open for reading and writing.

    Args:
        path: Made if need be; a symlink is refused.
        gauge: Shared by all files of a file system.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, gauge: Gauge) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._path = path
        self._gauge = gauge
        self._descriptor = os.open(path, flags, 0o600)
        self._direct = -1
        self._opening = threading.Lock()

    @property
    def descriptor(self) -> int:
        """The usual one."""
        return self._descriptor

    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self._descriptor >= 0

    def size(self) -> int:
        """Bytes."""
        return os.fstat(self._descriptor).st_size

    def allocate(self, size: int) -> None:
        """Empty it and reserve `size` bytes now, so that a full disk is found before the first byte."""
        os.ftruncate(self._descriptor, 0)
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._descriptor, 0, size)
        else:
            os.ftruncate(self._descriptor, size)

    def write(self, offset: int, view: memoryview) -> None:
        """Write all bytes of a buffer.

        Raises:
            OSError: No space, quota, I/O error.
        """
        begun_s = self._gauge.clock()
        size, past_cache = len(view), self._goes_past_cache(offset, view)
        while view:
            count = self._write_past_cache(offset, view) if past_cache else 0
            count = count or write_at(self._descriptor, view, offset)
            offset += count
            view = view[count:]
            past_cache = past_cache and self._goes_past_cache(offset, view)
        self._gauge.wrote(size, self._gauge.clock() - begun_s, past_cache=past_cache)

    def read(self, offset: int, view: memoryview) -> int:
        """Fill a buffer from an offset; returns the bytes read, 0 at the end."""
        if self._goes_past_cache(offset, view):
            try:
                return os.preadv(self._direct, [view], offset)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
                self._gauge.refused()
        return read_at(self._descriptor, view, offset)

    def sync(self) -> None:
        """Make its bytes durable."""
        _sync_data(self._descriptor)

    def close(self) -> None:
        """Release it; may be called twice."""
        for descriptor in (self._descriptor, self._direct):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._direct = -1

    def _goes_past_cache(self, offset: int, view: memoryview) -> bool:
        return self._gauge.past_cache and not (offset % _PAGE or len(view) % _PAGE) and self._can_go_past_cache()

    def _can_go_past_cache(self) -> bool:
        with self._opening:
            if self._direct < 0 and self._gauge.past_cache:
                try:
                    self._direct = os.open(self._path, os.O_RDWR | _DIRECT | getattr(os, "O_NOFOLLOW", 0))
                except OSError:
                    self._gauge.refused()
        return self._direct >= 0

    def _write_past_cache(self, offset: int, view: memoryview) -> int:
        """Bytes written; 0 if the file system refuses (also a buffer that does not begin on a page)."""
        try:
            return os.pwrite(self._direct, view, offset)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._gauge.refused()
            return 0
