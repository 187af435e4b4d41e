"""Bytes of one file in another, with real system calls."""

import os
from pathlib import Path

import pytest

from fetcher.disk.share import clone, copy_range
from tests.disk.filesystems import reflinking
from tests.hub.publish import MIB, content

_DATA = content("a", 3 * MIB + 17)


def _pair(folder: Path, other: Path) -> tuple[int, int]:
    (folder / "source").write_bytes(_DATA)
    return os.open(folder / "source", os.O_RDONLY), os.open(other / "target", os.O_RDWR | os.O_CREAT, 0o600)


@pytest.mark.parametrize(("start", "stop"), [(0, len(_DATA)), (MIB, 2 * MIB), (5, 6), (len(_DATA) - 1, len(_DATA))])
def test_a_range_is_copied_to_its_own_place(tmp_path: Path, start: int, stop: int) -> None:
    """And no byte beside it is touched."""
    source, target = _pair(tmp_path, tmp_path)
    os.truncate(tmp_path / "target", len(_DATA))
    copy_range(source, target, start, stop)
    os.close(source)
    os.close(target)
    due = bytes(start) + _DATA[start:stop] + bytes(len(_DATA) - stop)
    assert (tmp_path / "target").read_bytes() == due


def test_a_range_is_copied_to_another_file_system(tmp_path: Path, abroad: Path) -> None:
    """The kernel may refuse to do it itself; bytes go through memory then."""
    source, target = _pair(tmp_path, abroad)
    copy_range(source, target, 0, len(_DATA))
    assert not clone(source, target)
    os.close(source)
    os.close(target)
    assert (abroad / "target").read_bytes() == _DATA


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_a_clone_costs_no_room(kind: str) -> None:
    """Two files, extents of one."""
    with reflinking(kind) as folder:
        data = content("a", 24 * MIB)
        (folder / "source").write_bytes(data)
        os.sync()
        before = os.statvfs(folder).f_bfree
        source, target = os.open(folder / "source", os.O_RDONLY), os.open(folder / "target", os.O_RDWR | os.O_CREAT)
        assert clone(source, target)
        os.fsync(target)
        os.close(source)
        os.close(target)
        os.sync()
        used = (before - os.statvfs(folder).f_bfree) * os.statvfs(folder).f_bsize
        assert used < MIB
        assert (folder / "target").read_bytes() == data
