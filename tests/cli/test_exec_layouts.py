"""Under `fetcher exec` the official libraries find models by id, in the caches of the lock, and ask nobody."""

import json
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree

TREE: dict[str, bytes | int] = {"config.json": b'{"model_type": "gpt2"}', "model.safetensors": 2 * MIB}
PROGRAM = """
import json, os, socket, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise AssertionError(event)
sys.addaudithook(refuse)
import huggingface_hub, modelscope
print("FOUND=" + json.dumps({
    "hf": huggingface_hub.snapshot_download("acme/hugging"),
    "ms": modelscope.snapshot_download("acme/scope", local_files_only=True),
    "given": [os.environ["FETCHER_MODEL_H"], os.environ["FETCHER_MODEL_S"]],
}))
"""


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A model of each hub, each in a cache in the project."""
    for repo in ("acme/hugging", "acme/scope"):
        publisher.publish(repo, {**TREE, "README.md": repo.encode()})
    at = desk(tmp_path / "project", hub.url, more={"HF_ENDPOINT": hub.url})
    at.manifest(
        '[models.h]\nsource = "hf:acme/hugging"\nlayout = "huggingface"\ntarget = "caches/hf"\n'
        '[models.s]\nsource = "ms:acme/scope"\nlayout = "modelscope"\ntarget = "caches/ms"\n'
    )
    at.ok("lock", "-q")
    return at


def test_models_with_a_layout_are_found_by_id(at: Desk, hub: Hub) -> None:
    """By the libraries of both hubs, in one program, with every socket refused."""
    at.ok("sync")
    hub.close()
    done = at.ok("exec", "--frozen", "--offline", "--", sys.executable, "-c", PROGRAM)
    (line,) = (line for line in done.out.splitlines() if line.startswith("FOUND="))
    found = json.loads(line.removeprefix("FOUND="))
    assert [Path(found["hf"]).resolve(), Path(found["ms"]).resolve()] == [Path(p).resolve() for p in found["given"]]
    for which, repo in (("hf", b"acme/hugging"), ("ms", b"acme/scope")):
        assert Path(found[which]).is_relative_to(at.folder / "caches" / which)
        assert read_tree(Path(found[which]))["README.md"] == repo


def test_only_the_caches_of_the_models_that_are_named_are_told(at: Desk) -> None:
    """The other library's own cache stays what it was for the program."""
    assert at.ok("env", "s").out == (
        f"export FETCHER_MODEL_S={at.ok('path', 's').out.strip()}\n"
        "export HF_HUB_OFFLINE=1\n"
        f"export MODELSCOPE_CACHE={at.folder}/caches/ms\n"
    )


def test_two_caches_of_one_library_are_an_error(at: Desk) -> None:
    """It looks in one, so one of the models would be missing unseen."""
    at.manifest(
        '[models.h]\nsource = "hf:acme/hugging"\nlayout = "huggingface"\ntarget = "caches/hf"\n'
        '[models.i]\nsource = "hf:acme/scope"\nlayout = "huggingface"\ntarget = "caches/other"\n'
    )
    at.ok("lock", "-q")
    done = at.fetcher("exec", "--", "true")
    assert (done.code, done.err.splitlines()[-4:]) == (
        2,
        [
            "error: A program can be told of one cache with the huggingface layout only.",
            "  h: caches/hf",
            "  i: caches/other",
            "  fix: name the models that are needed, or give both the same `target` in models.toml",
        ],
    )
    at.ok("exec", "h", "--", "true")
