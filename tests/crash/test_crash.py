"""Rule 3, exhaustively: every file operation of a command fails, or is its last."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.test_verify import rot
from tests.crash.runner import Mode
from tests.crash.scenarios import Judge, Scenario, World, running
from tests.crash.syscalls import can_watch
from tests.hub.publish import KIB, MIB, Publisher

pytestmark = pytest.mark.skipif(not can_watch(), reason="needs Linux 5.5 with seccomp user notification")

_OLD: dict[str, bytes | int] = {
    "config.json": b'{"version": 1}',
    "vocab/words.txt": 3 * KIB,
    "gone/only-here.txt": b"old",
    "model.safetensors": 2 * MIB,
    "same.bin": MIB + 5,
}
_NEW: dict[str, bytes | int] = {
    "config.json": b'{"version": 2}',
    "vocab/words.txt": 4 * KIB,
    "vocab/more.txt": b"more",
    "model.safetensors": 2 * MIB + 9,
    "same.bin": MIB + 5,
}
_MANY: dict[str, bytes | int] = {f"part{number:02}/{number}.json": 100 + number for number in range(18)}
_LARGE: dict[str, bytes | int] = {"config.json": b"{}", "large.safetensors": 65 * MIB + 3}


def _manifest(repo: str, revision: str = "master") -> str:
    return f'version = 1\n[models.m]\nsource = "modelscope:owner/{repo}"\nrevision = "{revision}"\n'


def _locked(world: World, text: str) -> None:
    world.write("models.toml", text)
    world.ok("lock")


def _first(repo: str) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        _locked(world, _manifest(repo))
        world.user_file("models/m/mine.txt", b"mine")
        world.user_file("notes.md", b"notes")

    return prepare


def _upgrade(world: World) -> None:
    _locked(world, _manifest("model", "old"))
    world.ok("sync")
    world.user_file("models/m/vocab/mine.txt", b"mine")
    world.user_file("models/m/gone/mine.txt", b"mine too")
    _locked(world, _manifest("model", "new"))


def _cached(world: World) -> None:
    """Two libraries' caches, whose names are to lead to the next commit of a branch."""
    publisher = Publisher(world.folder.parent / "published")
    publisher.move("owner/model", "line", to="first")
    rest = 'revision = "line"\ntarget = "cache"\n'
    libraries = ("modelscope", "huggingface")
    models = [f'[models.{each}]\nsource = "{each}:owner/model"\nlayout = "{each}"\n{rest}' for each in libraries]
    _locked(world, "\n".join(["version = 1", *models]))
    world.ok(*SYNC)
    world.user_file("cache/models/owner--model/snapshots/mine.txt", b"mine")
    publisher.move("owner/model", "line", to="second")
    world.ok("lock", "--upgrade")


def _relock(world: World) -> None:
    _locked(world, _manifest("model", "old"))
    world.write("models.toml", _manifest("model", "new"))


def _upgraded(world: World) -> None:
    """The sync that is undone is the only one on record, so that a second undo has nothing to do."""
    _upgrade(world)
    shutil.rmtree(world.project / ".fetcher" / "trash")
    world.ok(*SYNC)


def _collected(world: World) -> None:
    """A store with objects, chunk lists and a partial that nobody needs any more."""
    _upgrade(world)
    world.ok(*SYNC)
    for where in ("trash", "index.sqlite", "ready"):
        _remove(world.project / ".fetcher" / where)
    old = world.store / "partial" / ("0" * 64)
    old.mkdir(parents=True)
    (old / "data").write_bytes(b"abandoned")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rotten(world: World) -> None:
    """One byte of a file and of its object differs; neither size nor date tells."""
    _first("model")(world)
    world.ok(*SYNC)
    shutil.rmtree(world.project / ".fetcher" / "trash")
    rot(world.project / "models/m/model.safetensors", 5)


def _begin(world: World) -> None:
    world.write(".gitattributes", "*.bin binary")  # gets a line more
    world.user_file("notes.md", b"notes")


SYNC = ("sync", "-q")
UNDO = ("undo", "-q")
GC = ("store", "gc", "--grace", "0", "-q")
REPAIR = ("verify", "--repair", "-q")
AGAIN = (SYNC, ("sync", "--check"))
SCENARIOS = {
    scenario.name: scenario
    for scenario in [
        Scenario(name="first", prepare=_first("model"), argv=SYNC, again=AGAIN, min_count=60),
        Scenario(name="many", prepare=_first("many"), argv=SYNC, again=AGAIN, min_count=100),
        Scenario(name="large", prepare=_first("large"), argv=SYNC, again=AGAIN, min_count=200),
        Scenario(name="upgrade", prepare=_upgrade, argv=SYNC, again=AGAIN, min_count=60),
        Scenario(name="caches", prepare=_cached, argv=SYNC, again=AGAIN, min_count=60),
        Scenario(name="undo", prepare=_upgraded, argv=UNDO, again=(UNDO,), min_count=20),
        Scenario(name="gc", prepare=_collected, argv=GC, again=(GC, ("sync", "--check")), min_count=12),
        Scenario(
            name="repair",
            prepare=_rotten,
            argv=REPAIR,
            again=(REPAIR, ("sync", "--check")),
            min_count=30,
            aside="models/m/model.safetensors",
        ),
        Scenario(name="lock", prepare=_relock, argv=("lock",), again=(("lock",), ("lock", "--check")), min_count=5),
        Scenario(name="init", prepare=_begin, argv=("init", "-q"), again=(("init", "-q"),), min_count=10, fine=(0, 9)),
    ]
}
_SOME = 10
MODES = [mode for mode in Mode if mode not in (Mode.none, Mode.swap)]
SWAPPED = ["first", "many", "upgrade", "undo", "repair"]


@pytest.fixture
def world(publisher: Publisher, hub: Hub, tmp_path: Path) -> Iterator[World]:
    publisher.branch("owner/model", "old", _OLD)
    publisher.branch("owner/model", "new", _NEW)
    publisher.publish("owner/model", _NEW)
    publisher.commit("owner/model", "first", _OLD)
    publisher.commit("owner/model", "second", _NEW)
    publisher.publish("owner/many", _MANY)
    publisher.publish("owner/large", _LARGE)
    environment = {**os.environ, "MODELSCOPE_ENDPOINT": hub.url, "HF_ENDPOINT": hub.url}
    environment["NO_PROXY"] = "127.0.0.1"
    with running(tmp_path, environment) as runner:
        yield World(folder=tmp_path / "world", environment=environment, runner=runner)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_every_stop(
    world: World, scenario: Scenario, mode: Mode, record_property: Callable[[str, object], None]
) -> None:
    """k = 1, 2, 3 … until a run ends untouched."""
    judge, at = Judge(world, scenario), 1
    while judge.stop(mode, at):
        at += 1
    record_property("stopped at k", f"1 … {at - 1}, all")


@pytest.mark.parametrize("name", ["first", "many", "upgrade", "caches", "undo", "gc", "repair", "lock", "init"])
def test_some_stops(world: World, name: str, record_property: Callable[[str, object], None]) -> None:
    """The short form: stops spread evenly, the modes in turn; `make crash` does all."""
    judge = Judge(world, SCENARIOS[name])
    stops = [1 + number * judge.count // _SOME for number in range(_SOME)]
    for number, at in enumerate(stops):
        judge.stop(MODES[number % len(MODES)], at)
    record_property("stopped at k", f"1 … {judge.count}, {len(stops)} of them")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SWAPPED)
def test_a_folder_that_becomes_a_link_at_any_operation(
    world: World, name: str, record_property: Callable[[str, object], None]
) -> None:
    """k = 1, 2, 3 … until a run ends untouched: nothing is written or removed where the link leads."""
    judge, at = Judge(world, SCENARIOS[name]), 1
    while judge.swap(at):
        at += 1
    record_property("a link at k", f"1 … {at - 1}, all")


@pytest.mark.parametrize("name", ["upgrade", "undo"])
def test_a_folder_that_becomes_a_link_at_some_operations(
    world: World, name: str, record_property: Callable[[str, object], None]
) -> None:
    """The short form; `make crash` does all."""
    judge = Judge(world, SCENARIOS[name])
    places = [judge.count - number * judge.count // _SOME for number in range(_SOME)]
    for at in places:
        judge.swap(at)
    record_property("a link at k", f"1 … {judge.count}, {len(places)} of them")
