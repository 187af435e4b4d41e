"""`.fetcher/ready`: whatever is not as it was is noticed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.disk.ready import Ready, index_name, index_stamp, ready_name, stamps_of


def _ready(*files: str, folders: tuple[str, ...] = (), far: tuple[str, ...] = ()) -> Ready:
    found = [os.lstat(file) for file in files]
    return Ready(
        ("0", "/p", "m", "l"),
        "fresh",
        index="1 2 3",
        synced="Up to date: 2 files.",
        in_place="Everything is in place.",
        status=("m: synced", "ünï: synced"),
        folders=tuple(map(os.fsencode, folders)),
        far_folders=tuple(map(os.fsencode, far)),
        files=tuple(map(os.fsencode, files)),
        stamps=stamps_of([n for each in found for n in (each.st_size, each.st_mtime_ns, each.st_ino)]),
    )


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/one").write_bytes(b"one")
    (tmp_path / "a/two").write_bytes(b"two")
    return tmp_path


def test_what_was_written_is_read(tree: Path) -> None:
    """All fields, and names that are no UTF-8."""
    odd = os.fsdecode(b"a/\xff")
    (tree / odd).write_bytes(b"")
    ready = _ready("a/b/one", "a/two", odd, folders=("a", "a/b"), far=(str(tree),))
    data = ready.to_bytes()
    assert data is not None
    read = Ready.of(data)
    assert read is not None
    assert [getattr(read, name) for name in Ready.__slots__] == [getattr(ready, name) for name in Ready.__slots__]
    assert read.is_as_it_was()


def test_a_name_that_leads_to_a_snapshot_must_be_the_same_link(tree: Path) -> None:
    """A file in its place, a file that became a link, and a link that leads elsewhere are all noticed."""
    (tree / "name").symlink_to("a")
    ready = _ready("a/two", "name")
    ready.links = 1
    read = Ready.of(ready.to_bytes() or b"")
    assert read is not None
    assert (read.links, read.is_as_it_was()) == (1, True)
    (tree / "other").symlink_to("b")
    (tree / "other").replace(tree / "name")
    assert not read.is_as_it_was()
    assert not _ready("a/two", "name").is_as_it_was()


def test_a_file_that_is_torn_at_any_byte_is_none(tree: Path) -> None:
    """A power cut leaves any beginning of it, or more than there was."""
    data = _ready("a/b/one", "a/two", folders=("a", "a/b")).to_bytes()
    assert data is not None
    assert [size for size in range(len(data)) if Ready.of(data[:size])] == []
    assert Ready.of(data + b"\0") is None
    assert Ready.of(b"x" + data) is None
    assert Ready.of(bytes(len(data))) is None


def test_an_answer_of_two_lines_is_not_written(tree: Path) -> None:
    """A folder's name may hold a line end; lines would shift."""
    ready = _ready("a/two")
    ready.about = ("0", "/p\nq", "m", "l")
    assert ready.to_bytes() is None


def _edit(tree: Path) -> None:
    before = (tree / "a/two").stat()
    (tree / "a/two").write_bytes(b"TWO")
    os.utime(tree / "a/two", ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def _longer(tree: Path) -> None:
    before = (tree / "a/two").stat()
    (tree / "a/two").write_bytes(b"two and more")
    os.utime(tree / "a/two", ns=(before.st_atime_ns, before.st_mtime_ns))


def _other_inode(tree: Path) -> None:
    before = (tree / "a/two").stat()
    (tree / "new").write_bytes(b"TWO")
    os.utime(tree / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(tree / "new", tree / "a/two")


def _linked_folder(tree: Path) -> None:
    (tree / "a/b").rename(tree / "elsewhere")
    (tree / "a/b").symlink_to("../elsewhere")


def _file_for_folder(tree: Path) -> None:
    (tree / "a/empty").rmdir()
    (tree / "a/empty").write_bytes(b"")


_CHANGES: dict[str, Callable[[Path], object]] = {
    "an edit of the same size": _edit,
    "a date in the past, as a restored backup has": lambda tree: os.utime(tree / "a/two", (1, 1)),
    "a date in the future, as a clock that jumped gives": lambda tree: os.utime(tree / "a/two", (1 << 33, 1 << 33)),
    "another size": _longer,
    "another inode": _other_inode,
    "a file that is gone": lambda tree: (tree / "a/two").unlink(),
    "a folder that became a symlink": _linked_folder,
    "a folder that became a file": _file_for_folder,
}


@pytest.mark.parametrize("change", _CHANGES)
def test_a_change_is_noticed(tree: Path, change: str) -> None:
    """Each of the three numbers, each kind."""
    (tree / "a/empty").mkdir()
    ready = _ready("a/b/one", "a/two", folders=("a", "a/b", "a/empty"))
    assert ready.is_as_it_was()
    _CHANGES[change](tree)
    assert not ready.is_as_it_was()


def test_a_symlink_with_a_file_s_numbers_is_no_file(tree: Path) -> None:
    """The kind counts, not only what the numbers say."""
    (tree / "link").symlink_to("a/two")
    assert not _ready("link").is_as_it_was()


def test_a_symlink_above_an_absolute_target_is_a_folder(tree: Path) -> None:
    """The user has written it so; below the project it would be in the way."""
    (tree / "link").symlink_to("a")
    assert _ready("a/two", far=(str(tree / "link"),)).is_as_it_was()
    assert not _ready("a/two", folders=("link",)).is_as_it_was()
    assert not _ready("a/two", far=(str(tree / "a/two"),)).is_as_it_was()


def test_each_manifest_has_its_own_names_and_an_index_its_stamp(tree: Path) -> None:
    """Two manifests of a folder must not answer for each other."""
    assert (ready_name("models.toml"), index_name("models.toml")) == ("ready", "index.sqlite")
    assert (ready_name("o.toml"), index_name("o.toml")) == ("ready-o.toml", "index-o.toml.sqlite")
    found = os.stat("a/two")
    assert index_stamp("a/two") == f"3 {found.st_mtime_ns} {found.st_ino}"
    assert index_stamp("none") == ""
