"""What a sync may touch, from the command line: models named, models that fail, targets anywhere."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.errors import NotFoundError
from fetcher.project import Project
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from tests.cli.command import Desk, desk
from tests.disk.looks import Hashings
from tests.hub.publish import MIB, Publisher, read_tree

_ONE: dict[str, bytes | int] = {"config.json": b"one", "one.bin": 2 * MIB}
_TWO: dict[str, bytes | int] = {"config.json": b"two", "two.bin": 2 * MIB}
_LONG_AGO_NS = 1_600_000_000_000_000_000  # well before any look, so that a look may be trusted

_KILLED_AT_SAVE = """
import os, pathlib, signal, sys
from fetcher.disk.index import Index
from fetcher.cli.app import run

file, content = pathlib.Path(sys.argv.pop(1)), sys.argv.pop(1).encode()
save = Index.save

def save_or_die(self, *arguments, **options):
    if file.exists() and file.read_bytes() == content:
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, *arguments, **options)

Index.save = save_or_die
run()
"""


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/one", _ONE)
    publisher.publish("owner/two", _TWO)
    return desk(tmp_path / "project", hub.url, more={"FETCHER_RETRIES": "1"})


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside the project."""
    return tmp_path / "elsewhere" / "weights"


def _section(name: str, repo: str, *more: str) -> str:
    return "\n".join([f"[models.{name}]", f'source = "ms:owner/{repo}"', *more, ""])


def _in_trash(at: Desk) -> list[bytes]:
    tree = read_tree(at.folder / ".fetcher" / "trash")
    return [data for path, data in tree.items() if not path.endswith(".jsonl")]


def _unpublish(publisher: Publisher, repo: str) -> None:
    shutil.rmtree(publisher.folder(repo))


# --- models that were not named ------------------------------------------------------


def test_a_named_sync_leaves_the_leftovers_of_other_models(at: Desk) -> None:
    """`fetcher sync a` is about a; what b no longer wants waits for b's own sync."""
    at.manifest(_section("a", "one") + _section("b", "two"))
    at.ok("lock")
    at.ok("sync")
    at.manifest(_section("a", "one", 'exclude = ["one.bin"]') + _section("b", "two", 'exclude = ["two.bin"]'))
    at.ok("lock")
    done = at.ok("sync", "a", "--json")
    assert done.json["removed"] == ["models/a/one.bin"]
    assert set(at.placed("a")) == {"config.json"}
    assert set(at.placed("b")) == {"config.json", "two.bin"}
    assert at.ok("sync", "--json").json["removed"] == ["models/b/two.bin"]


def test_a_named_sync_leaves_a_model_that_left_the_manifest(at: Desk) -> None:
    """Its files go with a sync of everything only."""
    at.manifest(_section("a", "one") + _section("b", "two"))
    at.ok("lock")
    at.ok("sync")
    at.manifest(_section("a", "one"))
    at.ok("lock")
    at.ok("sync", "a")
    assert set(at.placed("b")) == set(_TWO)
    at.ok("sync")
    assert at.placed("b") == {}


@pytest.mark.parametrize("arguments", [("a",), ("b",), ("a", "b"), ()], ids=lambda a: " ".join(a) or "all")
def test_a_renamed_model_keeps_its_files_when_a_new_one_takes_its_name(at: Desk, arguments: tuple[str, ...]) -> None:
    """The index knows the files as a's; they are b's now, and a's sync must not take them."""
    at.manifest(_section("a", "one", 'target = "weights"'))
    at.ok("lock")
    at.ok("sync")
    before = read_tree(at.folder / "weights")
    at.manifest(_section("b", "one", 'target = "weights"') + _section("a", "two"))
    at.ok("lock")
    assert at.ok("sync", *arguments, "--json").json["removed"] == []
    assert read_tree(at.folder / "weights") == before
    at.ok("sync")
    assert read_tree(at.folder / "weights") == before
    assert set(at.placed("a")) == set(_TWO)
    at.ok("sync", "--check")


def test_a_target_that_went_to_another_model_keeps_the_files_both_want(at: Desk) -> None:
    """a moves out of `weights`, c moves in with the same bytes; `sync a` must leave them to c."""
    at.manifest(_section("a", "one", 'target = "weights"'))
    at.ok("lock")
    at.ok("sync")
    before = read_tree(at.folder / "weights")
    at.manifest(_section("a", "one", 'target = "other"') + _section("c", "one", 'target = "weights"'))
    at.ok("lock")
    assert at.ok("sync", "a", "--json").json["removed"] == []
    assert read_tree(at.folder / "weights") == before == read_tree(at.folder / "other")
    assert at.ok("sync", "c", "--json").json["up_to_date"] is True
    at.ok("sync", "--check")


def test_files_of_a_renamed_model_are_its_own_to_prune(at: Desk) -> None:
    """After the rename b's sync, not a's, removes what b no longer wants."""
    at.manifest(_section("a", "one", 'target = "weights"'))
    at.ok("lock")
    at.ok("sync")
    at.manifest(_section("b", "one", 'target = "weights"') + _section("a", "two"))
    at.ok("lock")
    at.ok("sync")
    at.manifest(_section("b", "one", 'target = "weights"', 'exclude = ["one.bin"]') + _section("a", "two"))
    at.ok("lock")
    assert at.ok("sync", "a", "--json").json["removed"] == []
    assert at.ok("sync", "b", "--json").json["removed"] == ["weights/one.bin"]


# --- models that fail -----------------------------------------------------------------


def _two_models_upgraded(at: Desk, publisher: Publisher) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """`good` and `bad` synced, then locked at trees of which each lost, changed and gained a file."""
    at.manifest(_section("good", "one") + _section("bad", "two"))
    at.ok("lock")
    at.ok("sync")
    old = at.placed("bad")
    new = publisher.publish("owner/one", {"config.json": b"one, anew", "more.bin": b"more"})
    publisher.publish("owner/two", {"config.json": b"two, anew", "more.bin": 2 * MIB})
    at.ok("lock", "--upgrade")
    return old, new


def test_keep_going_leaves_a_model_whose_fetch_fails_as_it_was(at: Desk, publisher: Publisher) -> None:
    """Half an upgrade is worse than none: the old files work together, and all of them stay."""
    old, new = _two_models_upgraded(at, publisher)
    _unpublish(publisher, "owner/two")
    done = at.fetcher("sync", "--keep-going", "--json")
    assert done.code == 3, done.err
    assert at.placed("bad") == old
    assert at.placed("good") == new
    assert done.json["removed"] == ["models/good/one.bin"]
    assert list(done.json["failed"]) == ["bad"]


def test_keep_going_leaves_a_model_that_is_blocked_as_it_was(at: Desk, publisher: Publisher) -> None:
    """What stands in the way of one file must not cost the model another one."""
    old, new = _two_models_upgraded(at, publisher)
    own = at.folder / "models/bad/more.bin"
    own.write_bytes(b"the user's own")
    done = at.fetcher("sync", "--keep-going", "--json")
    assert done.code == 3, done.err
    assert at.placed("bad") == {**old, "more.bin": b"the user's own"}
    assert at.placed("good") == new
    assert done.json["removed"] == ["models/good/one.bin"]
    own.unlink()
    at.ok("sync", "--keep-going")
    assert set(at.placed("bad")) == {"config.json", "more.bin"}


def test_a_failed_fetch_without_keep_going_removes_nothing_of_that_model(at: Desk, publisher: Publisher) -> None:
    """The same for the plain command."""
    old, _ = _two_models_upgraded(at, publisher)
    _unpublish(publisher, "owner/two")
    assert at.fetcher("sync").code == NotFoundError.exit_code
    assert at.placed("bad") == old


def test_a_failed_sync_keeps_what_the_look_found_out(at: Desk, publisher: Publisher) -> None:
    """Hashing 100 GB again because the hub was down would be a second harm."""
    tree = publisher.publish("owner/one", _ONE)
    at.model("m", repo="owner/one")
    at.ok("lock")
    one = at.folder / "models/m/one.bin"
    one.parent.mkdir(parents=True)
    one.write_bytes(tree["one.bin"])
    os.utime(one, ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    assert _hashed(at) == ["m/one.bin"], "not known yet"
    _unpublish(publisher, "owner/one")
    assert at.fetcher("sync").code == NotFoundError.exit_code
    assert (at.folder / ".fetcher" / "index.sqlite").is_file()
    assert _hashed(at) == []


def _hashed(at: Desk) -> list[str]:
    """Which files a look hashes."""
    events = Hashings()
    project = Project.find(at.folder, settings=Settings.of(at.environment), events=events)
    project.survey(project.fresh_lock())
    return events.labels


# --- absolute targets -----------------------------------------------------------------


@pytest.fixture
def afar(at: Desk, elsewhere: Path) -> Desk:
    """Model m, synced into a folder outside the project."""
    at.model("m", repo="owner/one", more=f'target = "{elsewhere}"')
    at.ok("lock")
    at.ok("sync")
    return at


def test_an_absolute_target_is_synced_upgraded_and_pruned(afar: Desk, elsewhere: Path, publisher: Publisher) -> None:
    """A shared disk for weights is no lesser place than the project."""
    assert set(read_tree(elsewhere)) == set(_ONE)
    afar.ok("sync", "--check")
    afar.ok("verify")
    new = publisher.publish("owner/one", {"config.json": b"anew", "sub/more.bin": 2 * MIB})
    afar.ok("lock", "--upgrade")
    done = afar.ok("sync", "--json")
    assert done.json["removed"] == [f"{elsewhere}/one.bin"]
    assert read_tree(elsewhere) == new
    afar.ok("sync", "--check")
    afar.model("m", repo="owner/one", more=f'target = "{elsewhere}"\ninclude = ["config.json"]')
    afar.ok("lock")
    afar.ok("sync")
    assert [path.name for path in elsewhere.iterdir()] == ["config.json"], "the empty folder went too"


def test_an_edited_file_at_an_absolute_target_stays_until_force(afar: Desk, elsewhere: Path) -> None:
    """Rule 1 holds outside the project too, and the trash takes files from there."""
    (elsewhere / "config.json").write_bytes(b"an experiment")
    done = afar.fetcher("sync")
    assert done.code == 9
    assert done.err == (
        "error: 1 thing is in the way and not fetcher's to replace.\n"
        f"  {elsewhere}/config.json: edited since fetcher wrote it\n"
        "  fix: move it away, or run `fetcher sync --force` to have it moved into .fetcher/trash/\n"
    )
    assert (elsewhere / "config.json").read_bytes() == b"an experiment"
    afar.ok("sync", "--force")
    assert (elsewhere / "config.json").read_bytes() == b"one"
    assert _in_trash(afar) == [b"an experiment"]


def test_other_files_at_an_absolute_target_stay_when_the_model_goes(afar: Desk, elsewhere: Path) -> None:
    """The folder outside is not fetcher's."""
    (elsewhere / "notes.txt").write_bytes(b"the user's own")
    afar.manifest("")
    afar.ok("lock")
    afar.ok("sync")
    assert read_tree(elsewhere) == {"notes.txt": b"the user's own"}


@pytest.mark.parametrize("way", ["absolute first", "relative first"])
def test_a_target_inside_the_project_is_the_same_written_either_way(at: Desk, way: str) -> None:
    """`/home/me/project/models/m` and `models/m` are one folder: nothing is removed, placed or blocked."""
    spellings = [f'target = "{at.folder}/models/m"', 'target = "models/m"']
    if way == "relative first":
        spellings.reverse()
    at.model("m", repo="owner/one", more=spellings[0])
    at.ok("lock")
    at.ok("sync")
    before = {path.name: path.stat().st_ino for path in (at.folder / "models/m").iterdir()}
    at.model("m", repo="owner/one", more=spellings[1])
    at.ok("lock")
    at.ok("sync")
    assert {path.name: path.stat().st_ino for path in (at.folder / "models/m").iterdir()} == before
    at.model("m", repo="owner/one", more=f'{spellings[0]}\nexclude = ["one.bin"]')
    at.ok("lock")
    at.ok("sync")
    assert set(at.placed("m")) == {"config.json"}


def test_two_spellings_of_one_target_are_refused(at: Desk) -> None:
    """Two models that own the same file would replace each other's for ever."""
    at.manifest(_section("a", "one", 'target = "weights"') + _section("b", "two", f'target = "{at.folder}/weights"'))
    done = at.fetcher("lock")
    assert done.code == 2
    assert done.err.startswith("error: Two models own the same file.\n")
    assert "a/config.json and b/config.json" in done.err


# --- killed between placing and remembering ---------------------------------------------


def _killed_sync(at: Desk, file: Path, content: bytes, *names: str) -> None:
    """A sync that dies when it would save the index and `file` already holds `content`."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AT_SAVE, str(file), content.decode(), "sync", *names],
        cwd=at.folder,
        env=at.environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert file.read_bytes() == content, "placed, and not remembered"


@pytest.fixture(params=["inside", "outside"])
def target(request: pytest.FixtureRequest, elsewhere: Path) -> str:
    """Where the killed sync places: in the project and out of it."""
    return "models/m" if request.param == "inside" else str(elsewhere)


# What the source has after the kill: as long as the placed bytes (which a look must hash
# to tell), or of another length (which a look could take for an edit without hashing).
_AFTER_THE_KILL = [b"ANE", b"of another length"]


@pytest.mark.parametrize("anew", _AFTER_THE_KILL, ids=["same size", "other size"])
def test_a_first_sync_that_is_killed_before_the_index_owns_its_files(
    at: Desk, publisher: Publisher, target: str, anew: bytes
) -> None:
    """Placed and then killed: the next upgrade must not call those files the user's."""
    publisher.publish("owner/one", {"config.json": b"one"})
    at.model("m", repo="owner/one", more=f'target = "{target}"')
    at.ok("lock")
    _killed_sync(at, at.folder / target / "config.json", b"one")
    new = publisher.publish("owner/one", {"config.json": anew})
    at.ok("lock", "--upgrade")
    at.ok("sync")
    assert read_tree(at.folder / target) == new
    at.ok("sync", "--check")


@pytest.mark.parametrize("anew", _AFTER_THE_KILL, ids=["same size", "other size"])
def test_an_upgrade_that_is_killed_before_the_index_owns_its_files(
    at: Desk, publisher: Publisher, target: str, anew: bytes
) -> None:
    """The same when fetcher's own file was replaced: the row is of the old bytes, the file has the new."""
    publisher.publish("owner/one", {"config.json": b"first of all"})
    at.model("m", repo="owner/one", more=f'target = "{target}"')
    at.ok("lock")
    at.ok("sync")
    publisher.publish("owner/one", {"config.json": b"two"})
    at.ok("lock", "--upgrade")
    _killed_sync(at, at.folder / target / "config.json", b"two")
    new = publisher.publish("owner/one", {"config.json": anew})
    at.ok("lock", "--upgrade")
    at.ok("sync")
    assert read_tree(at.folder / target) == new
    at.ok("sync", "--check")


def test_a_file_of_a_killed_sync_that_is_no_longer_wanted_goes(at: Desk, publisher: Publisher, target: str) -> None:
    """Two gigabytes that nobody asked for and no sync would ever remove."""
    at.model("m", repo="owner/one", more=f'target = "{target}"')
    at.ok("lock")
    _killed_sync(at, at.folder / target / "config.json", b"one")
    assert (at.folder / target / "one.bin").exists(), "placed as well"
    new = publisher.publish("owner/one", {"config.json": b"one", "more.bin": b"more"})
    at.ok("lock", "--upgrade")
    at.ok("sync")
    assert read_tree(at.folder / target) == new


def test_a_sync_of_another_model_after_the_kill_does_not_forget_it(at: Desk, publisher: Publisher) -> None:
    """Saving b's rows must not drop what was announced for a."""
    at.manifest(_section("a", "one") + _section("b", "two"))
    at.ok("lock")
    config = at.folder / "models/a/config.json"
    _killed_sync(at, config, b"one", "a")
    at.ok("sync", "b")
    new = publisher.publish("owner/one", {"config.json": b"ANE"})
    at.ok("lock", "--upgrade", "a")
    at.ok("sync")
    assert at.placed("a")["config.json"] == new["config.json"]


def test_a_file_edited_after_the_kill_is_still_the_user_s(at: Desk, publisher: Publisher) -> None:
    """What was meant to be placed says whose bytes they are; other bytes are someone's work."""
    at.model("m", repo="owner/one")
    at.ok("lock")
    config = at.folder / "models/m/config.json"
    _killed_sync(at, config, b"one")
    config.chmod(0o644)
    config.write_bytes(b"own")
    publisher.publish("owner/one", {"config.json": b"ANE"})
    at.ok("lock", "--upgrade")
    assert at.fetcher("sync").code == 9
    assert config.read_bytes() == b"own"
