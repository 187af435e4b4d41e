"""The door for programs: find a project, read its settings, keep its lock, sync it."""

import os
import shutil
from pathlib import Path

import pytest

from fetcher.errors import BlockedError, ConfigError, DifferenceError, OfflineError, PartialError
from fetcher.project import Project
from fetcher.serve.hub import Hub
from fetcher.settings import Flags, Settings
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher

_TREE: dict[str, bytes | int] = {"config.json": b"{}", "sub/model.bin": 2 * MIB}
_LONG_AGO_NS = 1_600_000_000_000_000_000


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/model", _TREE)
    at = desk(tmp_path / "project", hub.url, more={"FETCHER_RETRIES": "1"})
    at.model()
    return at


def _project(at: Desk, start: Path | None = None) -> Project:
    return Project.find(start or at.folder, settings=Settings.of(at.environment))


# --- where it is -----------------------------------------------------------------------


def test_a_project_is_found_from_a_folder_deep_in_it(at: Desk) -> None:
    """As git does; a training script is seldom started beside models.toml."""
    deep = at.folder / "src" / "train"
    deep.mkdir(parents=True)
    project = _project(at, deep)
    assert (project.root, project.manifest_path) == (at.folder, at.folder / "models.toml")
    assert (project.lock_path, project.state) == (at.folder / "models.lock", at.folder / ".fetcher")


def test_the_nearest_manifest_wins_and_a_folder_of_that_name_is_none(at: Desk) -> None:
    """A project in a project is its own."""
    inner = at.folder / "inner"
    (inner / "models.toml").mkdir(parents=True)
    assert _project(at, inner).root == at.folder
    (inner / "models.toml").rmdir()
    (inner / "models.toml").write_text("version = 1\n", encoding="utf-8")
    assert _project(at, inner).root == inner


def test_without_a_manifest_the_error_says_where_it_looked(tmp_path: Path) -> None:
    """And how to begin."""
    with pytest.raises(ConfigError) as caught:
        Project.find(tmp_path, manifest="of-another-name.toml")
    assert caught.value.what == f"There is no of-another-name.toml in {tmp_path} or in a folder above it."
    assert caught.value.fix == "run `fetcher init` to write one, or name the folder with -C"


def test_a_lock_named_as_the_manifest_is_refused(at: Desk) -> None:
    """Tab completion offers both."""
    with pytest.raises(ConfigError) as caught:
        Project.find(at.folder, manifest="models.lock")
    assert caught.value.what == "models.lock is a lock, not a manifest."
    assert caught.value.fix == "name the manifest: models.toml"


def test_another_manifest_has_another_lock(at: Desk) -> None:
    """`--manifest other.toml` must not write models.lock."""
    (at.folder / "other.toml").write_text("version = 1\n", encoding="utf-8")
    project = Project.find(at.folder, manifest="other.toml", settings=Settings.of(at.environment))
    assert project.lock_path == at.folder / "other.lock"


# --- settings --------------------------------------------------------------------------


def test_a_count_of_nought_is_refused() -> None:
    """No file at a time would wait for ever."""
    with pytest.raises(ConfigError) as caught:
        Settings.of({"FETCHER_JOBS": "0"})
    assert caught.value.what == "FETCHER_JOBS: expected a whole number above 0, got '0'."
    assert caught.value.fix == "correct FETCHER_JOBS or unset it"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FETCHER_CONNECTIONS", "many"),
        ("FETCHER_RETRIES", "-1"),
        ("FETCHER_JOBS", "²"),
        ("FETCHER_IDLE_TIMEOUT", "0"),
        ("FETCHER_IDLE_TIMEOUT", "nan"),
        ("FETCHER_IDLE_TIMEOUT", "inf"),
        ("FETCHER_LIMIT_RATE", "fast"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, value: str) -> None:
    """A run that silently took the default would be slower or ruder than asked for."""
    with pytest.raises(ConfigError) as caught:
        Settings.of({name: value})
    assert caught.value.what.startswith(f"{name}: ")
    assert caught.value.fix == f"correct {name} or unset it"


def test_a_store_in_the_home_of_a_user_that_does_not_exist_is_refused(at: Desk) -> None:
    """`~nobody-such` cannot be expanded; that is a setting to be corrected, not a traceback."""
    at.environment["FETCHER_STORE"] = "~nobody-such/x"
    done = at.fetcher("lock")
    assert done.code == ConfigError.exit_code
    assert done.err.startswith("error: FETCHER_STORE")
    assert "Traceback" not in done.err
    assert not (at.folder / "models.lock").exists()


def test_flags_win_over_variables_and_an_empty_variable_is_none(tmp_path: Path) -> None:
    """`FETCHER_JOBS= fetcher sync` is how one unsets a variable for one command."""
    environment = {"FETCHER_JOBS": "3", "FETCHER_CONNECTIONS": " ", "FETCHER_LIMIT_RATE": "1000"}
    settings = Settings.of({**environment, "FETCHER_STORE": str(tmp_path)}, Flags(jobs=5, limit_rate="2000"))
    assert (settings.jobs, settings.connections, settings.limit_rate) == (5, 16, 2000)
    assert settings.store == tmp_path


# --- the lock --------------------------------------------------------------------------


def test_the_lock_is_written_only_if_its_bytes_differ(at: Desk) -> None:
    """A new date on the same lock would make builds run again."""
    at.ok("lock")
    lock = at.folder / "models.lock"
    os.utime(lock, ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    before = lock.stat()
    at.ok("lock")
    at.ok("lock", "--upgrade")
    after = lock.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    at.model(more='exclude = ["config.json"]')
    at.ok("lock")
    assert lock.stat().st_mtime_ns != before.st_mtime_ns


def test_save_lock_says_whether_it_wrote(at: Desk) -> None:
    """`resolve` writes nothing; `save_lock` once."""
    project = _project(at)
    change = project.resolve()
    assert change.differs
    assert not project.lock_path.exists()
    assert project.save_lock(change)
    again = project.resolve()
    assert (again.differs, again.changes) == (False, ())
    assert not project.save_lock(again)


def test_a_fresh_lock_a_look_and_a_second_sync_ask_nobody(at: Desk, hub: Hub) -> None:
    """The network is for what is missing."""
    at.ok("lock")
    at.ok("sync")
    hub.forget_requests()
    project = _project(at)
    project.resolve()
    assert project.survey(project.fresh_lock()).plan.is_empty()
    at.ok("sync")
    at.ok("verify")
    assert hub.requests == []


def test_without_a_lock_the_error_says_how_to_get_one(at: Desk) -> None:
    """The same for the lock as it is and for the fresh one."""
    for ask in (_project(at).frozen_lock, _project(at).fresh_lock):
        with pytest.raises(DifferenceError) as caught:
            ask()
        assert (caught.value.what, caught.value.fix) == ("There is no models.lock yet.", "run `fetcher lock`")


def test_a_frozen_lock_may_be_stale_but_not_broken(at: Desk) -> None:
    """`--frozen` forgives what the manifest says, not a section that was merged from two."""
    at.ok("lock")
    at.model(more='exclude = ["config.json"]')
    project = _project(at)
    assert set(project.frozen_lock().models) == {"m"}
    with pytest.raises(DifferenceError):
        project.fresh_lock()
    text = project.lock_path.read_text(encoding="utf-8")
    assert text.count(f"{2 * MIB}") == 1
    project.lock_path.write_text(text.replace(f"{2 * MIB}", f"{2 * MIB + 1}"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        project.frozen_lock()
    assert caught.value.what == "models.lock was changed by hand or merged wrongly."
    assert list(caught.value.facts) == ["seal or tree does not fit: m"]
    assert caught.value.fix == "run `fetcher lock`"
    assert at.fetcher("sync", "--frozen").code == ConfigError.exit_code
    assert at.placed() == {}


# --- sync, for programs ----------------------------------------------------------------


def test_a_program_syncs_by_the_rules_of_the_command(at: Desk, publisher: Publisher) -> None:
    """The road is the project's, not the command line's."""
    with pytest.raises(DifferenceError) as caught:
        _project(at).sync()
    assert caught.value.what == "There is no models.lock yet."
    at.ok("lock")
    with pytest.raises(OfflineError):
        _project(at).sync(offline=True)
    report = _project(at).sync(["m"])
    assert {wanted.path for wanted in report.placed} == {"config.json", "sub/model.bin"}
    again = _project(at).sync(offline=True)
    assert (again.is_empty(), again.kept) == (True, 2)
    at.model(more='exclude = ["config.json"]')
    with pytest.raises(DifferenceError) as caught:
        _project(at).sync()
    assert caught.value.what == "models.lock is not what models.toml asks for."
    assert _project(at).sync(frozen=True).is_empty()
    at.ok("lock")
    assert _project(at).sync(prune=False).is_empty()
    assert _project(at).plan().remove
    assert _project(at).sync().removed == ("models/m/config.json",)


def test_a_program_is_told_what_is_in_the_way(at: Desk) -> None:
    """Nothing of the user's is replaced unless `force` says so; with `keep_going` the report has the failure."""
    at.ok("lock")
    mine = at.folder / "models/m/config.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(BlockedError):
        _project(at).sync()
    report = _project(at).sync(keep_going=True)
    assert report.failures.keys() == {"m"}
    assert mine.read_text(encoding="utf-8") == "mine"
    with pytest.raises(PartialError) as caught:
        report.require_complete()
    assert caught.value.what == "1 model failed; the others are done."
    forced = _project(at).sync(force=True)
    assert forced.moved_aside["models/m/config.json"].read_text(encoding="utf-8") == "mine"
    assert at.placed()["config.json"] == b"{}"


def test_a_program_syncs_the_models_of_a_group(at: Desk) -> None:
    """And is told of a group that no model is in."""
    at.manifest('[models.a]\nsource = "ms:owner/model"\ngroups = ["x"]\n[models.b]\nsource = "ms:owner/model"\n')
    at.ok("lock")
    _project(at).sync(groups=["x"])
    assert (len(at.placed("a")), at.placed("b")) == (2, {})
    with pytest.raises(ConfigError) as caught:
        _project(at).sync(groups=["y"])
    assert (caught.value.what, caught.value.fix) == ("No model is in the group y.", "name one of: x")


def test_frozen_needs_of_the_manifest_only_what_the_lock_lacks(at: Desk) -> None:
    """A key that this fetcher does not know must not keep a server from the bytes that were locked."""
    at.model(more='target = "weights"\ngroups = ["x"]')
    at.ok("lock")
    at.model(more='target = "weights"\ngroups = ["x"]\nincluded = ["*.json"]\nrevision = 3')
    assert at.fetcher("sync").code == ConfigError.exit_code
    done = at.ok("sync", "--frozen", "--group", "x")
    assert done.err.startswith("note: models.toml has 2 problems. The lock is used as it is; `fetcher lock` will need")
    assert sorted(path.name for path in (at.folder / "weights").iterdir()) == ["config.json", "sub"]
    assert at.ok("path", "m").out == f"{at.folder / 'weights'}\n"


def test_frozen_says_what_it_needs_of_a_manifest_that_cannot_be_read(at: Desk) -> None:
    """Where files belong is written nowhere else; a guess would place them anew."""
    at.ok("lock")
    at.model(more="target = 3\nrevision = 4")
    done = at.fetcher("sync", "--frozen")
    assert done.code == ConfigError.exit_code
    assert done.err == (
        "error: models.toml, line 4: `models.m.target` is a whole number.\n"
        "  expected: a string\n"
        "  needed with any lock: targets, groups, [sources] and [policy]\n"
        "  fix: put the value into quotes\n"
    )
    at.manifest("[models\n")
    done = at.fetcher("sync", "--frozen")
    assert done.code == ConfigError.exit_code
    assert "needed with any lock: targets, groups, [sources] and [policy]" in done.err


# --- two homes of the same bytes -------------------------------------------------------


def _two_models_of_the_same_bytes(at: Desk, publisher: Publisher) -> dict[str, bytes]:
    tree = publisher.publish("owner/first", {"model.bin": 2 * MIB})
    publisher.publish("owner/second", {"renamed.bin": tree["model.bin"]})
    at.manifest('[models.a]\nsource = "ms:owner/first"\n[models.b]\nsource = "ms:owner/second"\n')
    at.ok("lock")
    return tree


@pytest.mark.parametrize("gone", ["owner/first", "owner/second"])
def test_a_digest_wanted_by_two_models_comes_from_the_home_that_is_left(
    at: Desk, publisher: Publisher, gone: str
) -> None:
    """One repository was taken down; the other has the same bytes under another name."""
    tree = _two_models_of_the_same_bytes(at, publisher)
    shutil.rmtree(publisher.folder(gone))
    at.ok("sync")
    assert at.placed("a") == tree
    assert at.placed("b") == {"renamed.bin": tree["model.bin"]}


def test_a_named_sync_has_the_bytes_from_the_home_of_a_model_that_was_not_named(at: Desk, publisher: Publisher) -> None:
    """The lock knows where they are; that model itself is not touched."""
    tree = _two_models_of_the_same_bytes(at, publisher)
    shutil.rmtree(publisher.folder("owner/first"))
    at.ok("sync", "a")
    assert (at.placed("a"), at.placed("b")) == (tree, {})


def test_the_same_bytes_are_fetched_once(at: Desk, publisher: Publisher) -> None:
    """Both are there, one transfer."""
    _two_models_of_the_same_bytes(at, publisher)
    done = at.ok("sync", "--json")
    assert len(done.json["fetched"]) == 1
    assert len(done.json["placed"]) == 2
