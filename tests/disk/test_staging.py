"""Two real file systems: an object goes where its target is, and leaves no second copy."""

from pathlib import Path

import pytest

from fetcher.core.paths import RepoPath
from fetcher.core.plan import Wanted
from fetcher.disk.staging import Staging
from fetcher.disk.store import Store
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.disk.looks import sha
from tests.hub.publish import MIB, Publisher, read_tree

_DATA = b"bytes of a model"
_TREE: dict[str, bytes | int] = {"config.json": b"{}", "sub/model.bin": 3 * MIB}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The project's folder."""
    root = tmp_path / "project"
    root.mkdir()
    return root


@pytest.fixture
def shared(tmp_path: Path) -> Store:
    """The user's store, on the project's file system."""
    return Store(tmp_path / "store")


@pytest.fixture
def staging(root: Path, shared: Store) -> Staging:
    return Staging(root=root, state=root / ".fetcher", store=shared)


def _wanted(base: str, data: bytes = _DATA, path: str = "sub/model.bin") -> Wanted:
    return Wanted(model="m", path=RepoPath(path), spot=f"{base}/{path}", sha256=sha(data), size=len(data))


# --- the stores ----------------------------------------------------------------------


def test_a_target_on_the_store_s_file_system_uses_the_store(staging: Staging, shared: Store) -> None:
    """There the bytes can be shared; a store more would be a copy more."""
    assert staging.store_for(_wanted("models/m")) is shared


def test_a_target_abroad_has_a_store_of_its_own_there(staging: Staging, shared: Store, abroad: Path) -> None:
    """A rename into place works on one file system only; nothing is made by asking."""
    target = abroad / "not" / "yet" / "there"
    store = staging.store_for(_wanted(str(target)))
    assert store is not shared
    assert store.device() == abroad.stat().st_dev
    assert store.root.is_relative_to(target)
    assert staging.store_for(_wanted(str(target), path="sub/other.bin")).root == store.root
    assert list(abroad.iterdir()) == []


def test_a_project_on_another_file_system_than_the_store_stages_in_its_state(shared: Store, abroad: Path) -> None:
    """`.fetcher` is on the right file system and ignored by git already."""
    root = abroad / "project"
    staging = Staging(root=root, state=root / ".fetcher", store=shared)
    assert staging.store_for(_wanted("models/m")).root == root / ".fetcher"
    assert staging.store_for(_wanted(str(abroad / "beside"))).root == root / ".fetcher"


def test_an_object_leaves_the_staging_store_when_it_is_placed(staging: Staging, shared: Store, abroad: Path) -> None:
    """Or the small disk abroad would hold it twice."""
    item = _wanted(str(abroad / "weights"))
    store = staging.store_for(item)
    store.add_bytes(_DATA)
    assert Path(staging.object_name(item)) == store.object_path(item.sha256)
    staging.release([item])
    assert not store.has(item.sha256, item.size)
    assert [path for path in abroad.rglob("*") if path.is_file()] == []


def test_the_user_s_store_keeps_what_is_placed(staging: Staging, shared: Store, abroad: Path) -> None:
    """Other projects have it from there."""
    shared.add_bytes(_DATA)
    staging.release([_wanted("models/m"), _wanted(str(abroad / "weights"))])
    assert shared.has(sha(_DATA), len(_DATA))


def test_what_the_user_s_store_holds_is_not_fetched_for_a_target_abroad(
    staging: Staging, shared: Store, abroad: Path
) -> None:
    """A copy from disk is cheaper than the network; the object is not copied into a second store first."""
    item = _wanted(str(abroad / "weights"))
    shared.add_bytes(_DATA)
    assert staging.stored([item]) == {item.sha256}
    assert Path(staging.object_name(item)) == shared.object_path(item.sha256)
    assert list(abroad.iterdir()) == []


def test_what_a_staging_store_holds_serves_a_target_at_home(staging: Staging, abroad: Path) -> None:
    """The same digest wanted in both places is fetched once, whichever store took it."""
    far, near = _wanted(str(abroad / "weights")), _wanted("models/m")
    store = staging.store_for(far)
    store.add_bytes(_DATA)
    assert staging.stored([near]) == {near.sha256}
    assert Path(staging.object_name(near)) == store.object_path(near.sha256)


def test_what_no_store_holds_is_due_in_the_target_s_own(staging: Staging, shared: Store, abroad: Path) -> None:
    """An object of another size is none."""
    far, near = _wanted(str(abroad / "weights")), _wanted("models/m")
    path = shared.object_path(near.sha256)
    path.parent.mkdir(parents=True)
    path.write_bytes(_DATA[:-1])
    assert staging.stored([far, near]) == set()
    assert Path(staging.object_name(near)) == path
    assert Path(staging.object_name(far)) == staging.store_for(far).object_path(far.sha256)


# --- whole syncs ----------------------------------------------------------------------


@pytest.fixture
def at(root: Path, hub: Hub, publisher: Publisher, shared: Store) -> Desk:
    publisher.publish("owner/model", _TREE)
    return desk(root, hub.url, more={"FETCHER_STORE": str(shared.root)})


def _objects(store: Path) -> list[Path]:
    return [path for path in (store / "objects").rglob("*") if path.is_file()]


def test_a_sync_to_another_file_system_leaves_one_copy(at: Desk, abroad: Path, shared: Store) -> None:
    """The files, and no object beside them nor in the user's store."""
    target = abroad / "weights"
    at.model(more=f'target = "{target}"')
    at.ok("lock")
    at.ok("sync")
    tree = read_tree(target)
    assert {path: len(data) for path, data in tree.items() if not path.startswith(".")} == {
        "config.json": 2,
        "sub/model.bin": 3 * MIB,
    }
    assert sum(map(len, read_tree(abroad).values())) < 3 * MIB + 1000, "one copy there"
    assert _objects(shared.root) == []
    at.ok("sync", "--check")


def test_two_models_on_two_file_systems_fetch_the_bytes_once(at: Desk, abroad: Path, hub: Hub) -> None:
    """One digest, two disks: the network is asked once, the rest is a copy."""
    section = 'source = "ms:owner/model"\ninclude = ["sub/*"]\n'
    at.manifest(f'[models.far]\n{section}target = "{abroad}/weights"\n[models.near]\n{section}')
    at.ok("lock")
    done = at.ok("sync", "--json")
    assert len(done.json["fetched"]) == 1
    assert (abroad / "weights/sub/model.bin").read_bytes() == at.placed("near")["sub/model.bin"]
    at.ok("sync", "--check")


def test_a_model_that_moves_to_another_file_system_is_not_fetched_again(at: Desk, abroad: Path, hub: Hub) -> None:
    """The user's store has it; the old files go, the new ones are there."""
    at.model()
    at.ok("lock")
    at.ok("sync")
    old = at.placed()
    hub.forget_requests()
    at.model(more=f'target = "{abroad}/weights"')
    at.ok("sync")
    assert hub.requests == []
    assert {path: data for path, data in read_tree(abroad / "weights").items() if not path.startswith(".")} == old
    assert at.placed() == {}
    at.ok("sync", "--check")
