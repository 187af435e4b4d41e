"""The official libraries find offline, by id, what `fetcher download` has placed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import desk
from tests.hub.publish import MIB, Publisher, read_tree

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
