"""What lies beside the files of the lock."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.core.plan import Wanted
from fetcher.disk.ready import around_stamp
from fetcher.disk.unmanaged import look_beside
from fetcher.disk.writer import temporary_name
from tests.disk.looks import wanted


def _placed(root: Path, *items: Wanted) -> list[Wanted]:
    for item in items:
        path = root / item.spot
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return list(items)


def _told(root: Path, items: list[Wanted], *more: str) -> tuple[str, ...]:
    return look_beside(root, items, {*(item.spot for item in items), *more}).spots


def test_what_is_neither_wanted_nor_fetcher_s_is_told_once(tmp_path: Path) -> None:
    """A folder of which nothing is wanted is one entry, as `git status` tells it."""
    items = _placed(tmp_path, wanted("a.bin", b"a"), wanted("deep/down/b.bin", b"b"))
    for name in ("mine.txt", "deep/note", "deep/down/x", "extra/one/two", "left.bin", ".gitkeep", "other/c.bin"):
        path = tmp_path / "models/m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")
    (tmp_path / "models/m" / temporary_name("a.bin")).write_bytes(b"on its way")
    (tmp_path / "models/elsewhere").mkdir()
    assert _told(tmp_path, items, "models/m/left.bin", "models/m/other/c.bin") == (
        "models/m/deep/down/x",
        "models/m/deep/note",
        "models/m/extra/",
        "models/m/mine.txt",
    )


def test_the_project_s_own_folder_and_what_is_above_it_are_not_listed(tmp_path: Path) -> None:
    """All that a repository has would be unmanaged."""
    root = tmp_path / "project"
    items = _placed(root, wanted("a.bin", b"a", base=""), wanted("sub/b.bin", b"b", base=""))
    above = wanted("c.bin", b"c", base=f"{tmp_path}/")
    _placed(root, above)
    (root / "README.md").touch()
    (root / "sub/mine").touch()
    assert _told(root, [*items, above]) == ("sub/mine",)


def _replace_by_link(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to("moved")


@pytest.mark.parametrize(("base", "seen"), [("models/m/", False), ("ABSOLUTE/", True)])
def test_a_symlink_below_the_project_is_not_followed_and_an_absolute_target_is(
    tmp_path: Path, base: str, seen: bool
) -> None:
    """As in every look at the disk."""
    root = tmp_path / "project"
    base = base.replace("ABSOLUTE", f"{tmp_path}/far")
    items = _placed(root, wanted("a.bin", b"a", base=base))
    (root / base / "mine").touch()
    assert _told(root, items) == (f"{base}mine",)
    _replace_by_link(root / base)
    assert _told(root, items) == ((f"{base}mine",) if seen else ())


_CHANGES: dict[str, Callable[[Path], object]] = {
    "a file came": lambda folder: (folder / "new").touch(),
    "a folder came": lambda folder: (folder / "sub/new").mkdir(),
    "a file went": lambda folder: (folder / "mine").unlink(),
    "a name changed": lambda folder: (folder / "mine").rename(folder / "yours"),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_a_change_of_what_is_told_changes_the_stamp(tmp_path: Path, change: str) -> None:
    """`.fetcher/ready` says what was told as long as the stamp stays."""
    folder = tmp_path / "models/m"
    items = _placed(tmp_path, wanted("a.bin", b"a"), wanted("sub/b.bin", b"b"))
    (folder / "mine").touch()
    for each in (folder, folder / "sub"):
        os.utime(each, (1_600_000_000, 1_600_000_000))
    before = look_beside(tmp_path, items, {item.spot for item in items})
    assert before == look_beside(tmp_path, items, {item.spot for item in items})
    _CHANGES[change](folder)
    after = look_beside(tmp_path, items, {item.spot for item in items})
    assert before.spots != after.spots
    assert before.stamp != after.stamp
    assert before.stamp != around_stamp(before.stamp.split("\0")[1::2])


def test_a_target_that_is_not_there_has_nothing_beside_it(tmp_path: Path) -> None:
    """And no stamp, so that nothing is said without a look."""
    found = look_beside(tmp_path, [wanted("a.bin", b"a")], {"models/m/a.bin"})
    assert (found.stamp, found.spots) == ("", ())
