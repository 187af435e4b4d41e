"""The Python files and notebooks of a project, within bounds."""

from pathlib import Path

import pytest

from fetcher.disk import pythons
from fetcher.disk.pythons import contents, programs_below
from tests.hub.publish import write_tree


def test_what_others_wrote_is_not_read(tmp_path: Path) -> None:
    """Virtual environments by any name, hidden folders, links; also where git lists them."""
    own: dict[str, bytes | int] = {"a.py": b"a", "deep/b.ipynb": b"b"}
    foreign = [".venv/c.py", "mine/pyvenv.cfg", "mine/lib/c.py", "venv/c.py", "x/node_modules/c.py", ".git/c.py"]
    write_tree(tmp_path, {**own, **dict.fromkeys(foreign, b"c"), "notes.txt": b"n"})
    (tmp_path / "link.py").symlink_to("a.py")
    (tmp_path / "linked").symlink_to("deep")
    paths = list(programs_below(tmp_path))
    assert paths == ["a.py", "link.py", "deep/b.ipynb"]
    listed = [*paths, *foreign, "linked/b.ipynb", "gone.py", "a\n.py"]
    assert dict(contents(tmp_path, listed)) == own


def test_there_are_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one file, of the number of files and of all bytes."""
    monkeypatch.setattr(pythons, "MAX_PROGRAM", 10)
    monkeypatch.setattr(pythons, "MAX_NOTEBOOK", 20)
    write_tree(tmp_path, {"a.py": 11, "b.ipynb": 20, "c.py": 10, "d.py": 1})
    assert [path for path, _ in contents(tmp_path, programs_below(tmp_path))] == ["b.ipynb", "c.py", "d.py"]
    monkeypatch.setattr(pythons, "MAX_BYTES", 29)
    assert [path for path, _ in contents(tmp_path, programs_below(tmp_path))] == ["b.ipynb", "c.py"]
    monkeypatch.setattr(pythons, "MAX_FILES", 2)
    assert [path for path, _ in contents(tmp_path, programs_below(tmp_path))] == ["b.ipynb"]
