"""`Project` as a program uses it: lock, sync, status, path; in threads and beside an event loop."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fetcher
from fetcher.serve.hub import Hub
from tests.api.conftest import MODEL
from tests.cli.command import Desk
from tests.hub.publish import Publisher, read_tree


def test_a_program_locks_syncs_looks_and_finds(at: Desk, hub: Hub, published: dict[str, bytes]) -> None:
    """The whole road, by the methods that the commands have; looking asks nobody."""
    project = fetcher.Project.find()
    assert project.status() == fetcher.Status(is_locked=False, stale=tuple(project.staleness()), survey=None)
    change = project.lock()
    assert (change.differs, [each.kind for each in change.changes]) == (True, ["added"])
    assert at.ok("lock", "--check").code == 0
    before = project.status()
    assert (before.is_synced(), {wanted.path for wanted in before.plan.place}) == (False, set(published))
    report = project.sync()
    assert {wanted.path for wanted in report.placed} == set(published)
    assert at.placed() == published
    hub.forget_requests()
    assert project.status().is_synced()
    assert project.sync().is_empty()
    assert project.path("m") == at.folder / "models/m"
    assert fetcher.path("m", "config.json").read_bytes() == b"{}"
    assert hub.requests == []


def test_a_script_finds_the_project_in_which_it_stands(
    at: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs are started anywhere; `__file__` says where they are."""
    fetcher.Project.find().lock()
    script = at.folder / "src/train.py"
    script.parent.mkdir()
    script.touch()
    monkeypatch.chdir(tmp_path)
    assert fetcher.Project.find(str(script)).root == at.folder
    with pytest.raises(fetcher.DifferenceError) as caught:
        fetcher.path("m", start=script)
    assert str(caught.value) == (
        "2 of 2 files of m are not there yet.\n"
        "  missing: config.json\n  missing: sub/model.bin\n  fix: run `fetcher sync m`"
    )
    with pytest.raises(fetcher.DifferenceError) as caught:
        fetcher.path("m", "config.json", start=script)
    assert str(caught.value) == f"{at.folder}/models/m/config.json is not there yet.\n  fix: run `fetcher sync m`"


def test_a_script_that_uses_a_model_loads_no_http_stack(at: Desk) -> None:
    """Every start of a program pays for it; the sync of a start-up script with nothing to do as well."""
    project = fetcher.Project.find()
    project.lock()
    project.sync()
    code = (
        "import sys, fetcher; fetcher.path('m', 'config.json'); road = {'sqlite3', 'fetcher.road'} & set(sys.modules); "
        "fetcher.Project.find().variables('m'); "
        "print(*road, *sorted({'httpx', 'httpcore', 'ssl', 'pydantic', 'typer', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=at.folder, check=True, capture_output=True, text=True)
    assert done.stdout == "\n"


def test_a_project_that_lives_long_sees_what_the_editor_wrote(at: Desk, publisher: Publisher) -> None:
    """A notebook finds its project once; models.toml is edited in between."""
    publisher.publish("owner/other", {"a.bin": b"a"})
    project = fetcher.Project.find()
    project.lock()
    at.manifest(f'[models.m]\nsource = "ms:{MODEL}"\n[models.o]\nsource = "ms:owner/other"\ntarget = "there"\n')
    assert [item.model for item in project.status().stale] == ["o"]
    with pytest.raises(fetcher.DifferenceError):
        project.sync()
    assert [each.name for each in project.lock().changes] == ["o"]
    project.sync("o")
    assert project.path("o") == at.folder / "there"
    assert not (at.folder / "models").exists()


def test_pins_move_for_the_models_that_are_named(at: Desk, publisher: Publisher) -> None:
    """`upgrade` is everything, or a list, or one name that need not stand in one."""
    project = fetcher.Project.find()
    project.lock()
    publisher.publish(MODEL, {"config.json": b"[]"})
    assert project.lock().changes == ()
    assert [each.name for each in project.lock(upgrade="m").changes] == ["m"]
    publisher.publish(MODEL, {"config.json": b"[1]"})
    assert [each.name for each in project.lock(upgrade=True).changes] == ["m"]
    with pytest.raises(fetcher.ConfigError, match=r"There is no such model\."):
        project.lock(upgrade=["n"])


@pytest.mark.parametrize("folders", [("one", "two"), ("one", "one")])
def test_two_threads_at_once(at: Desk, tmp_path: Path, published: dict[str, bytes], folders: tuple[str, str]) -> None:
    """Two projects of one store, and one project twice: right files for both, whoever was first."""
    for name in set(folders):
        (tmp_path / name).mkdir()
        (tmp_path / name / "models.toml").write_bytes((at.folder / "models.toml").read_bytes())
        fetcher.Project.find(tmp_path / name).lock()
    together = threading.Barrier(2)

    def work(name: str) -> fetcher.Report:
        project = fetcher.Project.find(tmp_path / name)
        together.wait()
        return project.sync()

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(work, folders))
    for name in folders:
        assert read_tree(tmp_path / name / "models/m") == published
        assert fetcher.Project.find(tmp_path / name).status().is_synced()
    placed = sum(len(report.placed) for report in reports)
    assert placed == len(published) * len(set(folders))


def test_beside_a_running_event_loop(at: Desk, published: dict[str, bytes]) -> None:
    """As in a notebook's cell, and by a thread of the loop's."""

    async def cell() -> fetcher.Report:
        project = fetcher.Project.find()
        project.lock()
        await asyncio.to_thread(project.sync)
        (at.folder / "models/m/config.json").unlink()
        return project.sync()

    assert [wanted.path for wanted in asyncio.run(cell()).placed] == ["config.json"]
    assert at.placed() == published
