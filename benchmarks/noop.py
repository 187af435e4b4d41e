"""How long nothing takes: commands that find that all is in place, beside others that do the same.

Whole processes taking turns (A B C A B C …), medians, everything in the page cache.  Each tree
has three models of tiny files and is a git repository as well.  `python -m benchmarks.noop`
prints the tables; `--write` makes NOOP.md and noop.png.  `--work DIR` keeps the trees there.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.run import now_utc
from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.formats.lock_toml import write_lock

SIZES = (1_000, 5_000, 20_000, 100_000)  # files
CHECKED_MODELS = 100  # for `lock --check`
HELLO = "import typer\napp = typer.Typer()\n@app.command()\ndef hello(name: str) -> None:\n    print(name)\napp()\n"
PYTHON = sys.executable
FETCHER = str(Path(PYTHON).parent / "fetcher")
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Commands that take turns in one folder."""

    title: str
    folder: Path
    commands: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A ratio of two figures, or a figure, that was to be reached; milliseconds."""

    says: str
    measured: float
    most: float
    unit: str = "×"


def main() -> None:
    """Measure and print; with --write, into NOOP.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, help="where the trees are made, and kept for the next run")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="files of each tree")
    parser.add_argument("--prepare", action="store_true", help="only make the trees")
    parser.add_argument("--write", action="store_true", help="write NOOP.md and noop.png")
    told = parser.parse_args()
    work = told.work or Path(tempfile.mkdtemp(prefix="fetcher-noop-"))
    try:
        contests = make(work.absolute(), told.sizes)
        if told.prepare:
            return
        found = {contest.title: _take_turns(contest, told.rounds) for contest in contests}
        text = page(found, describe(work, ()), rounds=told.rounds)
        print(text)
        if told.write:
            (_HERE / "NOOP.md").write_text(text, encoding="utf-8")
            draw(found, _HERE / "noop.png")
    finally:
        if told.work is None:
            shutil.rmtree(work)


# the trees


def make(work: Path, sizes: Sequence[int]) -> list[Contest]:
    """Make what is missing of the trees, and say what runs in each."""
    work.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "HOME": str(work), "FETCHER_STORE": str(work / "store")}
    (work / "hello.py").write_text(HELLO, encoding="utf-8")
    contests = [
        Contest(
            title=f"{size:,} files",
            folder=_once(work / f"files-{size}", lambda folder, size=size: _tree(folder, size, environment)),
            commands={
                "python -c pass": [PYTHON, "-c", "pass"],
                "fetcher sync": [FETCHER, "sync"],
                "fetcher status": [FETCHER, "status"],
                "fetcher sync, the normal way": [FETCHER, "sync", "-v"],
                "git status": ["git", "status", "--short"],
            },
            environment=environment,
        )
        for size in sizes
    ]
    checked = _once(work / f"models-{CHECKED_MODELS}", lambda folder: _declare(folder, CHECKED_MODELS, 10))
    contests.append(
        Contest(
            title=f"{CHECKED_MODELS} models",
            folder=checked,
            commands={"fetcher lock --check": [FETCHER, "lock", "--check"]},
            environment=environment,
        )
    )
    contests.append(
        Contest(
            title="help",
            folder=checked,
            commands={
                "python -c pass": [PYTHON, "-c", "pass"],
                "fetcher --version": [FETCHER, "--version"],
                "fetcher --help": [FETCHER, "--help"],
                "Typer hello-world --help": [PYTHON, str(work / "hello.py"), "--help"],
            },
            environment=environment,
        )
    )
    return contests


def _once(folder: Path, fill: Callable[[Path], None]) -> Path:
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        fill(folder)
        (folder / "made").touch()
    return folder


def _tree(folder: Path, size: int, environment: Mapping[str, str]) -> None:
    """Three models in place and looked at twice, and the same files in git."""
    _declare(folder, 3, -(-size // 3), place=True)
    (folder / ".gitignore").write_text(".fetcher/\nmade\n", encoding="utf-8")
    time.sleep(0.1)  # older than the clock's grain
    for command in (
        [FETCHER, "sync", "-q"],
        [FETCHER, "sync", "-q"],
        ["git", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "All"],
    ):
        subprocess.run(command, cwd=folder, env=environment, check=True)


def _declare(folder: Path, models: int, files: int, *, place: bool = False) -> None:
    """Write manifest and lock of so many models of so many files, and the files."""
    names = [f"model{number:03}" for number in range(models)]
    manifest = "".join(f'[models.{name}]\nsource = "modelscope:bench/{name}"\n' for name in names)
    (folder / "models.toml").write_text(f"version = 1\n{manifest}", encoding="utf-8")
    lock = Lock(models={ModelName(name): _model(name, files) for name in names})
    (folder / "models.lock").write_text(write_lock(lock, None), encoding="utf-8")
    for model in lock.models.values() if place else ():
        for file in model.files:
            path = folder / "models" / model.name / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_content(model.name, file.path))


def _content(model: str, path: str) -> bytes:
    return f"{model} {path}\n".encode()


def _model(name: str, count: int) -> LockedModel:
    files = []
    for number in range(count):
        path = f"part-{number // 100:04}/{number % 100:02}.bin"
        data = _content(name, path)
        files.append(LockedFile(path=RepoPath(path), sha256=Sha256(hashlib.sha256(data).hexdigest()), size=len(data)))
    return LockedModel(
        name=ModelName(name),
        source=SourceRef.parse(f"modelscope:bench/{name}"),
        commit=Commit("0" * 40),
        tree=tree_of(tuple(files)),
        requested=Requested(),
        files=tuple(files),
    )


# the runs


def _take_turns(contest: Contest, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each run of each command; the first turn warms the cache and does not count."""
    found: dict[str, list[float]] = {name: [] for name in contest.commands}
    for turn in range(rounds + 1):
        for name, command in contest.commands.items():
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


# what was found


def goals(found: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Goal]:
    """What was to be reached, of what was measured."""

    def ms(title: str, name: str) -> float:
        return statistics.median(found[title][name])

    reached = []
    if (title := "1,000 files") in found:
        share = ms(title, "fetcher sync") / ms(title, "python -c pass")
        reached.append(Goal(says=f"{title}: `python -c pass`", measured=share, most=2))
    if (title := "5,000 files") in found:
        share = ms(title, "fetcher sync") / (2 * ms(title, "python -c pass") + ms(title, "git status"))
        reached.append(Goal(says=f"{title}: twice `python -c pass` plus `git status`", measured=share, most=1))
    if (title := "100,000 files") in found:
        share = ms(title, "fetcher sync") / ms(title, "git status")
        reached.append(Goal(says=f"{title}: `git status`", measured=share, most=2))
    share = ms("help", "fetcher --help") / ms("help", "Typer hello-world --help")
    reached.append(Goal(says="`--help`: a Typer hello-world's", measured=share, most=1.2))
    title = f"{CHECKED_MODELS} models"
    checked = ms(title, "fetcher lock --check")
    reached.append(Goal(says=f"`lock --check`, {title}", measured=checked, most=150, unit="ms"))
    return reached


def page(found: Mapping[str, Mapping[str, Sequence[float]]], facts: Mapping[str, str], *, rounds: int) -> str:
    """The whole of NOOP.md."""
    machine = "".join(f"- {name}: {value}\n" for name, value in facts.items() if name not in ("Server", "Clients"))
    rows = [
        f"| {goal.says} | ≤ {goal.most:g} {goal.unit} | {goal.measured:.2f} {goal.unit} | "
        f"{'yes' if goal.measured <= goal.most else 'NO'} |"
        for goal in goals(found)
    ]
    tables = []
    for title, runs in found.items():
        lines = [
            f"| {name} | {statistics.median(times):.1f} | {min(times):.1f} to {max(times):.1f} |"
            for name, times in runs.items()
        ]
        tables.append("\n".join([f"### {title}\n", "| command | median ms | min to max |", "|---|---:|---:|", *lines]))
    return "\n".join(
        [
            "# Nothing to do\n\nWritten by `make noop NOOP='--write'`; do not edit.\n",
            f"- Date: {now_utc()}\n- Runs: {rounds} of each, taking turns\n{machine}",
            '"The normal way" is the same command with a flag that sends it past the front room.\n',
            "![Milliseconds by number of files](noop.png)\n",
            "| against | goal | measured | reached |\n|---|---:|---:|---|",
            *rows,
            "",
            "\n\n".join(tables),
            "",
        ]
    )


def draw(found: Mapping[str, Mapping[str, Sequence[float]]], file: Path) -> None:
    """Growth with the number of files, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    trees = [(title, runs) for title, runs in found.items() if title.endswith(" files")]
    for name in ("fetcher sync", "git status", "python -c pass"):
        medians = {int(title.split()[0].replace(",", "")): statistics.median(runs[name]) for title, runs in trees}
        axis.plot(list(medians), list(medians.values()), "o-", label=name)
    axis.set_xlabel("files")
    axis.set_ylabel("ms, median of whole processes")
    axis.set_ylim(bottom=0)
    axis.set_xlim(left=0)
    axis.legend()
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
