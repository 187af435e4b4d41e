"""A repository with models on two branches, for tests of real git merges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fetcher.project import Project
from fetcher.resolve import KEEP_PINS, Upgrade
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from tests.cli.command import Desk, desk
from tests.git import git
from tests.hub.publish import Publisher

MODELS = ("a", "m", "n1", "n2", "z")
BASE = {"a": "", "m": "", "z": ""}


@dataclass
class World:
    """A repository with models a, m and z, locked and committed on the branch `ours`."""

    at: Desk
    publisher: Publisher
    name: str = "models.toml"

    def hub_moves(self, name: str, version: str) -> None:
        """master of a model's repository is at another commit; the ones before stay to be had."""
        tree = {"config.json": version.encode(), "model.bin": f"{name}{version}".encode(), "x.txt": b"same"}
        self.publisher.commit(f"o/{name}", version, tree)
        self.publisher.move(f"o/{name}", "master", to=version)

    def declare(self, models: Mapping[str, str]) -> None:
        """Write the manifest."""
        text = "".join(f'\n[models.{n}]\nsource = "ms:o/{n}"\n{more}\n' for n, more in models.items())
        (self.at.folder / self.name).write_text(f"version = 1\n{text}", encoding="utf-8")

    @property
    def project(self) -> Project:
        return Project.find(self.at.folder, manifest=self.name, settings=Settings.of(self.at.environment))

    def lock(self, upgrade: Upgrade = KEEP_PINS) -> list[str]:
        """`fetcher lock`; returns how a conflict was settled."""
        project = self.project
        change = project.resolve(upgrade)
        project.save_lock(change)
        assert project.staleness() == []
        return [str(verdict) for verdict in change.merged if verdict.reason]

    def commit(self) -> None:
        git(self.at.folder, "add", ".")
        assert git(self.at.folder, "commit", "-m", "work").returncode == 0

    @property
    def lock_path(self) -> Path:
        return (self.at.folder / self.name).with_suffix(".lock")

    @property
    def text(self) -> str:
        return self.lock_path.read_text("utf-8")

    def fresh_text(self) -> str:
        """What somebody gets who never had a lock."""
        self.lock_path.unlink()
        self.lock()
        return self.text

    def diverge(self, ours: "Step", theirs: "Step") -> None:
        """Work on two branches; ends on `ours`."""
        git(self.at.folder, "checkout", "-b", "theirs")
        theirs(self)
        self.commit()
        git(self.at.folder, "checkout", "ours")
        ours(self)
        self.commit()


Step = Callable[[World], object]


def upgrade(version: str, name: str = "m") -> Step:
    """The hub moves, and a branch moves its pin."""
    return lambda w: (w.hub_moves(name, version), w.lock(Upgrade(names=frozenset({name}))))


def declare(**models: str) -> Step:
    """A branch declares other models."""
    return lambda w: (w.declare(models), w.lock())


def begin(folder: Path, hub: Hub, publisher: Publisher, *, name: str = "models.toml", top: Path | None = None) -> World:
    """A new repository with the models of `BASE`; `top` is its folder, if it is one above the project's."""
    folder.parent.mkdir(exist_ok=True)
    world = World(at=desk(folder, hub.url), publisher=publisher, name=name)
    for model in MODELS:
        world.hub_moves(model, "1")
    world.declare(BASE)
    world.lock()
    (world.at.folder / ".gitignore").write_text("/.fetcher/\n", encoding="utf-8")
    assert git(top or folder, "init").returncode == 0
    world.commit()
    return world
