"""Two branches change models.lock: real git merges, `fetcher lock` ends at a fresh lock, never a silently wrong one."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from fetcher.project import Project
from fetcher.resolve import KEEP_PINS, Upgrade
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from tests.cli.command import Desk, desk
from tests.git import git
from tests.hub.publish import Publisher

_MODELS = ("a", "m", "n1", "n2", "z")
_ALL = dict.fromkeys(_MODELS, "")


@dataclass
class World:
    """A repository with models a, m and z, locked and committed on the branch `ours`."""

    at: Desk
    publisher: Publisher

    def hub_moves(self, name: str, version: str) -> None:
        """master of a model's repository is at another commit; the ones before stay to be had."""
        tree = {"config.json": version.encode(), "model.bin": f"{name}{version}".encode(), "x.txt": b"same"}
        self.publisher.commit(f"o/{name}", version, tree)
        self.publisher.move(f"o/{name}", "master", to=version)

    def declare(self, models: dict[str, str]) -> None:
        """Write models.toml."""
        self.at.manifest("".join(f'\n[models.{n}]\nsource = "ms:o/{n}"\n{more}\n' for n, more in models.items()))

    def lock(self, upgrade: Upgrade = KEEP_PINS) -> list[str]:
        """`fetcher lock`; returns how a conflict was settled."""
        project = Project.find(self.at.folder, settings=Settings.of(self.at.environment))
        change = project.resolve(upgrade)
        project.save_lock(change)
        assert project.staleness() == []
        return [str(verdict) for verdict in change.merged if verdict.reason]

    def commit(self) -> None:
        git(self.at.folder, "add", ".")
        assert git(self.at.folder, "commit", "-m", "work").returncode == 0

    @property
    def text(self) -> str:
        return (self.at.folder / "models.lock").read_text("utf-8")

    def fresh_text(self) -> str:
        """What somebody gets who never had a lock."""
        (self.at.folder / "models.lock").unlink()
        self.lock()
        return self.text


_BASE = {"a": "", "m": "", "z": ""}
Step = Callable[[World], object]


def _upgrade(version: str) -> Step:
    return lambda w: (w.hub_moves("m", version), w.lock(Upgrade(names=frozenset({"m"}))))


def _declare(**models: str) -> Step:
    return lambda w: (w.declare(models), w.lock())


def _add_at(version: str) -> Step:
    return lambda w: (w.hub_moves("n1", version), w.declare({**_BASE, "n1": ""}), w.lock())


_JSON = 'include = ["*.json"]'
_SCENARIOS = [
    pytest.param(_upgrade("2"), _upgrade("3"), _BASE, ["m: resolved anew, because both"], id="two upgrades"),
    pytest.param(
        _declare(**_BASE, n1=""),
        _declare(**_BASE, n2=""),
        {**_BASE, "n1": "", "n2": ""},
        ["n1: took ours, the only", "n2: took theirs, the only"],
        id="two adds in one gap",
    ),
    pytest.param(_declare(**_BASE, n1=""), _upgrade("2"), {**_BASE, "n1": ""}, [], id="add and upgrade"),
    pytest.param(_declare(a="", z=""), _upgrade("2"), {"a": "", "z": ""}, [], id="remove and upgrade"),
    pytest.param(
        _add_at("8"), _add_at("9"), {**_BASE, "n1": ""}, ["n1: resolved anew, because both"], id="same model twice"
    ),
    pytest.param(
        _declare(a="", m=_JSON, z=""),
        _upgrade("2"),
        {"a": "", "m": _JSON, "z": ""},
        ["m: resolved anew, because git mixed"],
        id="patterns against commit",
    ),
]


@pytest.fixture
def world(tmp_path, hub: Hub, publisher: Publisher) -> World:  # type: ignore[no-untyped-def]
    world = World(at=desk(tmp_path / "project", hub.url), publisher=publisher)
    for name in _ALL:
        world.hub_moves(name, "1")
    world.declare(_BASE)
    world.lock()
    (world.at.folder / ".gitignore").write_text("/.fetcher/\n", encoding="utf-8")
    assert git(world.at.folder, "init").returncode == 0
    world.commit()
    return world


def _merge(world: World, ours: Step, theirs: Step, manifest: dict[str, str]) -> None:
    """Work on two branches, merge them, settle models.toml as a person would."""
    git(world.at.folder, "checkout", "-b", "theirs")
    theirs(world)
    world.commit()
    git(world.at.folder, "checkout", "ours")
    ours(world)
    world.commit()
    git(world.at.folder, "merge", "theirs", "-m", "merge")
    world.declare(manifest)


@pytest.mark.parametrize(("ours", "theirs", "manifest", "told"), _SCENARIOS)
def test_after_a_merge_lock_ends_where_a_fresh_one_does(
    world: World, ours: Step, theirs: Step, manifest: dict[str, str], told: list[str]
) -> None:
    """Without a driver, as behind the button of a website: git's markers are all that there is."""
    _merge(world, ours, theirs, manifest)
    assert "<<<<<<<" in world.text or not told
    said = world.lock()
    assert [line.startswith(start) for line, start in zip(said, told, strict=True)] == [True] * len(told)
    assert world.text == world.fresh_text()


def test_lock_says_how_it_merged_and_check_says_to_run_it(world: World) -> None:
    """What was resolved anew is not what either branch had; who merges must see it."""
    _merge(world, _upgrade("2"), _upgrade("3"), _BASE)
    check = world.at.fetcher("lock", "--check")
    assert (check.code, check.err.splitlines()[-1]) == (2, "  fix: run `fetcher lock`, which merges it model by model")
    done = world.at.ok("lock", "--json")
    assert [(m["model"], m["taken"]) for m in done.json["merged"]] == [("a", "both"), ("m", "anew"), ("z", "both")]
    assert done.err.splitlines()[0].startswith("merged m: resolved anew, because both sides moved its pin (")
