"""Where bytes may be."""

from pathlib import Path

from fetcher.disk.copies import Copies, Copy
from fetcher.disk.index import Index, Row
from fetcher.disk.registry import KnownProject
from tests.disk.looks import wanted

_ITEM = wanted("model.bin", b"some bytes")


def _placed(root: Path, name: str, *, mode: int = 0o444, wrote: bool = True, age: int = 0) -> Path:
    """A file of a project; `age` makes its row tell another date than the file."""
    path = root / name
    path.write_bytes(b"some bytes")
    path.chmod(mode)
    found = path.stat()
    index = Index(root / "index.sqlite")
    row = Row(
        spot=name,
        model="m",
        sha256=_ITEM.sha256,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns - age,
        inode=found.st_ino,
        looked_ns=found.st_mtime_ns + 10**9,
        wrote=wrote,
    )
    index.save({**index.rows(), name: row}, [])
    return path


def test_placed_files_come_before_others_and_are_judged(tmp_path: Path) -> None:
    """Only what fetcher wrote, nobody touched and nobody may write to is its own; damaged ones come last."""
    project = KnownProject(root=tmp_path, lock=tmp_path / "models.lock", index=tmp_path / "index.sqlite")
    edited = _placed(tmp_path, "a-edited", age=1)
    writable = _placed(tmp_path, "b-writable", mode=0o644)
    foreign = _placed(tmp_path, "c-foreign", wrote=False)
    own = _placed(tmp_path, "d-own")
    _placed(tmp_path, "e-gone").unlink()
    found = Copies(projects=lambda: [project], folders=[]).of([_ITEM])
    assert found[_ITEM.sha256] == [
        Copy(path=own, is_own=True),
        Copy(path=writable),
        Copy(path=foreign),
        Copy(path=edited, is_damaged=True),
    ]


def test_a_folder_is_searched_by_size_and_what_is_named_by_another_digest_is_none(tmp_path: Path) -> None:
    """Hugging Face names large files by their sha256: the others need not be hashed."""
    for name in ("right-size", "f" * 64, _ITEM.sha256):
        (tmp_path / name).write_bytes(b"other data")
    (tmp_path / "another-size").write_bytes(b"other")
    (tmp_path / "link").symlink_to(tmp_path / "right-size")
    found = Copies(projects=list, folders=[tmp_path, tmp_path / "missing"]).of([_ITEM])
    assert {copy.path.name for copy in found[_ITEM.sha256]} == {"right-size", _ITEM.sha256}


def test_for_nothing_no_folder_is_walked(tmp_path: Path) -> None:
    """A sync that fetches nothing must not walk a cache of terabytes."""
    asked: list[str] = []

    def projects() -> list[KnownProject]:
        asked.append("projects")
        return []

    assert Copies(projects=projects, folders=[tmp_path]).of([]) == {}
    assert asked == []
