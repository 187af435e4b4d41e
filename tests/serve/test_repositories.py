"""Commits that are stable, hashes that are kept, and nothing outside the folder."""

import os
import time
from pathlib import Path

import pytest

from fetcher.core.digest import is_commit
from fetcher.serve import repositories
from fetcher.serve.repositories import Library, RepoKey, Repository, Tree
from tests.hub.publish import MIB, Publisher

KEY = RepoKey(owner="o", name="n")


@pytest.fixture
def library(publisher: Publisher) -> Library:
    return Library(publisher.root)


def repository(library: Library, key: RepoKey = KEY) -> Repository:
    found = library.find(key)
    assert found is not None
    return found


def tree(library: Library, revision: str = "master") -> Tree:
    found = repository(library).tree(revision)
    assert found is not None
    return found


def test_the_commit_depends_on_content_alone(publisher: Publisher, tmp_path: Path) -> None:
    """Two machines that serve the same bytes must serve the same commit."""
    publisher.publish("o/n", {"a": 100, "b/c": 200})
    first = tree(Library(publisher.root)).commit
    other = Publisher(tmp_path / "other")
    other.publish("o/n", {"b/c": 200, "a": 100})
    os.utime(other.root / "o/n/a", (1, 1))
    assert is_commit(first)
    assert len(first) == 40
    assert tree(Library(other.root)).commit == first


@pytest.mark.parametrize(
    "changed", [{"a": b"y", "b": b"z"}, {"a": b"x"}, {"a": b"x", "c": b"z"}, {"a": b"x", "b": b"z", "d": b""}]
)
def test_any_change_of_content_changes_the_commit(publisher: Publisher, changed: dict[str, bytes]) -> None:
    """A byte, a file less, a name, a file more."""
    publisher.publish("o/n", {"a": b"x", "b": b"z"})
    library = Library(publisher.root)
    before = tree(library).commit
    publisher.publish("o/n", changed)
    assert tree(library).commit != before


def test_a_file_is_hashed_once_until_it_changes(publisher: Publisher, library: Library) -> None:
    """A large folder must not be read again for every request."""
    publisher.publish("o/n", {"a": MIB, "b": 10})
    tree(library)
    tree(library)
    repository(library).file("master", "a")
    assert library.hashes.files_hashed == 2
    (publisher.root / "o/n/b").write_bytes(b"0123456789X")
    tree(library)
    assert library.hashes.files_hashed == 3


def test_a_commit_never_yields_other_bytes(publisher: Publisher, library: Library) -> None:
    """Content that was changed in place is gone under its old commit, and only that."""
    publisher.publish("o/n", {"a": b"old", "b": b"same"})
    commit = tree(library).commit
    (publisher.root / "o/n/a").write_bytes(b"new")
    assert repository(library).tree(commit) is None
    assert repository(library).file(commit, "a") is None
    kept = repository(library).file(commit, "b")
    assert kept is not None
    assert Path(kept.location).read_bytes() == b"same"


def test_a_file_is_hashed_only_after_the_tick_of_its_mtime(publisher: Publisher, library: Library) -> None:
    """Two writes within one tick of the file system's clock have one mtime; the second must not hide."""
    publisher.publish("o/n", {"a": b"0"})
    stored = tree(library).files["a"]
    assert time.time_ns() - stored.stamp.mtime_ns >= 20_000_000
    (publisher.root / "o/n/a").write_bytes(b"1")
    assert not stored.is_current()


def test_a_file_replaced_after_it_was_found_is_not_opened(publisher: Publisher, library: Library) -> None:
    """Between the answer's head and its body somebody may write."""
    publisher.publish("o/n", {"a": b"old"})
    stored = repository(library).file("master", "a")
    assert stored is not None
    fresh = publisher.root / "o/n/fresh"
    fresh.write_bytes(b"new")
    fresh.replace(stored.location)
    assert stored.open() is None


def test_a_touched_file_keeps_its_commit(publisher: Publisher, library: Library) -> None:
    """Another mtime is not another content."""
    publisher.publish("o/n", {"a": b"x"})
    commit = tree(library).commit
    os.utime(publisher.root / "o/n/a", (5, 5))
    assert repository(library).tree(commit) is not None
    assert repository(library).file(commit, "a") is not None


def test_a_commit_stays_when_files_were_only_added(publisher: Publisher, library: Library) -> None:
    """A reader in the middle of a download is not disturbed by an upload of further files."""
    publisher.publish("o/n", {"a": b"x"})
    commit = tree(library).commit
    (publisher.root / "o/n/b").write_bytes(b"y")
    assert tree(library).commit != commit
    assert list(tree(library, commit).files) == ["a"]


def test_branches_tags_and_commits_are_folders(publisher: Publisher, library: Library) -> None:
    """The documented layout; `branches/master` replaces the folder's own files."""
    publisher.publish("o/n", {"own": b""})
    publisher.branch("o/n", "dev", {"dev": b""})
    publisher.tag("o/n", "v1", {"tagged": b""})
    publisher.commit("o/n", "old", {"detached": b""})
    found = repository(library).revisions()
    assert {name: list(t.files) for name, t in found.branches.items()} == {"dev": ["dev"], "master": ["own"]}
    assert {name: list(t.files) for name, t in found.tags.items()} == {"v1": ["tagged"]}
    assert [list(t.files) for t in found.detached] == [["detached"]]
    fresh = Library(publisher.root)  # has no memory of what was told before
    assert list(tree(fresh, found.detached[0].commit).files) == ["detached"]
    publisher.branch("o/n", "master", {"replaced": b""})
    assert list(tree(library).files) == ["replaced"]
    assert repository(library).file("master", "own") is None


def test_a_moved_branch_leaves_the_old_commit_addressable(publisher: Publisher, library: Library) -> None:
    """The upgrade of a demo and of every real hub."""
    publisher.commit("o/n", "one", {"a": b"1"})
    publisher.commit("o/n", "two", {"a": b"2"})
    publisher.move("o/n", "master", to="one")
    old = tree(library).commit
    publisher.move("o/n", "master", to="two")
    fresh = Library(publisher.root)
    assert tree(fresh).commit != old
    assert tree(fresh).files["a"].sha256 != tree(fresh, old).files["a"].sha256


def test_dot_files_are_not_published(publisher: Publisher, library: Library) -> None:
    """A `.git` or `.env` in a shared folder is nobody's business; `.gitattributes` belongs to a model."""
    publisher.publish(
        "o/n", {".gitattributes": b"", ".env": b"", ".git/config": b"", "a/.hidden/b": b"", "a/.gitattributes": b""}
    )
    assert list(tree(library).files) == [".gitattributes", "a/.gitattributes"]
    for hidden in (".env", ".git/config", "a/.hidden/b", ".fetcher-revisions/branches/x/y"):
        assert repository(library).file("master", hidden) is None


def test_links_out_of_the_folder_are_refused_and_links_inside_are_files(
    publisher: Publisher, library: Library, tmp_path: Path
) -> None:
    """A link to /etc/passwd in a shared folder must not share it; a cache's links must work."""
    publisher.publish("o/n", {"real/a": b"x"})
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "published-too").mkdir()
    (tmp_path / "published-too/f").write_bytes(b"next door")
    folder = publisher.root / "o/n"
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "door").symlink_to(tmp_path / "published-too")
    (folder / "in").symlink_to(folder / "real/a")
    (folder / "broken").symlink_to(folder / "nowhere")
    (folder / "folder").symlink_to(folder / "real")
    (folder / "loop").symlink_to(folder)
    (publisher.root / "o/linked").symlink_to(tmp_path / "published-too")
    assert list(tree(library).files) == ["in", "real/a"]
    for path in ("out", "door/f", "broken", "folder/a", "loop/in", "loop/loop/in"):
        assert repository(library).file("master", path) is None
    assert library.find(RepoKey(owner="o", name="linked")) is None


@pytest.mark.parametrize(
    "path",
    [
        "../m/a",
        "..",
        ".",
        "",
        "/etc/passwd",
        "a/../../m/a",
        "b/",
        "//a",
        "./a",
        "a\0",
        "b/./c",
        "b//c",
        "b/../a",
        "a\n",
    ],
)
def test_no_path_reaches_another_file(publisher: Publisher, library: Library, path: str) -> None:
    """One file has one name; everything else is not found."""
    publisher.publish("o/n", {"a": b"x", "b/c": b"y"})
    publisher.publish("o/m", {"a": b"other"})
    assert repository(library).file("master", path) is None


@pytest.mark.parametrize("revision", ["..", "../tags/v1", ".", "", "/", "v1/..", "\0", "0" * 40, "nope"])
def test_a_strange_revision_is_unknown(publisher: Publisher, library: Library, revision: str) -> None:
    """A revision is a name, never a path."""
    publisher.publish("o/n", {"a": b"x"})
    publisher.tag("o/n", "v1", {"a": b"y"})
    assert repository(library).tree(revision) is None
    assert repository(library).file(revision, "a") is None


@pytest.mark.parametrize(
    "key",
    [
        RepoKey(owner="..", name="published"),
        RepoKey(owner="o", name=".."),
        RepoKey(owner="o", name="."),
        RepoKey(owner="o", name=""),
        RepoKey(owner="o/n", name="a"),
        RepoKey(owner="datasets", name="o"),
        RepoKey(owner="o", name="n", dataset=True),
        RepoKey(owner="o", name="file"),
    ],
)
def test_a_strange_repository_is_unknown(publisher: Publisher, library: Library, key: RepoKey) -> None:
    """Neither the parents nor the datasets nor a file are a model."""
    publisher.publish("o/n", {"a": b"x"})
    publisher.publish("datasets/o/d", {"a": b"x"})
    (publisher.root / "o/file").write_bytes(b"")
    assert library.find(key) is None


def test_all_repositories_are_listed(publisher: Publisher, library: Library) -> None:
    """`fetcher serve` shows what it publishes."""
    for repo in ("b/two", "a/one", "datasets/c/three"):
        publisher.publish(repo, {})
    (publisher.root / ".hidden/x").mkdir(parents=True)
    shown = [(key.dataset, str(key)) for key in library.repositories()]
    assert shown == [(False, "a/one"), (False, "b/two"), (True, "c/three")]


def test_memory_of_commits_is_bounded(publisher: Publisher, library: Library) -> None:
    """A folder that changes all day must not fill the memory."""
    publisher.publish("o/n", {"0": b""})
    first = tree(library).commit
    for number in range(repositories.REMEMBERED_TREES):
        (publisher.root / "o/n" / f"new {number}").write_bytes(b"")
        tree(library)
    assert library.remembered(KEY, first) is None
    assert repository(library).tree(first) is None
