"""action.yml: its steps run as GitHub's runner would run them."""

import json
import os
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.actions import Job
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher

_ACTION = Path(__file__).parents[1] / "action.yml"
_HOSTILE = "x\"; touch trodden; $(touch trodden) `touch trodden` ' ::add-mask::a"


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A locked project of two groups in a folder of a checkout, whose own modules nobody runs."""
    for name in ("one", "two"):
        publisher.publish(f"owner/{name}", {"config.json": name.encode(), "model.bin": 2 * MIB})
    (tmp_path / "checkout").mkdir()
    for module in ("fetcher", "json", "pip", "secrets", "venv"):
        (tmp_path / "checkout" / f"{module}.py").write_text("raise SystemExit('of the checkout')\n", encoding="utf-8")
    at = desk(tmp_path / "checkout" / "a project", hub.url)
    at.manifest("".join(f'[models.{n}]\nsource = "ms:owner/{n}"\ngroups = ["{n}-group"]\n' for n in ("one", "two")))
    at.ok("lock")
    return at


def _job(at: Desk, *, name: str = "job", hit: bool = False, skipped: str = "install") -> Job:
    """A job whose runner has this fetcher installed already."""
    temp = at.folder.parents[1] / name
    temp.mkdir()
    if skipped:
        (temp / "fetcher").symlink_to(sys.prefix)
    return Job(
        action=_ACTION,
        workspace=at.folder.parent,
        temp=temp,
        environment=at.environment,
        answers={"python": {"python-path": sys.executable}, "cache": {"cache-hit": str(hit).lower()}},
        skipped=frozenset({skipped}),
    )


def test_sync_brings_the_files_of_the_groups_and_keeps_the_store_by_their_digest(at: Desk) -> None:
    """The next job with the same files has them from the cache, whatever else has changed."""
    first = _job(at)
    done, outputs = first.run(directory="a project", groups="one-group")
    assert (done, outputs["changed"]) == (True, "true"), first.printed
    assert set(at.placed("one")) == {"config.json", "model.bin"}
    assert at.placed("two") == {}
    digest = at.ok("digest", "--group", "one-group").out.strip()
    assert outputs["digest"] == digest
    assert first.used["cache"] == {
        "path": str(first.temp / "fetcher-store"),
        "key": f"fetcher-Linux-{digest}",
        "restore-keys": "fetcher-Linux-",
    }
    report = json.loads(Path(outputs["report"]).read_text("utf-8"))
    assert report["placed"] == ["models/one/config.json", "models/one/model.bin"]
    assert "Removed 0 objects" in first.printed[""]
    again = _job(at, name="again", hit=True)
    assert again.run(directory="a project", groups="one-group")[1]["changed"] == "false"
    assert "" not in again.printed
    both = _job(at, name="both")
    assert both.run(directory="a project", groups="one-group\n two-group", cache="false")[0]
    assert (both.used.keys(), at.placed("two").keys()) == ({"python"}, {"config.json", "model.bin"})


def test_check_fails_on_a_stale_lock_and_says_in_words_why(at: Desk) -> None:
    """What a pull request must not bring in; it asks nobody and brings nothing."""
    fresh = _job(at)
    assert fresh.run(command="check", directory="a project") == (
        True,
        {"changed": "false", "report": str(fresh.temp / "fetcher-report.json"), "markdown": "", "digest": ""},
    )
    at.model("one", repo="owner/one")
    stale = _job(at, name="stale")
    done, outputs = stale.run(command="check", directory="a project")
    assert (done, outputs["changed"]) == (False, "true")
    assert json.loads(Path(outputs["report"]).read_text("utf-8"))["fresh"] is False
    assert "two.model: models.toml has nothing, models.lock has a section" in stale.printed["run"]
    assert stale.commands[-1] == ("error", "fetcher lock has ended with exit code 1")
    assert not (at.folder / "models").exists()


def test_upgrade_moves_the_pins_and_tells_whether_it_did(at: Desk, publisher: Publisher) -> None:
    """For a job that opens a pull request when there is something new."""
    assert _job(at).run(command="upgrade", directory="a project")[1]["changed"] == "false"
    publisher.publish("owner/one", {"config.json": b"new"})
    done, outputs = _job(at, name="new").run(command="upgrade", directory="a project")
    assert (done, outputs["changed"]) == (True, "true")
    assert [each["model"] for each in json.loads(Path(outputs["report"]).read_text("utf-8"))["changes"]] == ["one"]
    markdown = Path(outputs["markdown"]).read_text("utf-8")
    assert "one" in markdown
    assert "model.bin" in markdown


@pytest.mark.parametrize("name", ["command", "directory", "manifest", "groups", "store"])
def test_no_input_is_ever_a_command(at: Desk, name: str) -> None:
    """An input may hold what a stranger wrote, as the name of a branch."""
    job = _job(at)
    done, _ = job.run(**{"directory": "a project", "command": "sync", name: _HOSTILE})
    assert done == (name == "store")
    assert list(at.folder.parents[1].rglob("trodden")) == []
    assert {command for command, _ in job.commands} <= {"error", "stop-commands"}


def test_no_name_in_a_lock_is_a_command_to_the_runner(at: Desk) -> None:
    """The runner obeys lines of a log that begin with `::`, after spaces too."""
    at.manifest('[models.one]\nsource = "ms:owner/one"\ninclude = ["x\\n::add-mask::a"]\n')
    job = _job(at)
    assert not job.run(command="check", directory="a project")[0]
    assert {command for command, _ in job.commands} == {"error", "stop-commands"}


@pytest.mark.slow
def test_it_installs_this_repository_and_runs_it(at: Desk) -> None:
    """With no fetcher but the one that the action installs."""
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not Path(p, "fetcher").exists())
    at.environment["PATH"] = path
    job = _job(at, skipped="")
    done, outputs = job.run(directory="a project")
    assert (done, outputs["changed"]) == (True, "true"), job.printed
    assert set(at.placed("two")) == {"config.json", "model.bin"}
