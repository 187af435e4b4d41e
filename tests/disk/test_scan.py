"""What stands at each spot, and whose it is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from fetcher.core.plan import State
from tests.disk.looks import Hashings, World, wanted

_OLD, _NEW, _SAME_SIZE = b"old bytes", b"newer bytes here", b"old bYtes"


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "project").mkdir()
    (tmp_path / "objects").mkdir()
    return World(root=tmp_path / "project", objects=tmp_path / "objects")


def test_nothing_there_is_absent(world: World) -> None:
    """The ordinary first sync."""
    assert world.look(wanted("a", _OLD)).state is State.ABSENT


def test_a_placed_file_is_right_without_being_hashed(world: World) -> None:
    """A second sync must cost a stat a file."""
    item = wanted("a", _OLD)
    world.place(item, _OLD)
    watch = Hashings()
    scan = world.scan(item, events=watch)
    assert scan.local.looks[item.spot].state is State.RIGHT
    assert watch.labels == []


def test_without_trust_every_file_is_hashed(world: World) -> None:
    """`verify` proves; it does not believe."""
    item = wanted("a", _OLD)
    world.place(item, _OLD)
    watch = Hashings()
    assert world.scan(item, closely=True, events=watch).local.looks[item.spot].state is State.RIGHT
    assert watch.labels == ["m/a"]


def test_fetcher_s_own_older_file_may_be_replaced(world: World) -> None:
    """An upgrade replaces what fetcher wrote and nobody touched."""
    world.place(wanted("a", _OLD), _OLD)
    assert world.look(wanted("a", _NEW)).state is State.OURS


def test_an_edit_that_keeps_the_size_is_seen(world: World) -> None:
    """Size alone is what other clients look at."""
    item = wanted("a", _OLD)
    world.place(item, _OLD).write_bytes(_SAME_SIZE)
    look = world.look(item)
    assert (look.state, look.reason) == (State.FOREIGN, "edited since fetcher wrote it")


def test_an_edit_within_the_clock_s_grain_is_seen(world: World) -> None:
    """A write in the same tick as the last look leaves the time as it was (git's racy files)."""
    item = wanted("a", _OLD)
    path = world.place(item, _OLD)
    row = world.rows[item.spot]
    path.write_bytes(_SAME_SIZE)
    os.utime(path, ns=(row.looked_ns, row.looked_ns))
    world.rows[item.spot] = replace(row, mtime_ns=row.looked_ns)
    assert world.look(item).state is State.FOREIGN


def test_a_touched_file_is_hashed_and_stays_fetcher_s(world: World) -> None:
    """A checkout or a backup that changes times must not turn files into the user's."""
    item = wanted("a", _OLD)
    path = world.place(item, _OLD)
    os.utime(path)
    assert world.look(item).state is State.RIGHT
    assert world.look(wanted("a", _NEW)).state is State.OURS


def test_a_file_that_fetcher_did_not_write_is_foreign(world: World) -> None:
    """Rule 1."""
    path = world.root / "models/m/a"
    path.parent.mkdir(parents=True)
    path.write_bytes(_NEW)
    look = world.look(wanted("a", _OLD))
    assert (look.state, look.reason) == (State.FOREIGN, "a file that fetcher did not write")


def test_the_right_bytes_are_kept_whoever_wrote_them_but_never_owned(world: World) -> None:
    """Files from another client need no download; they still are the user's."""
    item = wanted("a", _OLD)
    path = world.root / item.spot
    path.parent.mkdir(parents=True)
    path.write_bytes(_OLD)
    scan = world.scan(item)
    assert scan.local.looks[item.spot].state is State.RIGHT
    assert not scan.rows[item.spot].wrote
    world.rows = scan.rows
    assert world.look(wanted("a", _NEW)).state is State.FOREIGN


@pytest.mark.parametrize("kind", ["symlink", "dangling", "directory", "fifo"])
def test_what_is_no_regular_file_is_foreign(world: World, kind: str) -> None:
    """A symlink is never followed, even when the right bytes are behind it."""
    item = wanted("a", _OLD)
    path = world.root / item.spot
    path.parent.mkdir(parents=True)
    behind = world.root / "behind"
    behind.write_bytes(_OLD)
    {
        "symlink": lambda: path.symlink_to(behind),
        "dangling": lambda: path.symlink_to(world.root / "nowhere"),
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
    }[kind]()
    look = world.look(item)
    expected = {"symlink": "a symlink", "dangling": "a symlink", "directory": "a directory", "fifo": "a named pipe"}
    assert (look.state, look.reason) == (State.FOREIGN, expected[kind])


def test_a_parent_that_is_a_symlink_is_in_the_way_and_named(world: World, tmp_path: Path) -> None:
    """Writing through it would leave the project."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (world.root / "models").symlink_to(outside)
    look = world.look(wanted("deep/a", _OLD))
    assert (look.state, look.obstacle) == (State.FOREIGN, "models")
    assert look.reason == f"a symlink to {tmp_path / 'outside'} where a folder is due"


def test_a_parent_that_is_a_file_is_in_the_way_and_named(world: World) -> None:
    """The error must name the file, not fail on making a folder."""
    (world.root / "models").write_bytes(b"")
    look = world.look(wanted("deep/a", _OLD))
    assert (look.state, look.obstacle, look.reason) == (State.FOREIGN, "models", "a file where a folder is due")


def test_bytes_that_changed_under_an_unchanged_file_are_damage(world: World) -> None:
    """Rot on the disk changes bytes and nothing else; only hashing finds it."""
    item = wanted("a", _OLD)
    path = world.place(item, _OLD)
    row = world.rows[item.spot]
    path.chmod(0o644)
    path.write_bytes(_SAME_SIZE)
    os.utime(path, ns=(row.mtime_ns, row.mtime_ns))
    assert world.look(item).state is State.RIGHT, "a stat cannot know"
    scan = world.scan(item, closely=True)
    assert scan.local.looks[item.spot].state is State.DAMAGED
    assert scan.bad == (item.spot,)
    world.rows = scan.rows
    assert world.look(item).state is State.DAMAGED, "it is remembered"


def test_files_of_what_is_no_longer_wanted_are_leftovers(world: World) -> None:
    """Prune may take those that are unchanged, and no others."""
    kept, own, edited, gone = (wanted(name, _OLD) for name in ("kept", "own", "edited", "gone"))
    for item in (kept, own, edited, gone):
        world.place(item, _OLD)
    (world.root / edited.spot).write_bytes(_NEW)
    (world.root / gone.spot).unlink()
    scan = world.scan(kept)
    states = {item.spot: item.state for item in scan.local.leftovers}
    assert states == {own.spot: State.OURS, edited.spot: State.FOREIGN}
    assert gone.spot not in scan.rows
