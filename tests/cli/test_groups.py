"""`default-groups`: what a command is about that names neither a model nor a group."""

import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher

_MODELS = """
[models.all]
source = "ms:owner/all"

[models.text]
source = "ms:owner/text"
groups = ["text", "slow"]

[models.vision]
source = "ms:owner/vision"
groups = ["vision"]
"""


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """Three locked models: in no group, in a default group, in another one."""
    for name in ("all", "text", "vision"):
        publisher.publish(f"owner/{name}", {"config.json": name.encode(), "old.json": b"old"})
    at = desk(tmp_path / "project", hub.url)
    _declare(at, '["text"]')
    at.ok("lock")
    return at


def _declare(at: Desk, groups: str) -> None:
    at.manifest(f"default-groups = {groups}\n{_MODELS}" if groups else _MODELS)


def _there(at: Desk) -> set[str]:
    return {name for name in ("all", "text", "vision") if at.placed(name)}


def test_a_sync_is_about_models_in_no_group_and_in_the_default_ones(at: Desk) -> None:
    """So are `--check`, `status` and `verify`; the front room says the same as the normal way."""
    at.ok("sync")
    assert _there(at) == {"all", "text"}
    assert at.ok("sync", "--check").err == "Up to date: 4 files.\n"
    assert at.ok("verify").err.startswith("Verified: 4 files")
    done = at.ok("status")
    assert done.out == (
        "all: synced, 2 files, 6 B\n"
        "text: synced, 2 files, 7 B\n"
        "vision: not in default-groups; `fetcher status vision` looks\n"
        "trash: 1 sync can be undone with `fetcher undo`\n"
    )
    normal = [sys.executable, "-c", "from fetcher.cli.app import run; run()", "status"]
    again = subprocess.run(normal, cwd=at.folder, env=at.environment, capture_output=True, text=True, check=True)
    assert (again.stdout, again.stderr) == (done.out, done.err)


def test_a_name_a_group_and_all_groups_take_their_place(at: Desk) -> None:
    """They do not add to it, and what they brought stays when a later sync is not about it."""
    at.ok("sync", "--group", "vision")
    assert _there(at) == {"vision"}
    at.ok("sync")
    assert _there(at) == {"all", "text", "vision"}
    at.ok("undo")
    at.ok("sync", "text")
    assert _there(at) == {"text", "vision"}
    at.ok("sync", "--all-groups")
    assert _there(at) == {"all", "text", "vision"}
    assert at.fetcher("sync", "--all-groups", "text").code == 2


@pytest.mark.parametrize(("groups", "there"), [("[]", {"all"}), ("", {"all", "text", "vision"})])
def test_no_default_group_and_no_default_groups(at: Desk, groups: str, there: set[str]) -> None:
    """An empty list is a list; without the key all models are meant."""
    _declare(at, groups)
    at.ok("lock", "--check")
    at.ok("sync")
    assert _there(at) == there


def test_leftovers_of_models_that_a_sync_is_not_about_stay(at: Desk, publisher: Publisher) -> None:
    """Else half of such a model would be new; those of models that are gone go."""
    at.ok("sync", "--all-groups")
    publisher.publish("owner/vision", {"config.json": b"vision"})
    at.manifest(f'default-groups = ["text"]\n{_MODELS}'.replace('[models.all]\nsource = "ms:owner/all"\n', ""))
    at.ok("update", "--no-sync")
    at.ok("sync")
    assert sorted(at.placed("vision")) == ["config.json", "old.json"]
    assert at.placed("all") == {}
    at.ok("sync", "vision")
    assert sorted(at.placed("vision")) == ["config.json"]


def test_programs_are_told_of_the_same_models(at: Desk) -> None:
    """`exec` and `env` bring what they name and nothing else."""
    variables = at.ok("env", "--json").json["variables"]
    assert [name for name in variables if name.startswith("FETCHER")] == ["FETCHER_MODEL_ALL", "FETCHER_MODEL_TEXT"]
    assert _there(at) == {"all", "text"}
    assert "FETCHER_MODEL_VISION" in at.ok("env", "--all-groups").out


def test_what_is_about_pins_is_about_all_models(at: Desk) -> None:
    """A lock has no groups."""
    assert len(at.ok("outdated").out.splitlines()) == 3
    assert [model["name"] for model in at.ok("tree", "--json").json["models"]] == ["all", "text", "vision"]


def test_a_default_group_without_a_model_is_a_mistake(at: Desk) -> None:
    """It is told with its line; `remove` takes the name of the last model's group away."""
    _declare(at, '["txt"]')
    assert at.fetcher("sync").err == (
        "error: models.toml, line 2: `default-groups` names the group `txt`, in which no model is.\n"
        "  expected: `slow`, `text`, `vision`\n"
        "  fix: write `text`\n"
    )
    _declare(at, '["text", "vision"] # ours')
    done = at.ok("remove", "text", "--no-sync")
    assert done.err.startswith("note: text left default-groups: no model is in that group any more\n")
    assert 'default-groups = ["vision"] # ours\n' in (at.folder / "models.toml").read_text(encoding="utf-8")
    at.ok("lock", "--check")
