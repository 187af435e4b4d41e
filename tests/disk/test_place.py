"""Placing, replacing, moving aside and removing, on a real disk."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fetcher.core.plan import Leftover, State, Wanted
from fetcher.disk.bring import COPY_BELOW
from fetcher.errors import BlockedError, IntegrityError
from tests.disk.looks import World, wanted
from tests.hub.publish import read_tree

_SMALL, _OTHER = b"small file", b"another small file"
_LARGE = bytes(range(256)) * (COPY_BELOW // 256)


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "project").mkdir()
    (tmp_path / "objects").mkdir()
    return World(root=tmp_path / "project", objects=tmp_path / "objects")


def _litter(world: World) -> list[str]:
    return [path for path in read_tree(world.root) if ".fetcher-" in path]


def test_a_small_file_is_a_copy_that_can_be_edited(world: World) -> None:
    """Editing a config in place must not reach the store."""
    path = world.place(wanted("deep/er/a", _SMALL), _SMALL)
    assert path.read_bytes() == _SMALL
    path.write_bytes(_OTHER)
    assert world.object(_SMALL).read_bytes() == _SMALL


def test_a_large_file_shares_its_bytes_with_the_store_and_is_read_only(world: World) -> None:
    """Two copies never (rule 6)."""
    path = world.place(wanted("a", _LARGE), _LARGE)
    assert path.read_bytes() == _LARGE
    assert path.samefile(world.object(_LARGE))  # ext4 and tmpfs have no reflinks
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_a_copy_is_not_racy(world: World) -> None:
    """Otherwise each second sync would hash every small file again, and damage to it would pass for an edit.

    The look comes after the copy, however long that takes: to the nanosecond, as a second is what it is dated back.
    """
    row = world.placer().place(wanted("a", _SMALL), world.object(_SMALL), None)
    assert row.mtime_ns <= row.looked_ns - 1_000_000_000


@pytest.mark.parametrize("data", [_SMALL, _LARGE], ids=["copy", "link"])
def test_a_file_that_appeared_since_the_look_is_never_replaced(world: World, data: bytes) -> None:
    """Between the look and the placing the user may have saved something."""
    item = wanted("a", data)
    path = world.root / item.spot
    path.parent.mkdir(parents=True)
    path.write_bytes(b"the user's")
    with pytest.raises(BlockedError) as caught:
        world.placer().place(item, world.object(data), None)
    assert "appeared or changed while fetcher was at work" in str(caught.value)
    assert path.read_bytes() == b"the user's"
    assert _litter(world) == []


def test_an_own_file_that_changed_since_the_look_is_never_replaced(world: World) -> None:
    """The row says what may be replaced, to the nanosecond and the inode."""
    path = world.place(wanted("a", _SMALL), _SMALL)
    path.write_bytes(b"the user's")
    with pytest.raises(BlockedError):
        world.placer().place(wanted("a", _OTHER), world.object(_OTHER), world.rows["models/m/a"])
    assert path.read_bytes() == b"the user's"
    assert _litter(world) == []


def test_an_own_unchanged_file_is_replaced(world: World) -> None:
    """The upgrade."""
    world.place(wanted("a", _SMALL), _SMALL)
    path = world.place(wanted("a", _LARGE), _LARGE, known=world.rows["models/m/a"])
    assert path.read_bytes() == _LARGE
    assert world.object(_SMALL).read_bytes() == _SMALL


def test_a_damaged_object_never_gets_a_final_name(world: World) -> None:
    """A copy is hashed while it is written."""
    item = wanted("a", _SMALL)
    broken = world.objects / "broken"
    broken.write_bytes(b"smAll file")
    with pytest.raises(IntegrityError):
        world.placer().place(item, broken, None)
    assert read_tree(world.root) == {}


def test_a_parent_that_became_a_symlink_is_not_followed(world: World, tmp_path: Path) -> None:
    """Someone swaps a folder for a link while a sync runs."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (world.root / "models").mkdir()
    (world.root / "models" / "m").symlink_to(outside)
    with pytest.raises(BlockedError):
        world.placer().place(wanted("a", _SMALL), world.object(_SMALL), None)
    assert list(outside.iterdir()) == []


def test_a_folder_that_is_moved_away_while_files_are_prepared_is_told(world: World) -> None:
    """Their copies are durable by their names, and the names lead nowhere any more."""

    class Sources(list[tuple[Wanted, Path]]):
        def __iter__(self) -> Iterator[tuple[Wanted, Path]]:
            yield from super().__iter__()
            (world.root / "models").rename(world.root / "away")

    placer = world.placer()
    with pytest.raises(BlockedError) as caught:
        placer.prepare(Sources([(wanted("a", _SMALL), world.object(_SMALL))]))
    assert "appeared or changed while fetcher was at work" in str(caught.value)


@pytest.mark.parametrize("then", ["nothing", "a folder", "a link"])
def test_a_folder_that_is_moved_away_between_two_files_is_told(world: World, tmp_path: Path, then: str) -> None:
    """It stays open for the second one, which must not count as placed; whatever has the folder's name now stays."""
    (tmp_path / "outside").mkdir()
    placer, folder = world.placer(), world.root / "models" / "m"

    def place_both() -> None:
        with placer.staying():
            placer.place(wanted("a", _SMALL), world.object(_SMALL), None)
            folder.rename(world.root / "away")
            if then == "a folder":
                folder.mkdir()
            elif then == "a link":
                folder.symlink_to(tmp_path / "outside")
            placer.place(wanted("b", _OTHER), world.object(_OTHER), None)

    with pytest.raises(BlockedError, match="appeared or changed while fetcher was at work"):
        place_both()
    assert not list((tmp_path / "outside").iterdir())
    assert not folder.is_dir() or not list(folder.iterdir())


def test_files_of_several_folders_are_placed_while_one_stays_open(world: World) -> None:
    """Each in its own; and one that was left is found again."""
    placer = world.placer()
    with placer.staying():
        for path in ("a", "deep/b", "c", "deep/er/d", "deep/e"):
            placer.place(wanted(path, _SMALL), world.object(_SMALL), None)
    assert sorted(read_tree(world.root / "models" / "m")) == ["a", "c", "deep/b", "deep/e", "deep/er/d"]


def test_what_is_moved_aside_keeps_its_bytes_and_its_path(world: World) -> None:
    """`--force` destroys nothing."""
    path = world.root / "models" / "m" / "a"
    path.mkdir(parents=True)
    (path / "inner").write_bytes(b"the user's")
    kept = world.placer().move_aside("models/m/a")
    assert not path.exists()
    assert (kept / "inner").read_bytes() == b"the user's"
    assert kept.is_relative_to(world.root / ".fetcher" / "trash")
    assert kept.as_posix().endswith("/models/m/a")


def test_a_replaced_file_is_kept_and_the_name_never_without_one(world: World) -> None:
    """The old file has two names for a moment, so that a reader always finds one under its own."""
    path = world.place(wanted("a", _SMALL), _SMALL)
    inode = path.stat().st_ino
    world.place(wanted("a", _OTHER), _OTHER, known=world.rows["models/m/a"])
    kept = world.shelf().find("models/m/a")
    assert kept is not None
    assert (kept.read_bytes(), kept.stat().st_ino) == (_SMALL, inode)


def test_a_removed_file_is_kept(world: World) -> None:
    """Prune renames."""
    item = wanted("deep/a", _LARGE)
    inode = world.place(item, _LARGE).stat().st_ino
    assert world.placer().remove(Leftover(model="m", spot=item.spot, state=State.OURS), world.rows[item.spot])
    kept = world.shelf().find(item.spot)
    assert kept is not None
    assert kept.stat().st_ino == inode


def test_removing_takes_the_folders_that_fetcher_made_and_no_others(world: World) -> None:
    """Directories not made by fetcher stay (rule 1)."""
    (world.root / "models").mkdir()
    item = wanted("deep/a", _SMALL)
    world.place(item, _SMALL)
    leftover = Leftover(model="m", spot=item.spot, state=State.OURS)
    assert world.placer().remove(leftover, world.rows[item.spot])
    assert list((world.root / "models").iterdir()) == []


def test_a_folder_with_something_of_the_user_stays(world: World) -> None:
    """Only empty folders go."""
    item = wanted("deep/a", _SMALL)
    path = world.place(item, _SMALL)
    (path.parent / "notes.txt").write_bytes(b"the user's")
    assert world.placer().remove(Leftover(model="m", spot=item.spot, state=State.OURS), world.rows[item.spot])
    assert read_tree(world.root / "models") == {"m/deep/notes.txt": b"the user's"}


def test_a_file_edited_since_the_look_is_not_removed(world: World) -> None:
    """Prune takes own unchanged files only."""
    item = wanted("a", _SMALL)
    path = world.place(item, _SMALL)
    path.write_bytes(b"the user's")
    assert not world.placer().remove(Leftover(model="m", spot=item.spot, state=State.OURS), world.rows[item.spot])
    assert path.read_bytes() == b"the user's"
