"""`layout` of a model: `sync` keeps the snapshot of a library's cache, and the names that lead to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.core.plan import Plan
from fetcher.disk.ready import Ready
from fetcher.errors import BlockedError, ConfigError, SourceError
from fetcher.project import Project
from fetcher.resolve import Upgrade
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from fetcher.sync import Report
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree

MODEL = "acme/tiny"
TREE: dict[str, bytes | int] = {"config.json": b'{"model_type": "gpt2"}', "onnx/a.json": b"{}", "model.bin": 2 * MIB}
NEXT: dict[str, bytes | int] = {**TREE, "config.json": b"{}", "more.bin": MIB + 1}
REPOSITORIES = {"modelscope": "cache/models/acme--tiny", "huggingface": "cache/models--acme--tiny"}
NAMES = {"modelscope": "snapshots/master", "huggingface": "refs/main"}
both = pytest.mark.parametrize("layout", ["modelscope", "huggingface"])


def _desk(tmp_path: Path, hub: Hub, layout: str, *, target: str = 'target = "cache"', more: str = "") -> Desk:
    at = desk(tmp_path / "desk", hub.url, more={"HF_ENDPOINT": hub.url, "FETCHER_RETRIES": "1"})
    at.manifest(f'[models.tiny]\nsource = "{layout}:{MODEL}"\nlayout = "{layout}"\n{target}\n{more}')
    return at


def _project(at: Desk) -> Project:
    return Project.find(at.folder, settings=Settings.of(at.environment))


def _lock(at: Desk, *, upgrade: bool = False) -> None:
    project = _project(at)
    project.save_lock(project.resolve(Upgrade(names=None if upgrade else frozenset())))


def _sync(at: Desk, *, upgrade: bool = False) -> Report:
    _lock(at, upgrade=upgrade)
    return _project(at).sync()


def _plan(at: Desk) -> Plan:
    return _project(at).plan()


def _verified(at: Desk) -> Plan:
    project = _project(at)
    return project.verify(project.fresh_lock()).plan


def _snapshot(at: Desk, layout: str) -> Path:
    """Where the name leads."""
    repository = at.folder / REPOSITORIES[layout]
    name = repository / NAMES[layout]
    if layout == "modelscope":
        return repository / "snapshots" / os.readlink(name)
    return repository / "snapshots" / name.read_text()


@both
def test_a_sync_places_a_snapshot_and_the_name_that_leads_to_it(
    tmp_path: Path, hub: Hub, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Large files share their bytes with the store; status, verify, path and a second sync see nothing to do."""
    tree = publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, layout)
    _sync(at)
    folder = _snapshot(at, layout)
    assert read_tree(folder) == tree
    found = (folder / "model.bin").stat()
    assert (found.st_nlink, found.st_mode & 0o222) == (2, 0)
    assert {path.name for path in folder.parent.iterdir()} <= {folder.name, "master"}
    assert at.ok("path", "tiny").out.strip() == str(folder)
    assert _project(at).path("tiny", "onnx/a.json") == folder / "onnx/a.json"
    hub.close()
    assert at.ok("sync").err == "Up to date: 4 files.\n"
    assert at.ok("status").out.startswith("tiny: synced, 4 files, 2.0 MiB\n")
    assert _verified(at).is_empty()
    _project(at).sync()
    ready = Ready.of((at.folder / ".fetcher/ready").read_bytes())
    monkeypatch.chdir(at.folder)
    assert ready is not None
    assert ready.synced == "Up to date: 4 files."
    assert ready.is_as_it_was()
    (at.folder / REPOSITORIES[layout] / NAMES[layout]).unlink()
    for plan in (_plan(at), _verified(at)):
        assert [wanted.path for wanted in plan.place] == [NAMES[layout]]
        assert not plan.fetch
    assert not _project(at).sync(offline=True).fetched
    assert _snapshot(at, layout) == folder


@both
def test_an_upgrade_leads_to_the_new_snapshot_prunes_the_old_one_and_can_be_undone(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str
) -> None:
    """Only when all of it is there does the name lead to it; no folder of the old one stays."""
    before = publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, layout)
    _sync(at)
    old = _snapshot(at, layout)
    after = publisher.publish(MODEL, NEXT)
    _lock(at, upgrade=True)
    assert not _plan(at).move
    hub.close()
    with pytest.raises(SourceError):
        _project(at).sync()
    assert (_snapshot(at, layout), read_tree(old)) == (old, before)
    with Hub(publisher.root) as again:
        at.environment |= {"MODELSCOPE_ENDPOINT": again.url, "HF_ENDPOINT": again.url}
        _project(at).sync()
    new = _snapshot(at, layout)
    assert new != old
    assert read_tree(new) == after
    assert not old.exists()
    _project(at).undo()
    assert _snapshot(at, layout) == old
    assert (read_tree(old), new.exists()) == (before, False)
    _project(at).sync()
    assert (_snapshot(at, layout), read_tree(new), old.exists()) == (new, after, False)


@both
def test_a_name_changes_hands_after_the_files_and_before_the_old_ones_go(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str
) -> None:
    """A program that follows the name always finds a whole snapshot; so the record of the change has it."""
    publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, layout)
    _sync(at)
    publisher.publish(MODEL, NEXT)
    _sync(at, upgrade=True)
    records = sorted((at.folder / ".fetcher/trash").glob("*/done.jsonl"))
    acts = [line.split('"act":"')[1].split('"')[0] for line in records[-1].read_text().splitlines()[1:]]
    assert acts == [*["place"] * 4, "replace", *["remove"] * 3]


@both
def test_what_leaves_the_manifest_goes_and_what_others_put_there_stays(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str
) -> None:
    """A cache is shared with every other tool."""
    publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, layout)
    repository = at.folder / REPOSITORIES[layout]
    others = [repository / "blobs/abc", repository / "snapshots/other/config.json", at.folder / "cache/version.txt"]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    _sync(at)
    at.manifest("")
    _sync(at)
    assert sorted(path for path in (at.folder / "cache").rglob("*") if not path.is_dir()) == sorted(others)
    assert not any(path.name in ("refs", "onnx") for path in (at.folder / "cache").rglob("*"))


@both
def test_a_cache_outside_the_project_is_left_without_a_trace(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str
) -> None:
    """Folders that were made for a snapshot go with it there as well."""
    publisher.publish(MODEL, TREE)
    cache = tmp_path / "elsewhere"
    cache.mkdir()
    at = _desk(tmp_path, hub, layout, target=f'target = "{cache}"')
    _sync(at)
    publisher.publish(MODEL, NEXT)
    _sync(at, upgrade=True)
    assert sum(path.name == "config.json" for path in cache.rglob("*") if "master" not in path.parts) == 1
    at.manifest("")
    _sync(at)
    assert list(cache.iterdir()) == []


@both
def test_a_name_that_another_tool_gave_is_the_user_s_to_change(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str
) -> None:
    """`--force` moves it into the trash, `undo` brings it back."""
    publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, layout)
    name = at.folder / REPOSITORIES[layout] / NAMES[layout]
    name.parent.mkdir(parents=True)
    if layout == "modelscope":
        name.symlink_to("elsewhere")
    else:
        name.write_text("0" * 40)
    _lock(at)
    blocked = at.fetcher("sync")
    assert blocked.code == 9
    place = f"{REPOSITORIES[layout]}/{NAMES[layout]}"
    assert blocked.err == (
        "error: 1 thing is in the way and not fetcher's to replace.\n"
        f"  {place}: leads elsewhere, and fetcher did not write it\n"
        "  fix: move it away, or run `fetcher sync --force` to have it moved into .fetcher/trash/\n"
    )
    theirs = os.readlink(name) if layout == "modelscope" else name.read_text()
    _project(at).sync(force=True)
    assert len(_snapshot(at, layout).name) == 40
    _project(at).undo()
    assert (os.readlink(name) if layout == "modelscope" else name.read_text()) == theirs


_OFFICIAL = {
    "modelscope": "from modelscope import snapshot_download as get; get('acme/tiny')",
    "huggingface": "from huggingface_hub import snapshot_download as get; get('acme/tiny')",
}


@both
def test_what_the_official_client_has_put_into_its_cache_is_kept_and_used(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str
) -> None:
    """Without a target the cache is the library's own, wherever a variable moves it."""
    tree = publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, layout, target="")
    cache = tmp_path / "moved"
    at.environment |= {"MODELSCOPE_CACHE": str(cache), "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1"}
    subprocess.run([sys.executable, "-c", _OFFICIAL[layout]], env=at.environment, check=True, timeout=120)
    before = {path: path.lstat().st_ino for path in cache.rglob("*")}
    _lock(at)
    hub.close()
    assert _project(at).sync().is_empty()
    assert {path: path.lstat().st_ino for path in cache.rglob("*")} == before
    assert read_tree(_project(at).path("tiny")) == tree
    assert not (at.folder / ".fetcher/ready").exists()  # the front room reads no variable of theirs
    at.environment |= {"MODELSCOPE_CACHE": str(tmp_path / "new"), "HF_HUB_CACHE": str(tmp_path / "new")}
    assert len(_plan(at).place) == len(tree) + 1
    at.manifest("")
    _sync(at)
    assert {path: path.lstat().st_ino for path in cache.rglob("*")} == before


def test_a_link_that_leads_out_of_the_repository_s_blobs_is_not_followed(
    tmp_path: Path, hub: Hub, publisher: Publisher
) -> None:
    """Only what huggingface_hub itself writes is taken for a file; anything else is in the way."""
    tree = publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, "huggingface")
    _lock(at)
    (spot,) = (wanted.spot for wanted in _plan(at).place if wanted.path == "config.json")
    folder = (at.folder / spot).parent
    folder.mkdir(parents=True)
    (tmp_path / "outside").write_bytes(tree["config.json"])
    (folder / "config.json").symlink_to(tmp_path / "outside")
    with pytest.raises(BlockedError, match=r"in the way") as caught:
        _project(at).sync()
    assert [*caught.value.facts] == [f"{spot}: a symlink"]


@both
def test_two_models_of_one_revision_share_its_name(tmp_path: Path, hub: Hub, publisher: Publisher, layout: str) -> None:
    """A branch is one name in a cache, so two commits of it cannot both have it."""
    tree = publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, layout, more='include = ["*.json"]\n[models.other]\n')
    text = (at.folder / "models.toml").read_text()
    more = f'source = "{layout}:{MODEL}"\nlayout = "{layout}"\ntarget = "cache"\ninclude = ["*.bin"]\n'
    (at.folder / "models.toml").write_text(text + more)
    _lock(at)
    _project(at).sync(["other"])
    assert set(read_tree(_snapshot(at, layout))) == {"model.bin"}
    _project(at).sync()
    assert read_tree(_snapshot(at, layout)) == tree
    publisher.publish(MODEL, NEXT)
    with pytest.raises(ConfigError, match=r"Two models own the same file"):
        _project(at).resolve(Upgrade(names=frozenset({"other"})))


def test_a_model_that_gets_a_layout_is_not_fetched_again(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """Its bytes are on the disk already, also where the store has let them go."""
    tree = publisher.publish(MODEL, TREE)
    at = _desk(tmp_path, hub, "huggingface")
    text = (at.folder / "models.toml").read_text()
    (at.folder / "models.toml").write_text(text.replace('layout = "huggingface"\ntarget = "cache"', ""))
    _sync(at)
    (at.folder / "models.toml").write_text(text)
    _lock(at)
    store = Path(at.environment["FETCHER_STORE"])
    for path in store.glob("objects/sha256/*/*"):
        path.unlink()
    hub.close()
    _project(at).sync()
    assert read_tree(_snapshot(at, "huggingface")) == tree
    assert not (at.folder / "models").exists()


def test_a_layout_for_all_leaves_sources_that_are_no_hub_where_they_were(
    tmp_path: Path, hub: Hub, publisher: Publisher
) -> None:
    """Only hubs have ids by which a library could look."""
    tree = publisher.publish(MODEL, TREE)
    at = desk(tmp_path / "desk", hub.url)
    (at.folder / "own").mkdir()
    (at.folder / "own/a.bin").write_bytes(b"a")
    at.manifest(
        '[defaults]\nlayout = "modelscope"\ntarget = "cache"\n'
        f'[models.tiny]\nsource = "ms:{MODEL}"\n[models.folder]\nsource = "file:own"\n'
    )
    _sync(at)
    assert read_tree(_snapshot(at, "modelscope")) == tree
    assert at.placed("folder") == {"a.bin": b"a"}
    (at.folder / "models.toml").write_text((at.folder / "models.toml").read_text() + "odd = 1\n")
    _project(at).sync(frozen=True)
    assert read_tree(_snapshot(at, "modelscope")) == tree


def test_a_program_is_told_of_the_cache_in_which_its_models_are(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """One of each library: with two, some models could not be found."""
    publisher.publish(MODEL, TREE)
    other = f'[models.other]\nsource = "ms:{MODEL}"\nlayout = "huggingface"\ntarget = "elsewhere"\n'
    at = _desk(tmp_path, hub, "huggingface", more=other)
    _lock(at)
    told = _project(at).variables(["tiny"])
    assert told["HF_HUB_CACHE"] == str(at.folder / "cache")
    assert told["FETCHER_MODEL_TINY"].startswith(f"{at.folder}/cache/models--acme--tiny/snapshots/")
    assert "MODELSCOPE_CACHE" not in told
    with pytest.raises(ConfigError) as caught:
        _project(at).variables()
    assert str(caught.value) == (
        "A program can be told of one cache with the huggingface layout only.\n"
        "  other: elsewhere\n"
        "  tiny: cache\n"
        "  fix: name the models that are needed, or give both the same `target` in models.toml"
    )
