"""The record of changes, on a real disk."""

from pathlib import Path

from fetcher.core.change import Act, Former, Step
from fetcher.disk.trash import Trash

_FORMER = Former(model="m", sha256="a" * 64, size=3, mtime_ns=1, inode=2**63 + 5, looked_ns=7)
_STEPS = [
    Step(act=Act.ASIDE, spot="models/m/b"),
    Step(act=Act.PLACE, spot="models/m/b", model="m", sha256="b" * 64, size=0),
    Step(act=Act.MOVE, spot="models/m/中", model="m", sha256="a" * 64, size=3, origin="old/\udcff", former=_FORMER),
    Step(act=Act.REMOVE, spot="/data/x", former=_FORMER),
]


def _trash(root: Path, index: str = "index.sqlite") -> Trash:
    return Trash(root=root, folder=root / ".fetcher" / "trash", index=index)


def test_a_change_is_on_record_before_its_first_step(tmp_path: Path) -> None:
    """Every step as it was said, read by another one."""
    _trash(tmp_path).begin(_STEPS)
    (change,) = _trash(tmp_path).changes()
    assert (change.number, change.state, change.steps()) == (1, "open", _STEPS)


def test_an_undo_takes_the_last_change_and_those_before_it_that_did_not_end(tmp_path: Path) -> None:
    """A killed sync and the one that finished it are one thing to a person."""
    trash = _trash(tmp_path)
    states = ["done", "done", "open", "open", "done", "undone"]
    for state in states:
        change = trash.begin(_STEPS)
        if state != "open":
            change.end(state)
    assert [change.number for change in trash.last()] == [5, 4, 3]


def test_each_manifest_undoes_its_own_changes(tmp_path: Path) -> None:
    """Two manifests of one folder share the trash, not the files."""
    _trash(tmp_path).begin(_STEPS)
    other = _trash(tmp_path, "index-other.toml.sqlite")
    assert other.last() == []
    assert other.begin(_STEPS).number == 2
    assert [change.number for change in _trash(tmp_path).last()] == [1]


def test_a_record_that_cannot_be_read_hides_nothing_else(tmp_path: Path) -> None:
    """Half a disk block, or a format of the future."""
    broken, newer, good = (_trash(tmp_path).begin(_STEPS) for _ in range(3))
    (broken.folder / "open.jsonl").write_text("{")
    (newer.folder / "open.jsonl").write_text('{"version":9,"index":"index.sqlite","began_s":1}\n')
    assert [change.number for change in _trash(tmp_path).changes()] == [good.number]
