"""The ways to a file's bytes: through the page cache, past it, and through a cache that lets go of them."""

import errno
import os
import random
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from fetcher.disk.datafile import DataFile, Gauge, drops_behind, page_buffer

MIB = 1 << 20
DATA = random.Random(3).randbytes(4 * MIB + 4096 + 7)


class Clock:
    """Goes forward only when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def spend(self, gauge: Gauge, *, size: int, busy_s: float, idle_s: float) -> None:
        """Let a writer be busy, then wait for bytes, in 8 pieces."""
        for _ in range(8):
            self.now_s += busy_s / 8
            gauge.wrote(size // 8, busy_s / 8, past_cache=gauge.past_cache)
            self.now_s += idle_s / 8


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gauge(clock: Clock) -> Gauge:
    return Gauge(clock)


needs_direct = pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="this system has no O_DIRECT")


def write(file: DataFile, offset: int, data: bytes) -> None:
    buffer = page_buffer(len(data))
    buffer[:] = data
    file.write(offset, buffer)


def read(file: DataFile, offset: int, size: int) -> bytes:
    buffer = page_buffer(size)
    return bytes(buffer[: file.read(offset, buffer)])


CACHE, DIRECT, DROPPED = (False, False), (True, False), (True, True)


def take(gauge: Gauge, way: tuple[bool, bool]) -> None:
    """Let the gauge say which way bytes go; none that this kernel cannot go."""
    gauge.past_cache, gauge.drops_behind = way
    gauge.drops_behind = gauge.drops_behind and drops_behind()


@pytest.mark.parametrize("written", [CACHE, DIRECT, DROPPED])
@pytest.mark.parametrize("read_by", [CACHE, DIRECT, DROPPED])
def test_what_was_written_is_what_is_read(
    tmp_path: Path, gauge: Gauge, written: tuple[bool, bool], read_by: tuple[bool, bool]
) -> None:
    """Whole pages go past the cache, the odd end does not; who reads must not see the difference."""
    file = DataFile(tmp_path / "data", gauge)
    file.allocate(len(DATA))
    for start in (2 * MIB, 0, MIB, 3 * MIB, 4 * MIB):
        take(gauge, read_by if start == MIB else written)  # one piece by another way
        write(file, start, DATA[start : start + MIB])
    take(gauge, read_by)
    assert b"".join(read(file, start, min(MIB, len(DATA) - start)) for start in range(0, len(DATA), MIB)) == DATA
    file.close()
    assert (tmp_path / "data").read_bytes() == DATA


@needs_direct
def test_whole_pages_leave_no_trace_in_the_page_cache(tmp_path: Path, gauge: Gauge) -> None:
    """Else the promise to go past it would hold only in name."""
    mincore = pytest.importorskip("ctypes").CDLL(None).mincore
    gauge.past_cache = True
    file = DataFile(tmp_path / "data", gauge)
    file.allocate(MIB)
    write(file, 0, DATA[:MIB])
    if not gauge.past_cache:
        pytest.skip("this file system has no O_DIRECT")
    assert _cached_pages(tmp_path / "data", MIB, mincore) == 0
    gauge.past_cache = False
    write(file, 0, DATA[:MIB])
    assert _cached_pages(tmp_path / "data", MIB, mincore) == MIB // 4096
    file.close()


def test_dropped_pages_leave_no_trace_in_the_page_cache(tmp_path: Path, gauge: Gauge) -> None:
    """They are there until they are on disk, and not longer."""
    mincore = pytest.importorskip("ctypes").CDLL(None).mincore
    file = DataFile(tmp_path / "data", gauge)
    file.allocate(MIB)
    take(gauge, DROPPED)
    write(file, 0, DATA[:MIB])
    if not gauge.drops_behind:
        pytest.skip("this kernel or file system has no RWF_DONTCACHE")
    file.sync()
    assert _cached_pages(tmp_path / "data", MIB, mincore) == 0
    file.close()


@needs_direct
@pytest.mark.parametrize("refusal", [OSError(errno.EOPNOTSUPP, "no such flag"), NotImplementedError("no pwritev2")])
def test_where_nothing_can_be_dropped_the_way_past_the_cache_is_left(
    tmp_path: Path, gauge: Gauge, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    """A kernel or a Python says so of a flag that it does not know; the bytes are written all the same."""
    flags: list[int] = []
    real = os.pwritev

    def pwritev(descriptor: int, views: Sequence[memoryview], offset: int, flag: int = 0) -> int:
        flags.append(flag)
        if flag:
            raise refusal
        return real(descriptor, views, offset)

    monkeypatch.setattr(os, "pwritev", pwritev)
    file = DataFile(tmp_path / "data", gauge)
    file.allocate(2 * MIB)
    gauge.past_cache, gauge.drops_behind = DROPPED
    write(file, 0, DATA[:MIB])
    assert gauge.past_cache
    assert not gauge.drops_behind
    write(file, MIB, DATA[MIB : 2 * MIB])
    assert [bool(flag) for flag in flags] == [True, False]
    file.close()
    assert (tmp_path / "data").read_bytes() == DATA[: 2 * MIB]


def _cached_pages(path: Path, size: int, mincore: object) -> int:
    import ctypes
    import mmap

    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), size) as view:
        found = (ctypes.c_ubyte * (size // 4096))()
        address = (ctypes.c_char * size).from_buffer(view)
        assert mincore(ctypes.byref(address), ctypes.c_size_t(size), found) == 0  # type: ignore[operator]
        del address
        return sum(page & 1 for page in found)


def test_a_buffer_that_does_not_begin_on_a_page_is_written_all_the_same(tmp_path: Path, gauge: Gauge) -> None:
    """O_DIRECT refuses it; that costs the way, not the bytes."""
    gauge.past_cache = True
    file = DataFile(tmp_path / "data", gauge)
    file.allocate(2 * MIB)
    odd = page_buffer(MIB + 4096)[1 : MIB + 1]
    odd[:] = DATA[:MIB]
    file.write(0, odd)
    file.close()
    assert (tmp_path / "data").read_bytes()[:MIB] == DATA[:MIB]


def test_a_symlink_is_not_opened(tmp_path: Path, gauge: Gauge) -> None:
    """Somebody could point it at a file of the user's."""
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "data").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"):
        DataFile(tmp_path / "data", gauge)


@needs_direct
def test_a_slow_network_keeps_to_the_page_cache(clock: Clock, gauge: Gauge) -> None:
    """Whoever loads the model next finds it in memory; a writer that waits for bytes costs nothing."""
    for _ in range(20):
        clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0.3)
        assert not gauge.past_cache


@needs_direct
def test_a_page_cache_that_is_the_bottleneck_is_left(clock: Clock, gauge: Gauge) -> None:
    """And taken again only when it was the faster one."""
    clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0.05)
    assert gauge.past_cache
    clock.spend(gauge, size=8 * MIB, busy_s=0.02, idle_s=0.05)
    assert gauge.past_cache


@needs_direct
def test_the_faster_way_is_found_again_when_the_other_becomes_slow(clock: Clock, gauge: Gauge) -> None:
    """Memory may be plenty at first and be taken back later."""
    clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0)
    clock.spend(gauge, size=8 * MIB, busy_s=0.2, idle_s=0)  # past the cache: slower
    assert not gauge.past_cache
    for _ in range(2):
        clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0)
        assert not gauge.past_cache
    clock.spend(gauge, size=8 * MIB, busy_s=0.4, idle_s=0)  # the cache is full now
    assert gauge.past_cache


@needs_direct
@pytest.mark.parametrize(("idle_s", "drops"), [(0.1, True), (0.3, False)])
def test_a_disk_that_is_all_that_writers_wait_for_is_kept_busy(
    clock: Clock, gauge: Gauge, monkeypatch: pytest.MonkeyPatch, idle_s: float, drops: bool
) -> None:
    """O_DIRECT costs less, so it stays as long as writers have other things to do than to wait for it."""
    monkeypatch.setattr(gauge, "_can_drop_behind", True)
    clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0.05)
    assert gauge.past_cache
    assert not gauge.drops_behind
    for _ in range(4):
        assert not gauge.drops_behind
        clock.spend(gauge, size=8 * MIB, busy_s=0.08, idle_s=idle_s)
    assert gauge.past_cache
    assert gauge.drops_behind == drops


@pytest.mark.skipif(sys.platform != "linux", reason="RWF_DONTCACHE is Linux's")
@pytest.mark.parametrize(
    ("release", "drops"), [("6.16.9-custom", False), ("6.17.0", True), ("7.1", True), ("odd", False)]
)
def test_kernels_that_drop_pages_in_use_are_not_asked_to(
    monkeypatch: pytest.MonkeyPatch, release: str, drops: bool
) -> None:
    """The first ones that knew the flag had a fault there."""
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*uname[:2], release, *uname[3:])))
    clock = Clock()
    gauge = Gauge(clock)
    clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0)
    for _ in range(4):
        clock.spend(gauge, size=8 * MIB, busy_s=0.09, idle_s=0)
    assert gauge.drops_behind == drops


@needs_direct
def test_a_look_at_many_writers_sees_more_than_one_buffer_of_each(
    clock: Clock, gauge: Gauge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits 0.3 of its time, in turns; a window of one buffer each would not see the rest of it."""
    monkeypatch.setattr(gauge, "_can_drop_behind", True)
    clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0)
    writers = 16
    for turn in range(40 * writers):
        monkeypatch.setattr(threading, "get_ident", lambda writer=turn % writers: writer)
        clock.now_s += 0.01 / writers
        gauge.wrote(MIB, 0.003, past_cache=True)
    assert gauge.past_cache
    assert not gauge.drops_behind


@needs_direct
def test_an_old_measure_is_not_believed_for_ever(clock: Clock, gauge: Gauge) -> None:
    """The disk may have been busy when the other way was tried."""
    clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0)
    clock.spend(gauge, size=8 * MIB, busy_s=0.2, idle_s=0)  # past the cache: slower
    changes = []
    for _ in range(16):
        clock.spend(gauge, size=8 * MIB, busy_s=0.1, idle_s=0)
        changes.append(gauge.past_cache)
    assert changes == [False] * 15 + [True]
