"""`fetcher store`, by the command line."""

import shutil
from pathlib import Path

import pytest

from fetcher.disk.store import Store
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.cli.test_verify import rot
from tests.disk.looks import sha
from tests.hub.publish import MIB, Publisher


@pytest.fixture
def at(tmp_path: Path, publisher: Publisher, hub: Hub) -> Desk:
    """A synced project."""
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 2 * MIB})
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    at.ok("sync")
    return at


def test_where_it_is_and_what_it_holds(at: Desk) -> None:
    """For scripts and for people; placed files share the large object's bytes."""
    assert at.ok("store", "dir").out == at.environment["FETCHER_STORE"] + "\n"
    assert (
        at.ok("store", "size").out
        == "2 objects, 2.0 MiB (2.0 MiB shared with placed files)\n0 partials, 0 B\n1 project\n"
    )
    assert at.ok("store", "size", "--json").json["size"] == 2 * MIB + 2


def test_gc_keeps_what_a_project_names_until_its_folder_is_gone(at: Desk) -> None:
    """However old; the grace is for what nobody names."""
    assert at.ok("store", "gc", "--grace", "0").err == "Removed 0 objects and 0 partials, 0 B; 2 objects stay.\n"
    shutil.rmtree(at.folder)
    at.folder.mkdir()
    (at.folder / "lost").mkdir()
    at.folder.rename(at.folder.with_name("elsewhere"))
    at.folder = at.folder.with_name("elsewhere")
    assert "2 objects stay" in at.ok("store", "gc").err, "they are young"
    said = at.ok("store", "gc", "--grace", "0", "--dry-run", "--json").json
    assert (len(said["objects"]), said["freed"], said["kept"]) == (2, 2 * MIB + 2, 0)
    assert at.ok("store", "gc", "--grace", "0", "--json").json == said
    assert at.ok("store", "size").out.startswith("0 objects, 0 B\n")


def test_gc_keeps_what_the_index_alone_names(at: Desk) -> None:
    """The lock moved on, and nobody has synced yet: the old files may be wanted for going back."""
    at.manifest("")
    at.ok("lock")
    assert "2 objects stay" in at.ok("store", "gc", "--grace", "0").err
    at.ok("sync")
    assert "0 objects stay" in at.ok("store", "gc", "--grace", "0").err


def test_gc_sweeps_the_stores_of_projects_on_other_file_systems(at: Desk, abroad: Path, hub: Hub) -> None:
    """What a run received there and a later lock does not name; what the lock names is still to come, and stays."""
    far = desk(abroad / "project", hub.url, more={"FETCHER_STORE": at.environment["FETCHER_STORE"]})
    far.model(more=f'target = "{abroad}/deep/weights"')
    far.ok("lock")
    far.ok("sync")
    wanted = sha(at.placed()["model.bin"])
    for state in (far.folder / ".fetcher", abroad / "deep" / ".fetcher"):
        for name in ("0" * 64, wanted):
            (state / "partial" / name).mkdir(parents=True)
            (state / "partial" / name / "data").write_bytes(b"half")
        staged = Store(state)
        staged.add_bytes(b"received, never placed")
    said = at.ok("store", "gc", "--grace", "0", "--json").json
    assert (len(said["objects"]), len(said["partials"])) == (2, 2)
    for state in (far.folder / ".fetcher", abroad / "deep" / ".fetcher"):
        assert [path.name for path in (state / "partial").iterdir()] == [wanted]
        assert [path for path in (state / "objects/sha256").rglob("*") if path.is_file()] == []
    far.ok("verify")


def test_a_damaged_object_is_told_and_removed_when_asked(at: Desk) -> None:
    """Exit 4; a sync never places one, in any case."""
    assert at.ok("store", "verify").err == "Verified: 2 objects, all sound.\n"
    digest = sha((at.folder / "models/m/model.bin").read_bytes())
    rot(Path(at.environment["FETCHER_STORE"], "objects/sha256", digest[:2], digest[2:]), 7)
    done = at.fetcher("store", "verify")
    assert done.code == 4
    assert done.err == (
        "error: 1 object of the store is damaged.\n"
        f"  sha256 {digest}\n"
        "  fix: run `fetcher store verify --discard`, then `fetcher verify --repair` in the projects that use them\n"
    )
    assert at.ok("store", "verify", "--discard").err == "Removed 1 damaged object of 2.\n"
    at.ok("verify", "--repair")
    at.ok("store", "verify")
