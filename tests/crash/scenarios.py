"""Commands that are stopped or disturbed at each of their file operations, and what must hold afterwards.

After each stop, at once: the user's files are as they were, every final name holds the
old bytes or the new ones, and a command that ended by itself ended with 0 or 11 and said why.
After one more run without a stop: the disk is what it is after a run that was never stopped,
file by file, so that no partial and no temporary file is left over.
After a folder of the target has become a link to a folder that looks the same: that one is
as it was, to the inode, and so is every file of the user's, wherever it is now.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.runner import Mode

_ROOT = Path(__file__).parents[2]
_COME_AND_GO = ("/claim", "/.fetcher/ready")  # one of each, whoever runs; `ready` waits for files to be old enough
_STAMP = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]+")
_BOUNDED = "/.fetcher/trash/"  # a killed sync has a change of its own there, by which undo goes; tidy.py bounds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended; -9 after SIGKILL."""

    code: int
    count: int
    operation: str
    out: str


class Runner:
    """The process that runs the commands (runner.py)."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._out = folder / "out"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.runner"],
            cwd=_ROOT,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], roots: Sequence[Path],
            mode: Mode = Mode.none, at: int = 0, swap: Sequence[Path] = ()) -> Ended:  # fmt: skip
        order = {"argv": list(argv), "cwd": str(cwd), "env": dict(env), "roots": [f"{root}/" for root in roots],
                 "out": str(self._out), "mode": mode, "at": at, "swap": list(map(str, swap))}  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return Ended(**answer, out=self._out.read_text(encoding="utf-8", errors="replace"))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Runner]:
    """A runner for the time of a block."""
    runner = Runner(folder, environment)
    try:
        yield runner
    finally:
        runner.close()


@dataclass(kw_only=True)
class World:
    """A project and a store that are made anew for each run."""

    folder: Path
    environment: dict[str, str]
    runner: Runner
    users: dict[str, bytes] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def elsewhere(self) -> Path:
        """A folder that is not the project's."""
        return self.folder / "elsewhere"

    def begin(self) -> None:
        for path in (self.project, self.store, self.elsewhere):
            shutil.rmtree(path, ignore_errors=True)
        self.project.mkdir(parents=True)
        self.users = {}

    def fetcher(self, *argv: str, mode: Mode = Mode.none, at: int = 0) -> Ended:
        env = {**self.environment, "FETCHER_STORE": str(self.store)}
        swap = (self.project / "models/m", self.project / "models/m.away", self.elsewhere)
        roots = [self.project, self.store]
        return self.runner.run(argv, cwd=self.project, env=env, roots=roots, mode=mode, at=at, swap=swap)

    def ok(self, *argv: str) -> Ended:
        ended = self.fetcher(*argv)
        assert ended.code == 0, f"fetcher {' '.join(argv)} -> {ended.code}\n{ended.out}"
        return ended

    def write(self, name: str, data: bytes | str) -> None:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def user_file(self, name: str, data: bytes) -> None:
        """A file that is not fetcher's."""
        self.write(name, data)
        self.users[name] = data

    def content(self) -> dict[str, bytes]:
        """What people see of the project: everything but fetcher's own folder; of a link where it leads."""
        return {name: data for name, data in _tree(self.project).items() if not name.startswith(".fetcher/")}

    def led_to(self) -> Iterator[str]:
        """The folders of a library's cache to which names lead; a temporary name is none."""
        refs = (ref for ref in self.project.glob("cache/**/refs/*") if ".fetcher-" not in ref.name)
        for ref in refs:
            yield (ref.parents[1] / "snapshots" / ref.read_text()).relative_to(self.project).as_posix()
        for link in self.project.glob("cache/**/snapshots/*"):
            if link.is_symlink():
                yield (link.parent / os.readlink(link)).relative_to(self.project).as_posix()

    def names(self) -> list[str]:
        """Every file and folder of the project and the store; what is named by time or by chance is one name."""
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))
        return sorted(
            {_STAMP.sub("STAMP", name) for name in found if not name.endswith(_COME_AND_GO) and _BOUNDED not in name}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A command on a disk.

    Attributes:
        prepare: Makes the disk on which the command starts.
        argv: The command.
        again: What people run after it was stopped.
        fine: Exit codes of `again`; a second `init` says that there is nothing to do.
        min_count: Of operations, so that a watch that sees nothing is noticed.
        aside: A file that is moved aside: for a moment its name is free.
    """

    name: str
    prepare: Callable[[World], None]
    argv: tuple[str, ...]
    again: tuple[tuple[str, ...], ...]
    min_count: int
    fine: tuple[int, ...] = (0,)
    aside: str = ""


class Judge:
    """Stops one scenario's command, and compares with a run that was never stopped."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._world = world
        self._scenario = scenario
        world.begin()
        scenario.prepare(world)
        self._before = world.content()
        ended = world.ok(*scenario.argv)
        self.count = ended.count
        assert self.count >= scenario.min_count, f"{scenario.name}: only {ended.count} operations are seen"
        for argv in scenario.again:
            assert world.fetcher(*argv).code in scenario.fine
        self._after = world.content()
        self._names = world.names()

    def stop(self, mode: Mode, at: int) -> bool:
        """Stop at the k-th operation and look; False if the run ended before it came so far."""
        world, scenario = self._world, self._scenario
        world.begin()
        scenario.prepare(world)
        ended = world.fetcher(*scenario.argv, mode=mode, at=at)
        if ended.count < at:
            assert ended.code == 0, ended.out
            return False
        where = f"{scenario.name}, {mode} at {at}: {ended.operation}\nfirst run: {ended.code}\n{ended.out}"
        _judge_end(ended, where)
        before = {
            name: data for name, data in self._before.items() if name != scenario.aside or name in world.content()
        }
        _judge_disk(world, before, self._after, where)
        for argv in scenario.again:
            done = world.fetcher(*argv)
            assert done.code in scenario.fine, f"{where}\nthen {argv} -> {done.code}\n{done.out}"
        _judge_final(world, self._after, self._names, where)
        return True

    def swap(self, at: int) -> bool:
        """Put a link in the target's place right before the k-th operation; False if the run ended before."""
        world, scenario = self._world, self._scenario
        world.begin()
        scenario.prepare(world)
        target = world.project / "models/m"
        if target.is_dir():
            shutil.copytree(target, world.elsewhere)
        else:
            world.elsewhere.mkdir()
        before = _looks(world.elsewhere)
        ended = world.fetcher(*scenario.argv, mode=Mode.swap, at=at)
        where = f"{scenario.name}, a link at {at}: {ended.operation}\nended with {ended.code}\n{ended.out}"
        _judge_end(ended, where, (0, 4, 9, 11))
        assert _looks(world.elsewhere) == before, f"{where}\nthe folder to which the link leads was changed"
        _judge_users(world, where)
        return ended.count >= at


def _tree(folder: Path) -> dict[str, bytes]:
    """Every file, and of every link where it leads."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[path.relative_to(folder).as_posix()] = os.fsencode(os.readlink(path))
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def _looks(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Inode, mode and content of every file, and the folders."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_mode, path.read_bytes() if path.is_file() else b"")
    return found


def _judge_end(ended: Ended, where: str, fine: Sequence[int] = (-9, 0, 11)) -> None:
    assert ended.code in fine, f"{where}\nended with {ended.code}\n{ended.out}"
    assert "Traceback" not in ended.out, f"{where}\n{ended.out}"
    if ended.code not in (0, -9):
        assert "\n  fix: " in ended.out, f"{where}\n{ended.out}"
        assert "The disk or the output refuses" not in ended.out, f"{where}\n{ended.out}"


def _judge_users(world: World, where: str) -> None:
    found = {data for name, data in _tree(world.project).items() if not name.startswith(".fetcher/objects/")}
    assert set(world.users.values()) <= found, f"{where}\na file of the user's is gone"


def _judge_disk(world: World, before: Mapping[str, bytes], after: Mapping[str, bytes], where: str) -> None:
    """Right after the stop: old or new, nothing between; the user's as it was."""
    now = world.content()
    for name, data in now.items():
        if ".fetcher-" not in name:
            assert data in (before.get(name), after.get(name)), f"{where}\n{name} holds {len(data)} other bytes"
    missing = [name for name in before if name in after and name not in now]
    assert missing == [], where
    for name, data in world.users.items():
        assert now[name] == data, f"{where}\n{name} of the user"
    for folder in world.led_to():
        whole = {**_below(folder, before), **_below(folder, after)}
        assert whole, f"{where}\n{folder} is no snapshot"
        assert _below(folder, now) == whole, f"{where}\na name leads to {folder}, which is not whole"


def _below(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.startswith(f"{folder}/") and ".fetcher-" not in name}


def _judge_final(world: World, after: Mapping[str, bytes], names: Sequence[str], where: str) -> None:
    now = world.content()
    assert {name: data for name, data in now.items() if after.get(name) != data} == {}, where
    assert sorted(now) == sorted(after), where
    found = world.names()
    extra, lacking = sorted({*found} - {*names}), sorted({*names} - {*found})
    assert (extra, lacking) == ([], []), f"{where}\nleft over: {extra}\nlacking: {lacking}"
