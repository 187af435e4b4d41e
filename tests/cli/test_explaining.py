"""`fetcher why`, as people and programs call it."""

from pathlib import Path

import pytest

from fetcher.core.paths import ModelName
from fetcher.formats.lock_toml import read_lock
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher

MANIFEST = """
[models.one]
source = "ms:owner/one"
exclude = ["*.md"]

[models.two]
source = "ms:owner/two"
include = ["*.json"]
layout = "huggingface"
target = "hub"
"""


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/one", {"config.json": b"{}", "onnx/deep/model.bin": 2048, "README.md": b"# one"})
    publisher.publish("owner/two", {"same.json": b"{}", "weights.bin": 7})
    at = desk(tmp_path / "desk", hub.url)
    at.manifest(MANIFEST)
    at.ok("lock")
    hub.close()
    return at


def _commit(at: Desk, name: str) -> str:
    return str(
        read_lock((at.folder / "models.lock").read_text(), file="models.lock").lock.models[ModelName(name)].commit
    )


def test_why_knows_places_on_the_disk_and_paths_of_repositories(at: Desk) -> None:
    """Whether the file is there does not matter; a program gets the same as JSON."""
    commit = _commit(at, "one")
    told = at.ok("why", "models/one/config.json").out.splitlines()
    assert told[:2] == [
        "one: has config.json: everything is wanted that nothing excludes",
        f"  modelscope:owner/one at {commit[:12]}",
    ]
    assert told[2].startswith("  2 B, sha256 44136fa3")
    left = at.fetcher("why", "models/one/README.md")
    assert (left.code, left.out) == (1, "one: has no README.md: `exclude` has '*.md'\n")
    spot = f"hub/models--owner--two/snapshots/{_commit(at, 'two')}/same.json"
    assert at.ok("why", str(at.folder / spot)).out.startswith("two: has same.json: `include` has '*.json'\n")
    everywhere = at.fetcher("why", "weights.bin", "--json")
    assert everywhere.code == 1
    assert [(each["model"], each["reason"]) for each in everywhere.json["models"]] == [
        ("one", f"modelscope:owner/one has no such file at {commit[:12]}"),
        ("two", "no `include` matches it"),
    ]
