"""The index is a cache: it may be lost, never half-written, never believed when broken."""

from pathlib import Path

from fetcher.core.digest import EMPTY_SHA256
from fetcher.disk.index import Index, Row


def _row(spot: str, *, inode: int = 7) -> Row:
    return Row(
        spot=spot,
        model="gpt2",
        sha256=EMPTY_SHA256,
        size=0,
        mtime_ns=1_700_000_000_123_456_789,
        inode=inode,
        looked_ns=1_700_000_001_000_000_000,
        wrote=True,
        damaged=False,
    )


def test_rows_and_folders_come_back_as_they_were_saved(tmp_path: Path) -> None:
    """Nanoseconds and 64-bit inodes must survive SQLite's signed integers."""
    index = Index(tmp_path / "index.sqlite")
    rows = {row.spot: row for row in (_row("models/gpt2/a"), _row("/data/b", inode=(1 << 64) - 2))}
    index.save(rows, {"models", "models/gpt2"})
    assert index.rows() == rows
    assert index.folders() == {"models", "models/gpt2"}


def test_saving_replaces_what_was_there(tmp_path: Path) -> None:
    """A row that stayed would let prune remove a file that is no longer fetcher's."""
    index = Index(tmp_path / "index.sqlite")
    index.save({"a": _row("a"), "b": _row("b")}, ["models"])
    index.save({"b": _row("b")}, [])
    assert set(index.rows()) == {"b"}
    assert index.folders() == set()


def test_an_index_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    """Losing the cache costs a hashing, never a crash."""
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"this is no database, but it is long enough to be looked at as one" * 20)
    index = Index(path)
    assert index.rows() == {}
    index.save({"a": _row("a")}, [])
    assert set(index.rows()) == {"a"}


def test_reading_makes_no_file(tmp_path: Path) -> None:
    """`status` changes nothing, not even in a project that was never synced."""
    index = Index(tmp_path / "index.sqlite")
    assert index.rows() == {}
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_has_saved_is_read(tmp_path: Path) -> None:
    """Rows that did not change are not made again; those that did must not be old, and nobody's edits are kept."""
    index, other = Index(tmp_path / "index.sqlite"), Index(tmp_path / "index.sqlite")
    other.save({"a": _row("a"), "b": _row("b")}, [])
    first = index.rows()
    first.pop("a")
    assert index.rows() == {"a": _row("a"), "b": _row("b")}
    other.save({"a": _row("a", inode=8)}, [])
    assert index.rows() == {"a": _row("a", inode=8)}
