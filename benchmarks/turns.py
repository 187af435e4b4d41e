"""Whole processes taking turns (A B C A B C …) in a folder, and the page that tells their medians.

A ratio within one run does not drift with the machine; what was measured one after the other does.
"""

import compileall
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import fetcher
from benchmarks.machine import describe
from benchmarks.run import now_utc
from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.formats.lock_toml import write_lock

PYTHON = sys.executable
FETCHER = str(Path(PYTHON).parent / "fetcher")
Times = Mapping[str, Sequence[float]]  # milliseconds of each run of each command


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Commands that take turns in one folder.

    Attributes:
        seldom: Commands that take seconds; they run in few of the rounds.
    """

    title: str
    folder: Path
    commands: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]
    seldom: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A ratio of two figures, or a figure, that was to be reached: at most `bound`, or with `is_least` at least."""

    says: str
    measured: float
    bound: float
    unit: str = "×"
    is_least: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether it was."""
        return self.measured >= self.bound if self.is_least else self.measured <= self.bound


def environment_of(work: Path) -> dict[str, str]:
    """That of the processes: a home of their own, and byte code as an installed package has it."""
    compileall.compile_dir(Path(fetcher.__file__).parent, quiet=1)
    unset = {"PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME"}
    kept = {name: value for name, value in os.environ.items() if name not in unset and not name.startswith("FETCHER_")}
    return {**kept, "HOME": str(work), "FETCHER_STORE": str(work / "store")}


def once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """A folder that `fill` fills, unless an earlier run has."""
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fill(folder)
        (folder / "made").touch()
    return folder


def model_of(name: str, files: Sequence[LockedFile]) -> LockedModel:
    """A section of a lock."""
    return LockedModel(
        name=ModelName(name),
        source=SourceRef.parse(f"modelscope:bench/{name}"),
        commit=Commit("0" * 40),
        tree=tree_of(tuple(files)),
        requested=Requested(),
        files=tuple(files),
    )


def locked(path: str, data: bytes) -> LockedFile:
    """A line of a lock."""
    return LockedFile(path=RepoPath(path), sha256=Sha256(hashlib.sha256(data).hexdigest()), size=len(data))


def declare(folder: Path, models: Sequence[LockedModel]) -> None:
    """Write manifest and lock of models."""
    manifest = "".join(f'[models.{model.name}]\nsource = "{model.source}"\n' for model in models)
    (folder / "models.toml").write_text(f"version = 1\n{manifest}", encoding="utf-8")
    lock = Lock(models={model.name: model for model in models})
    (folder / "models.lock").write_text(write_lock(lock, None), encoding="utf-8")


def take_turns(contest: Contest, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each run of each command; the first turn warms the cache and does not count.

    Raises:
        SystemExit: A command failed.
    """
    found: dict[str, list[float]] = {name: [] for name in contest.commands}
    for turn in range(rounds + 1):
        for name, command in contest.commands.items():
            if name in contest.seldom and turn > max(3, rounds // 5):
                continue
            begin = time.perf_counter()
            done = subprocess.run(
                command, cwd=contest.folder, env=contest.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            spent_ms = (time.perf_counter() - begin) * 1000
            if done.returncode:
                raise SystemExit(f"{name} failed in {contest.title}: {done.stderr.decode()}")
            if turn:
                found[name].append(spent_ms)
    return found


def machine_lines(work: Path) -> str:
    """On what it is measured."""
    facts = describe(work, ()).items()
    return "".join(f"- {name}: {value}\n" for name, value in facts if name not in ("Server", "Clients"))


def page(title: str, intro: str, goals: Sequence[Goal], found: Mapping[str, Times], *, work: Path) -> str:
    """A page of Markdown: what was to be reached, and all figures."""
    rows = [
        f"| {goal.says} | {'≥' if goal.is_least else '≤'} {goal.bound:g} {goal.unit} | {goal.measured:.2f} {goal.unit} "
        f"| {'yes' if goal.is_reached else 'NO'} |"
        for goal in goals
    ]
    tables = []
    for name, runs in found.items():
        lines = [
            f"| {command} | {statistics.median(times):.1f} | {min(times):.1f} to {max(times):.1f} | {len(times)} |"
            for command, times in runs.items()
        ]
        tables.append(
            "\n".join([f"### {name}\n", "| command | median ms | min to max | runs |", "|---|---:|---:|---:|", *lines])
        )
    return "\n".join(
        [
            f"# {title}\n",
            f"- Date: {now_utc()}\n{machine_lines(work)}",
            intro,
            "| against | goal | measured | reached |\n|---|---:|---:|---|",
            *rows,
            "",
            "\n\n".join(tables),
            "",
        ]
    )
