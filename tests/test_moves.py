"""Other names, other targets, other folders: files are renamed, whatever has become of the store."""

import shutil
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree
from tests.test_undo import snapshot

_TREE: dict[str, bytes | int] = {"config.json": b"{}", "sub/model.bin": 2 * MIB, "twin/model.bin": b"{}"}


@pytest.fixture
def tree(publisher: Publisher) -> dict[str, bytes]:
    return publisher.publish("owner/model", _TREE)


@pytest.fixture
def at(tmp_path: Path, hub: Hub, tree: dict[str, bytes]) -> Desk:
    """A synced project whose store was collected since."""
    at = desk(tmp_path / "project", hub.url)
    at.model("a")
    at.ok("lock")
    at.ok("sync")
    shutil.rmtree(at.environment["FETCHER_STORE"])
    return at


def _inodes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def _seen(folder: Path) -> dict[str, bytes]:
    """Files but those that the trash keeps beside, because they are on another file system than it is."""
    return {path: data for path, data in read_tree(folder).items() if ".fetcher-kept-" not in path}


def test_a_renamed_model_is_moved(at: Desk) -> None:
    """The same files under another name; nothing stays at the old spot, and undo takes them back."""
    before, whole = _inodes(at.folder / "models/a"), snapshot(at.folder)
    at.model("b")
    at.ok("lock")
    done = at.ok("sync", "--offline", "--json")
    assert done.json["moved"]["models/a/sub/model.bin"] == "models/b/sub/model.bin"
    assert _inodes(at.folder / "models/b") == before
    assert not (at.folder / "models/a").exists()
    at.ok("sync", "--check")
    at.ok("undo")
    assert snapshot(at.folder) == whole
    assert _inodes(at.folder / "models/a") == before


def test_a_changed_target_is_moved(at: Desk, tree: dict[str, bytes]) -> None:
    """The same for `target`."""
    before = _inodes(at.folder / "models/a")
    at.model("a", more='target = "weights"')
    done = at.ok("sync", "--offline")
    assert "moved 3" in done.err
    assert _inodes(at.folder / "weights") == before
    assert not (at.folder / "models").exists()


def test_without_pruning_the_files_get_a_second_name(at: Desk, tree: dict[str, bytes]) -> None:
    """`--no-prune` leaves the old spots as they are."""
    at.model("a", more='target = "weights"')
    at.ok("sync", "--offline", "--no-prune")
    assert read_tree(at.folder / "weights") == read_tree(at.folder / "models/a") == tree


def test_a_model_that_comes_again_comes_from_the_trash(at: Desk, tree: dict[str, bytes]) -> None:
    """Taken out of models.toml by mistake, and put back."""
    at.manifest("")
    at.ok("lock")
    at.ok("sync")
    assert not (at.folder / "models").exists()
    at.model("a")
    at.ok("lock")
    at.ok("sync", "--offline")
    assert at.placed("a") == tree
    at.ok("verify")


def test_damaged_bytes_in_the_trash_are_not_taken(at: Desk, tree: dict[str, bytes]) -> None:
    """What is kept is proven before it gets a final name again."""
    at.manifest("")
    at.ok("lock")
    at.ok("sync")
    for path in (at.folder / ".fetcher/trash").rglob("model.bin"):
        path.chmod(0o644)
        path.write_bytes(bytes(path.stat().st_size))
    at.model("a")
    at.ok("lock")
    assert at.fetcher("sync", "--offline").code == 12
    at.ok("sync")
    assert at.placed("a") == tree


def test_a_moved_project_folder_is_in_place(at: Desk) -> None:
    """Nothing in the state names the folder itself."""
    at.folder = at.folder.rename(at.folder.with_name("elsewhere"))
    at.ok("sync", "--check", "--offline")
    at.model("b")
    at.ok("lock")
    at.ok("sync", "--offline")


def test_a_target_on_another_file_system_is_moved_there_and_back(
    at: Desk, abroad: Path, tree: dict[str, bytes]
) -> None:
    """Copied where it cannot be renamed; never fetched, and undone as well."""
    before = snapshot(at.folder)
    at.model("a", more=f'target = "{abroad}/weights"')
    at.ok("sync", "--offline")
    assert read_tree(abroad / "weights") == tree
    assert not (at.folder / "models").exists()
    at.ok("undo")
    assert snapshot(at.folder) == before
    assert _seen(abroad) == {}
    at.ok("sync", "--offline")
    at.model("b", more=f'target = "{abroad}/other"')
    at.ok("lock")
    at.ok("sync", "--offline")
    assert _seen(abroad / "other") == tree
    at.ok("sync", "--check")
