"""How long nothing takes: commands that find that all is in place, beside others that do the same.

Whole processes taking turns (A B C A B C …), medians, everything in the page cache.  Each tree
has three models of tiny files and is a git repository as well.  `python -m benchmarks.noop`
prints the tables; `--write` makes NOOP.md and noop.png.  `--work DIR` keeps the trees there.
"""

import argparse
import contextlib
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.turns import (
    FETCHER,
    PYTHON,
    Contest,
    Goal,
    Times,
    declare,
    environment_of,
    locked,
    model_of,
    once,
    page,
    take_turns,
)
from fetcher.core.lock import LockedModel
from fetcher.serve.hub import Hub

SIZES = (1_000, 5_000, 20_000, 100_000)  # files
CHECKED_MODELS = 100  # for `lock --check`
OTHERS_FILES = 1_000  # of the model that the other tools have as well
OTHERS = ("modelscope download", "hf download", "dvc status")
HELLO = "import typer\napp = typer.Typer()\n@app.command()\ndef hello(name: str) -> None:\n    print(name)\napp()\n"
_HERE = Path(__file__).parent
_INTRO = """Written by `make noop NOOP='--write'`; do not edit.

"The normal way" is the same command with a flag, or without its state, that sends it past the front room. The other
tools' second runs (modelscope {modelscope}, huggingface_hub {hf}) ask a hub on this machine; `dvc status` looks at
the same files under `dvc add`.

![Milliseconds by number of files](noop.png)
"""


def main() -> None:
    """Measure and print; with --write, into NOOP.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.noop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, help="where the trees are made, and kept for the next run")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="files of each tree")
    parser.add_argument("--dvc", type=Path, help="the program; left out, `dvc status` does not run")
    parser.add_argument("--prepare", action="store_true", help="only make the trees")
    parser.add_argument("--write", action="store_true", help="write NOOP.md and noop.png")
    told = parser.parse_args()
    work = told.work or Path(tempfile.mkdtemp(prefix="fetcher-noop-"))
    try:
        with making(work.absolute(), told.sizes, dvc=told.dvc and str(told.dvc.absolute())) as contests:
            if told.prepare:
                return
            found = {contest.title: take_turns(contest, told.rounds) for contest in contests}
        intro = _INTRO.format(modelscope=version("modelscope"), hf=version("huggingface_hub"))
        text = page("Nothing to do", intro, goals(found), found, work=work)
        print(text)
        if told.write:
            (_HERE / "NOOP.md").write_text(text, encoding="utf-8")
            draw(found, _HERE / "noop.png")
    finally:
        if told.work is None:
            shutil.rmtree(work)


# the trees


@contextlib.contextmanager
def making(work: Path, sizes: Sequence[int], *, dvc: str | None) -> Iterator[list[Contest]]:
    """Make what is missing of the trees, and say what runs in each; the hub of the other tools runs meanwhile."""
    work.mkdir(parents=True, exist_ok=True)
    environment = environment_of(work)
    (work / "hello.py").write_text(HELLO, encoding="utf-8")
    checked = once(work / f"models-{CHECKED_MODELS}", lambda folder: _declared(folder, CHECKED_MODELS, environment))
    contests = [_by_size(work, size, environment) for size in sizes]
    contests.append(
        Contest(
            title=f"{CHECKED_MODELS} models",
            folder=checked,
            commands={
                "fetcher lock --check": [FETCHER, "lock", "--check"],
                "fetcher lock --check, the normal way": [FETCHER, "lock", "--check", "-v"],
            },
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
    repositories = once(work / "repositories", _published)
    with Hub(repositories) as hub:
        asked = environment | {
            "MODELSCOPE_ENDPOINT": hub.url,
            "MODELSCOPE_CACHE": str(work / "modelscope"),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(work / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        }
        yield [*contests, _others(work, repositories, asked, dvc)]


def _by_size(work: Path, size: int, environment: Mapping[str, str]) -> Contest:
    return Contest(
        title=f"{size:,} files",
        folder=once(work / f"files-{size}", lambda folder: _tree(folder, size, environment)),
        commands={
            "python -c pass": [PYTHON, "-c", "pass"],
            "fetcher sync": [FETCHER, "sync"],
            "fetcher status": [FETCHER, "status"],
            "fetcher sync, the normal way": [FETCHER, "sync", "-v"],
            "git status": ["git", "status", "--short"],
        },
        environment=environment,
        seldom=frozenset({"fetcher sync, the normal way"} if size > 10_000 else ()),
    )


def _others(work: Path, repositories: Path, environment: Mapping[str, str], dvc: str | None) -> Contest:
    """The second run of each tool for the same model; each has placed it in a folder of its own."""
    scripts = Path(PYTHON).parent
    modelscope = [str(scripts / "modelscope"), "download", "--model", "bench/model000", "--local_dir", "modelscope"]
    hf = [str(scripts / "hf"), "download", "bench/model000", "--local-dir", "hf"]
    first = [modelscope, hf]
    commands = {"fetcher sync": [FETCHER, "sync"], OTHERS[0]: modelscope, OTHERS[1]: hf}
    if dvc:
        settle = [dvc, "config", "core.analytics", "false"]
        first += [["git", "init", "-q"], [dvc, "init", "-q"], settle, [dvc, "add", "-q", "hf"]]
        commands[OTHERS[2]] = [dvc, "status"]

    def fill(folder: Path) -> None:
        _placed(folder, [_model("model000", OTHERS_FILES)], environment)
        for command in first:
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

    title = f"second run, 1 model of {OTHERS_FILES:,} files"
    folder = once(work / f"others-{'with' if dvc else 'without'}-dvc", fill)
    return Contest(title=title, folder=folder, commands=commands, environment=environment, seldom=frozenset(OTHERS))


def _tree(folder: Path, size: int, environment: Mapping[str, str]) -> None:
    """Three models in place, and the same files in git."""
    _placed(folder, [_model(f"model{number:03}", -(-size // 3)) for number in range(3)], environment)
    (folder / ".gitignore").write_text(".fetcher/\nmade\n", encoding="utf-8")
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "-A"],
        ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "All"],
    ):
        subprocess.run(command, cwd=folder, env=environment, check=True)


def _placed(folder: Path, models: Sequence[LockedModel], environment: Mapping[str, str]) -> None:
    """A project whose models are in place and were looked at twice."""
    declare(folder, models)
    for model in models:
        _write(model, folder / "models" / model.name)
    time.sleep(0.1)  # older than the clock's grain
    for _ in range(2):
        subprocess.run([FETCHER, "sync", "-q"], cwd=folder, env=environment, check=True)


def _declared(folder: Path, models: int, environment: Mapping[str, str]) -> None:
    """A project whose lock is checked; nothing is in place."""
    declare(folder, [_model(f"model{number:03}", 10) for number in range(models)])
    (folder / ".fetcher").mkdir()
    subprocess.run([FETCHER, "lock", "-q"], cwd=folder, env=environment, check=True)


def _published(folder: Path) -> None:
    """The repository of the model that all tools have."""
    _write(_model("model000", OTHERS_FILES), folder / "bench/model000")


def _write(model: LockedModel, folder: Path) -> None:
    for file in model.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_content(model.name, file.path))


def _content(model: str, path: str) -> bytes:
    return f"{model} {path}\n".encode()


def _model(name: str, count: int) -> LockedModel:
    paths = [f"part-{number // 100:04}/{number % 100:02}.bin" for number in range(count)]
    return model_of(name, [locked(path, _content(name, path)) for path in paths])


# what was found


def goals(found: Mapping[str, Times]) -> list[Goal]:
    """What was to be reached, of what was measured."""

    def ms(title: str, name: str) -> float:
        return statistics.median(found[title][name])

    reached = []
    if (title := "1,000 files") in found:
        share = ms(title, "fetcher sync") / ms(title, "python -c pass")
        reached.append(Goal(says=f"{title}: `python -c pass`", measured=share, bound=2))
    if (title := "5,000 files") in found:
        share = ms(title, "fetcher sync") / (2 * ms(title, "python -c pass") + ms(title, "git status"))
        reached.append(Goal(says=f"{title}: twice `python -c pass` plus `git status`", measured=share, bound=1))
    if (title := "100,000 files") in found:
        share = ms(title, "fetcher sync") / ms(title, "git status")
        reached.append(Goal(says=f"{title}: `git status`", measured=share, bound=2))
    share = ms("help", "fetcher --help") / ms("help", "Typer hello-world --help")
    reached.append(Goal(says="`--help`: a Typer hello-world's", measured=share, bound=1.2))
    title = f"{CHECKED_MODELS} models"
    for name in ("fetcher lock --check", "fetcher lock --check, the normal way"):
        reached.append(
            Goal(says=f"`{name.partition(' ')[2]}`, {title}", measured=ms(title, name), bound=150, unit="ms")
        )
    title = next(title for title in found if title.startswith("second run"))
    reached += [
        Goal(
            says=f"{name}, {title}: times as fast",
            measured=ms(title, name) / ms(title, "fetcher sync"),
            bound=10,
            is_least=True,
        )
        for name in OTHERS
        if name in found[title]
    ]
    return reached


def draw(found: Mapping[str, Times], file: Path) -> None:
    """Growth with the number of files, as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    trees = [(title, runs) for title, runs in found.items() if title[0].isdigit() and title.endswith(" files")]
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
