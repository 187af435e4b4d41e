"""docs/api.md is what the code says, and its programs run and have the types that they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fetcher
from fetcher.serve.hub import Hub
from tests.api.reference import PAGE, page
from tests.cli.command import desk
from tests.hub.publish import Publisher

_ROOT = PAGE.parents[1]
_TEXT = PAGE.read_text(encoding="utf-8")
_PROGRAMS = re.findall(r"```python\n(.*?)```", _TEXT.partition("## Reference")[0], flags=re.DOTALL)
_README = re.findall(r"```python\n(.*?)```", (_ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def programs(tmp_path: Path) -> list[Path]:
    """The programs of the page and of the README, each in a file."""
    folder = tmp_path / "project"
    folder.mkdir()
    files = []
    for number, text in enumerate([*_PROGRAMS, *_README]):
        files.append(folder / f"program_{number}.py")
        files[-1].write_text(text, encoding="utf-8")
    return files


def test_the_reference_is_what_the_code_says() -> None:
    """Every signature and every sentence; `make api-docs` writes it anew."""
    assert page() == _TEXT


def test_every_public_name_is_on_the_page() -> None:
    """A name without a word about it is a promise that nobody can read."""
    headings = set(re.findall(r"^### `(\w+)`$", _TEXT, flags=re.MULTILINE))
    errors = set(re.findall(r"^\| `(\w+)` \| `\w+` \| \d+ \|", _TEXT, flags=re.MULTILINE))
    assert headings | errors == set(fetcher.__all__) - {"__version__"}


def test_the_programs_have_the_types_that_they_say(programs: list[Path], tmp_path: Path) -> None:
    """With `mypy --strict`, as their writers may run it; a name that is not public must be told."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import fetcher\n"
        "fetcher.snapshot_downlod('a/b')\n"
        "folder: int = fetcher.path('m')\n"
        "fetcher.Project.find(on_event=lambda: None)\n"
        "reveal_type(fetcher.Project.find().sync().fetched)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(_ROOT / ".mypy_cache"), *programs, wrong],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if "program_" in line]
    assert told == []
    assert set(re.findall(r"wrong\.py:(\d): (?:error|note)", done.stdout)) == {"2", "3", "4", "5"}
    assert re.search(r'Revealed type is "(builtins\.)?tuple\[fetcher\.core\.moves\.Wanted, \.\.\.\]"', done.stdout)


def test_the_programs_run(programs: list[Path], hub: Hub, publisher: Publisher, tmp_path: Path) -> None:
    """One after the other, as a reader would, on a hub that has the page's model."""
    tree = publisher.publish("AI-ModelScope/gpt2", {"config.json": b"{}", "model.bin": 1 << 20})
    at = desk(tmp_path / "project", hub.url)
    at.model("gpt2", repo="AI-ModelScope/gpt2")
    outputs = []
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "error", program.name],
            cwd=at.folder,
            env={**at.environment, "PYTHONPATH": os.fspath(_ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program.read_text()}\n{done.stderr}"
        outputs.append(done.stdout)
    folder = at.folder / "models/gpt2"
    assert outputs[0] == f"2 fetched, 0 kept\nTrue {folder}/config.json\n"
    assert outputs[1] == f"{folder}\n"
    assert outputs[4] == f"{at.folder}/gpt2 {at.folder}/cache/AI-ModelScope/gpt2/config.json\n"
    assert outputs[-1] == f"{folder}\n"
    assert at.placed("gpt2") == tree
