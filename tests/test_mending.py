"""What is on this machine is not fetched: damage is mended by chunks, and right bytes are found wherever they are.

By the command line, against the hub; what moves is counted by the hub.
"""

import os
import shutil
from pathlib import Path

import pytest

from fetcher.core.chunk import CHUNK
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.cli.test_verify import rot
from tests.hub.publish import MIB, Publisher, read_tree

_HEADS = 64 << 10  # bytes for the heads of replies and listings
_SIZE = 2 * CHUNK + MIB
_MODEL = "models/m/model.bin"


@pytest.fixture
def tree(publisher: Publisher) -> dict[str, bytes]:
    return publisher.publish("owner/model", {"config.json": b"{}", "model.bin": _SIZE})


@pytest.fixture
def at(tmp_path: Path, tree: dict[str, bytes], hub: Hub) -> Desk:
    """A synced model of one large file and a small one."""
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    at.ok("sync")
    hub.forget_requests()
    return at


@pytest.fixture
def far(abroad: Path, at: Desk, hub: Hub) -> Desk:
    """Another project with the same lock, on another file system: it shares no bytes with the store."""
    far = desk(abroad / "project", hub.url)
    for name in ("models.toml", "models.lock"):
        shutil.copy(at.folder / name, far.folder)
    far.ok("sync", "--offline")
    return far


def _sent(hub: Hub) -> int:
    return sum(request.sent for request in hub.requests)


def test_one_flipped_byte_costs_one_chunk(at: Desk, tree: dict[str, bytes], hub: Hub) -> None:
    """The object shares the damage; only its sound chunks are used, and it does not stay damaged."""
    rot(at.folder / _MODEL, CHUNK + 5)
    done = at.ok("verify", "--repair")
    assert CHUNK <= _sent(hub) < CHUNK + _HEADS
    assert at.placed() == tree
    assert done.err.endswith("Repaired: 1 file, 33.0 MiB.\n")
    assert f"moved aside: {_MODEL} -> " in done.err
    at.ok("verify", "--sha256")


def test_a_sync_of_a_file_known_to_be_damaged_costs_its_chunks(at: Desk, tree: dict[str, bytes], hub: Hub) -> None:
    """Two of them, the short last one too."""
    rot(at.folder / _MODEL, 5)
    rot(at.folder / _MODEL, _SIZE - 1)
    assert at.fetcher("verify").code == 4
    at.ok("sync")
    assert _sent(hub) < CHUNK + MIB + _HEADS
    assert at.placed() == tree


def test_a_forced_sync_over_an_edited_file_costs_its_chunks(at: Desk, tree: dict[str, bytes], hub: Hub) -> None:
    """The edit goes into the trash with all its bytes; what it left right is used."""
    model = at.folder / _MODEL
    model.chmod(0o644)
    with model.open("r+b") as file:
        file.seek(CHUNK)
        file.write(b"an experiment")
    edited = model.read_bytes()
    done = at.fetcher("verify", "--repair")
    assert (done.code, f"{_MODEL}: edited since fetcher wrote it" in done.err) == (9, True)
    assert model.read_bytes() == edited
    at.ok("sync", "--force")
    assert _sent(hub) < CHUNK + _HEADS
    assert at.placed() == tree
    assert edited in read_tree(at.folder / ".fetcher" / "trash").values()


def test_repair_brings_what_is_missing_from_the_store(at: Desk, tree: dict[str, bytes], hub: Hub) -> None:
    """Nothing to fetch: the object is sound."""
    (at.folder / _MODEL).unlink()
    at.ok("verify", "--repair")
    assert hub.requests == []
    assert at.placed() == tree


def test_with_the_store_intact_nothing_is_fetched(far: Desk, tree: dict[str, bytes], hub: Hub) -> None:
    """A damaged copy on another file system."""
    rot(far.folder / _MODEL, 5)
    far.ok("verify", "--repair")
    assert hub.requests == []
    assert far.placed() == tree


def test_with_another_copy_intact_nothing_is_fetched(at: Desk, far: Desk, tree: dict[str, bytes], hub: Hub) -> None:
    """The store's object has the damage too; the copy of another project has not."""
    rot(at.folder / _MODEL, 5)
    at.ok("verify", "--repair")
    assert hub.requests == []
    assert at.placed() == tree


def test_without_a_store_another_project_s_files_are_linked(
    at: Desk, tmp_path: Path, tree: dict[str, bytes], hub: Hub
) -> None:
    """The project that was there first is known to the store only: so the store is emptied, not removed."""
    shutil.rmtree(Path(at.environment["FETCHER_STORE"], "objects"))
    other = desk(tmp_path / "other", hub.url)
    for name in ("models.toml", "models.lock"):
        shutil.copy(at.folder / name, other.folder)
    other.ok("sync", "--offline")
    assert (other.folder / _MODEL).samefile(at.folder / _MODEL)
    assert other.placed() == tree


def test_two_projects_and_two_models_that_share_bytes_cost_one_copy_and_the_difference(
    tmp_path: Path, publisher: Publisher, hub: Hub
) -> None:
    """Nine of ten parts are the same: fetched once, one inode each, however many names."""
    shared: dict[str, bytes | int] = {f"part-{number}.bin": 2 * MIB for number in range(9)}
    publisher.publish("owner/one", {**shared, "own.bin": b"1" * (2 * MIB)})
    publisher.publish("owner/two", {**shared, "own.bin": b"2" * (2 * MIB)})
    desks = [desk(tmp_path / name, hub.url) for name in ("first", "second")]
    for each in desks:
        each.manifest('[models.one]\nsource = "ms:owner/one"\n[models.two]\nsource = "ms:owner/two"\n')
        each.ok("lock")
    hub.forget_requests()
    for each in desks:
        each.ok("sync")
    assert 11 * 2 * MIB <= _sent(hub) < 11 * 2 * MIB + _HEADS
    files = [path for each in desks for path in (each.folder / "models").rglob("*.bin")]
    files += Path(desks[0].environment["FETCHER_STORE"], "objects/sha256").rglob("*")
    inodes = {path.stat().st_ino: path.stat().st_blocks * 512 for path in files if path.is_file()}
    assert len(files) > 40
    assert len(inodes) == 11
    assert sum(inodes.values()) < 11 * 2 * MIB + MIB


def test_adopt_takes_files_under_any_name(
    tmp_path: Path, publisher: Publisher, tree: dict[str, bytes], hub: Hub
) -> None:
    """The files of yesterday's download; they stay as they are, and an edit of them does not reach the store."""
    old = tmp_path / "old"
    (old / "deep").mkdir(parents=True)
    (old / "deep" / "weights.gguf").write_bytes(tree["model.bin"])
    (old / "c.json").write_bytes(tree["config.json"])
    before = {path: path.stat().st_mtime_ns for path in old.rglob("*")}
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    assert at.fetcher("sync", "--offline").code == 12
    done = at.ok("sync", "--offline", "--adopt", str(old))
    assert "note: 2 files (33.0 MiB) taken from this machine\n" in done.err
    assert at.placed() == tree
    assert {path: path.stat().st_mtime_ns for path in old.rglob("*")} == before
    (old / "deep" / "weights.gguf").write_bytes(b"gone")
    at.ok("verify", "--sha256")
    done = at.fetcher("sync", "--adopt", "nowhere")
    assert (done.code, done.err) == (2, "error: --adopt: nowhere is no folder.\n  fix: name an existing folder\n")


@pytest.mark.parametrize("where", ["modelscope", "MODELSCOPE_CACHE", "huggingface", "HF_HOME", "HF_HUB_CACHE"])
def test_the_official_clients_caches_are_looked_at(
    where: str, tmp_path: Path, isolated_environment: Path, publisher: Publisher, hub: Hub
) -> None:
    """As they lay files out: ModelScope by name, Hugging Face by digest with links beside."""
    tree = publisher.publish("owner/model", {"model.bin": 2 * MIB})
    folder, variable = {
        "modelscope": (isolated_environment / ".cache/modelscope/hub/models/owner/model", None),
        "MODELSCOPE_CACHE": (tmp_path / "ms/owner/model", tmp_path / "ms"),
        "huggingface": (isolated_environment / ".cache/huggingface/hub/models--owner--model/blobs", None),
        "HF_HOME": (tmp_path / "hf/hub/models--owner--model/blobs", tmp_path / "hf"),
        "HF_HUB_CACHE": (tmp_path / "hub/models--owner--model/blobs", tmp_path / "hub"),
    }[where]
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(tree["model.bin"])
    if folder.name == "blobs":
        snapshot = folder.parent / "snapshots" / "0123"
        snapshot.mkdir(parents=True)
        (snapshot / "model.bin").symlink_to(os.path.relpath(folder / "model.bin", snapshot))
    at = desk(tmp_path / "project", hub.url, more={where: str(variable)} if variable else None)
    at.model()
    at.ok("lock")
    at.ok("sync", "--offline")
    assert at.placed() == tree
    assert read_tree(folder) == tree
