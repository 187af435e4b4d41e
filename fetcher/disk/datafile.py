"""The file that an object's bytes are written to: any offset, any thread, with the page cache or past it.

The page cache keeps what was written for whoever reads it next, so it is the usual way.  Where
it is what slows a download down (a guest whose host takes memory back: 3 CPU seconds a GiB; a
cache that is full of dirty pages), `Gauge` sends whole pages past it (O_DIRECT: a tenth of the
CPU).  Each such write waits for the disk, though; where that is all that writers do, the cache
holds bytes only until they are on disk (RWF_DONTCACHE: twice the CPU of O_DIRECT, and the disk
is never idle).  The kernel keeps all ways coherent.

Not in here: what the bytes are, the journal (partial.py).

Promises (tests/disk/test_datafile.py):
  * what was written is what is read, whichever way either took;
  * a file system or kernel without a way, or its refusal, costs the way, never the bytes.
"""

import errno
import math
import mmap
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fetcher.disk.share import read_at, write_at

_PAGE = 4096  # bytes; O_DIRECT wants offsets, sizes and addresses in multiples of the disk's blocks, 4 KiB at most
_WINDOW = 8 << 20  # bytes; one look of the gauge, more where several write: of each more than one buffer
_BUSY = 0.4  # share of the time; a writer that is less busy is not what a download waits for
_FORGET = {True: 1 << 30, False: 128 << 20}  # bytes by one way after which what the other one was worth is old
_BETTER = 1.2  # times as fast; less is not worth a change
_WAITING = 0.35  # share of each writer's time; beyond, the disk should have something to do meanwhile
_LOOKS = 4  # one after the other that say so
_DIRECT = getattr(os, "O_DIRECT", 0)
_REFUSED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOENT}  # or its name is gone
_RWF_DONTCACHE = getattr(os, "RWF_DONTCACHE", 0x80)  # linux/fs.h; younger Pythons have the name
_DROPS_SINCE = (6, 17)  # Linux has it from 6.14 on, but pages could be freed while they were in use
_sync_data = getattr(os, "fdatasync", os.fsync)


def drops_behind() -> bool:
    """Whether this kernel can let go of a page as soon as it is on disk; a file system may still refuse."""
    if sys.platform != "linux":
        return False
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return found is not None and (int(found[1]), int(found[2])) >= _DROPS_SINCE


def page_buffer(size: int) -> memoryview:
    """A buffer that begins on a page, as O_DIRECT wants it."""
    return memoryview(mmap.mmap(-1, size)) if size else memoryview(b"")


class Gauge:
    """Finds the fastest way while bytes are written.  Used by several threads at once.

    The cache, or the way past it, is left when writers are busy with it for long, and the other one was
    faster when it was last measured, or was not measured lately.

    Attributes:
        past_cache: Whether bytes go past the cache.
        drops_behind: Whether they do so by its dropping them, not by O_DIRECT; then until the cache is tried again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.past_cache = False
        self.drops_behind = False
        self._can_drop_behind = drops_behind()
        self._lock = threading.Lock()
        self._has_one_way = _DIRECT == 0
        self._rates: dict[bool, float] = {}  # bytes a second of writing, by way, when last measured
        self._since = 0  # bytes, since the way was changed
        self._begun_s = 0.0
        self._busy_s = 0.0
        self._size = 0
        self._writers: set[int] = set()  # threads
        self._waiting = 0  # looks, one after the other

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
            self._writers.add(threading.get_ident())
            if self._size >= _WINDOW * max(1, len(self._writers) // 2):
                self._decide()

    def refused(self, *, drops_behind: bool) -> None:
        """Take note that this file system has no way past the cache, or not that one."""
        if drops_behind:
            self.drops_behind = self._can_drop_behind = False
        else:
            self.past_cache, self._has_one_way = False, True

    def _decide(self) -> None:
        elapsed_s = max(self.clock() - self._begun_s, 1e-9)
        rate = self._rates[self.past_cache] = self._size / max(self._busy_s, 1e-9)
        self._since += self._size
        if self._since >= _FORGET[self.past_cache]:
            self._rates.pop(not self.past_cache, None)
        if self._busy_s > _BUSY * elapsed_s and self._rates.get(not self.past_cache, math.inf) > _BETTER * rate:
            self.past_cache = not self.past_cache
            self.drops_behind = False
            self._since = self._waiting = 0
        elif self.past_cache and self._can_drop_behind and not self.drops_behind:
            is_waiting = self._busy_s > _WAITING * elapsed_s * len(self._writers)
            self._waiting = self._waiting + 1 if is_waiting else 0
            self.drops_behind = self._waiting == _LOOKS
        self._size, self._busy_s = 0, 0.0
        self._writers.clear()


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
        size, way = len(view), self._way(offset, view)
        past_cache = way is not None
        while view:
            count = self._write_past_cache(way, offset, view) if way else 0
            count = count or write_at(self._descriptor, view, offset)
            offset += count
            view = view[count:]
            way = self._way(offset, view) if way else None
        self._gauge.wrote(size, self._gauge.clock() - begun_s, past_cache=past_cache)

    def read(self, offset: int, view: memoryview) -> int:
        """Fill a buffer from an offset; returns the bytes read, 0 at the end."""
        if way := self._way(offset, view):
            try:
                return os.preadv(way.descriptor, [view], offset, way.flags)
            except (OSError, NotImplementedError) as error:
                self._refused(way, error)
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

    def _way(self, offset: int, view: memoryview) -> "_Way | None":
        """Past the cache; None for bytes that go through it."""
        if not self._gauge.past_cache or offset % _PAGE or len(view) % _PAGE or not view:
            return None
        if self._gauge.drops_behind:
            return _Way(self._descriptor, _RWF_DONTCACHE)
        with self._opening:
            if self._direct < 0:
                try:
                    self._direct = os.open(self._path, os.O_RDWR | _DIRECT | getattr(os, "O_NOFOLLOW", 0))
                except OSError:
                    self._gauge.refused(drops_behind=False)
        return _Way(self._direct, 0) if self._direct >= 0 else None

    def _write_past_cache(self, way: "_Way", offset: int, view: memoryview) -> int:
        """Bytes written; 0 if the file system refuses (also a buffer that does not begin on a page)."""
        try:
            return os.pwritev(way.descriptor, [view], offset, way.flags)
        except (OSError, NotImplementedError) as error:
            self._refused(way, error)
            return 0

    def _refused(self, way: "_Way", error: OSError | NotImplementedError) -> None:
        """Take note of it; a Python that was built for an older system knows no flags (NotImplementedError)."""
        if isinstance(error, OSError) and error.errno not in _REFUSED:
            raise error
        self._gauge.refused(drops_behind=way.flags != 0)


class _Way(NamedTuple):
    """Past the cache: on which descriptor, and with which flags of preadv2 and pwritev2."""

    descriptor: int
    flags: int
