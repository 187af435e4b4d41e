"""What the trash counts and what it lets go, on a real disk."""

import os
import time
from pathlib import Path

import pytest

from fetcher.core.change import Act, Bounds, Former, Step
from fetcher.disk.folder import Folder
from fetcher.disk.tidy import tidy, usage
from fetcher.disk.trash import Change, Trash

_EVER = Bounds(age_s=1e9, size=1 << 40)


@pytest.fixture
def trash(tmp_path: Path) -> Trash:
    return Trash(root=tmp_path, folder=tmp_path / ".fetcher" / "trash", index="index.sqlite")


def _change(trash: Trash, root: Path, *, own: bytes = b"", users: bytes = b"") -> Change:
    """A change that removed an own file and moved one of the user's aside."""
    former = Former(model="m", sha256="a" * 64, size=len(own), mtime_ns=1, inode=1, looked_ns=1)
    change = trash.begin([Step(act=Act.ASIDE, spot="users"), Step(act=Act.REMOVE, spot="own", former=former)])
    for spot, data in (("own", own), ("users", users)):
        if data:
            (root / spot).write_bytes(data)
            with Folder.at(root) as folder:
                change.kept.take(folder, spot, spot)
    return change.end("done")


def test_own_files_and_the_user_s_are_counted_apart(trash: Trash, tmp_path: Path) -> None:
    """An own file that has another name costs nothing."""
    _change(trash, tmp_path, own=b"12345", users=b"123")
    shared = _change(trash, tmp_path, own=b"1234567")
    os.link(shared.folder / "kept/project/own", tmp_path / "object")
    (trash.folder / "notes.txt").write_bytes(b"12")
    found = usage(trash.folder, trash.all())
    assert (found.changes, found.own, found.own_size, found.users, found.users_size) == (2, 2, 5, 2, 5)


def test_an_old_change_goes_and_the_user_s_file_stays(trash: Trash, tmp_path: Path) -> None:
    """Age is for fetcher's own files only."""
    change = _change(trash, tmp_path, own=b"own", users=b"users")
    assert tidy(trash.all(), Bounds(age_s=3600, size=1 << 40)) == 0
    time.sleep(0.02)
    assert tidy(trash.all(), Bounds(age_s=0.01, size=1 << 40)) == 1
    assert (change.folder / "kept/project/users").read_bytes() == b"users"
    assert not (change.folder / "kept/project/own").exists()
    assert trash.last() == []


def test_the_oldest_go_first_when_it_is_too_much(trash: Trash, tmp_path: Path) -> None:
    """Of three times five bytes, twelve leave room for two."""
    old, middle, new = (_change(trash, tmp_path, own=b"12345") for _ in range(3))
    assert tidy(trash.all(), Bounds(age_s=1e9, size=12)) == 1
    assert [change.folder.exists() for change in (old, middle, new)] == [False, True, True]


def test_bytes_that_are_elsewhere_too_are_no_reason_to_let_go(trash: Trash, tmp_path: Path) -> None:
    """Removing the name would free nothing, and cost the undo."""
    change = _change(trash, tmp_path, own=b"1234567")
    os.link(change.folder / "kept/project/own", tmp_path / "object")
    assert tidy(trash.all(), Bounds(age_s=1e9, size=0)) == 0


def test_a_killed_tidying_is_finished(trash: Trash, tmp_path: Path) -> None:
    """The record says `gone` before the first file goes."""
    change = _change(trash, tmp_path, own=b"own").end("gone")
    assert tidy(trash.all(), _EVER) == 1
    assert not change.folder.exists()


def test_what_is_no_change_of_fetcher_s_stays(trash: Trash, tmp_path: Path) -> None:
    """A folder of an older version, or of the user."""
    _change(trash, tmp_path, own=b"own")
    (trash.folder / "20260101T101010Z-abc123").mkdir()
    (trash.folder / "20260101T101010Z-abc123" / "a").write_bytes(b"users")
    time.sleep(0.02)
    tidy(trash.all(), Bounds(age_s=0.01, size=0))
    assert [path.name for path in trash.folder.iterdir()] == ["20260101T101010Z-abc123"]
