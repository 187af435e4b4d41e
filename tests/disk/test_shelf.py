"""What one change keeps, on a real disk."""

from pathlib import Path

from fetcher.disk.folder import Folder
from fetcher.disk.shelf import Shelf


def _shelf(root: Path) -> Shelf:
    return Shelf(root=root, folder=root / ".fetcher" / "trash" / "1", label="000001")


def test_what_is_taken_is_found_by_its_spot(tmp_path: Path) -> None:
    """Relative and absolute spots of one spelling are two."""
    (tmp_path / "a").write_bytes(b"inside")
    (tmp_path / "b").write_bytes(b"outside")
    with Folder.at(tmp_path) as folder:
        _shelf(tmp_path).take(folder, "a", "a")
        _shelf(tmp_path).take(folder, "/a", "b")
    inside, outside = _shelf(tmp_path).find("a"), _shelf(tmp_path).find("/a")
    assert inside is not None
    assert outside is not None
    assert (inside.read_bytes(), outside.read_bytes()) == (b"inside", b"outside")
    assert _shelf(tmp_path).find("b") is None


def test_what_is_linked_stays_at_its_spot(tmp_path: Path) -> None:
    """Two names for a moment, until the new file takes the old one's."""
    (tmp_path / "a").write_bytes(b"bytes")
    with Folder.at(tmp_path) as folder:
        kept = _shelf(tmp_path).link(folder, "a", "a")
    assert kept is not None
    assert kept.samefile(tmp_path / "a")


def test_nothing_that_is_kept_is_replaced(tmp_path: Path) -> None:
    """A second one gets a name of its own."""
    kept = []
    for data in (b"first", b"second"):
        (tmp_path / "a").write_bytes(data)
        with Folder.at(tmp_path) as folder:
            kept.append(_shelf(tmp_path).take(folder, "a", "a"))
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]
