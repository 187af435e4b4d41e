"""The functions take the official client's arguments and bring the same files.

The client is `modelscope` from PyPI, in a process of its own, on the same hub.
"""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fetcher
from tests.cli.command import Desk
from tests.hub.publish import Publisher, read_tree

MODEL, DATASET = "AI-ModelScope/gpt2", "owner/table"
TREE: dict[str, bytes | int] = {
    "README.md": b"# gpt2\n",
    "config.json": b"{}",
    "64.tflite": (1 << 20) + 1,
    "onnx/config.json": 700,
    "onnx/more/model.onnx": 2 << 20,
}
# What the official functions take and ours do not: nothing would honour it.
NOT_TAKEN = {"cookies", "user_agent", "progress_callbacks"}

# function, positional arguments, keywords
CALLS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("snapshot_download", [MODEL], {}),
    ("snapshot_download", [MODEL, "master", "cache"], {}),
    ("snapshot_download", [], {"model_id": MODEL, "cache_dir": "cache", "revision": "master"}),
    ("snapshot_download", [MODEL], {"allow_patterns": "*.json", "local_dir": "one"}),
    ("snapshot_download", [MODEL], {"allow_patterns": ["onnx/*", "*.md"], "local_dir": "two"}),
    ("snapshot_download", [MODEL], {"ignore_patterns": ["onnx/*", "*.tflite"], "local_dir": "three"}),
    ("snapshot_download", [MODEL], {"allow_file_pattern": "*.json", "local_dir": "four"}),
    ("snapshot_download", [MODEL], {"ignore_file_pattern": ["*.onnx"], "max_workers": 2, "local_dir": "five"}),
    (
        "snapshot_download",
        [MODEL],
        {"allow_patterns": ["*.md"], "allow_file_pattern": ["*.json"], "local_dir": "six", "cache_dir": "ignored"},
    ),
    ("snapshot_download", [], {"repo_id": DATASET, "repo_type": "dataset", "local_dir": "seven"}),
    ("dataset_snapshot_download", [DATASET], {"cache_dir": "cache"}),
    ("model_file_download", [], {"model_id": MODEL, "file_path": "onnx/config.json", "revision": "master"}),
    ("model_file_download", [MODEL, "config.json"], {"local_dir": "eight"}),
    ("dataset_file_download", [DATASET, "train.csv"], {"cache_dir": "other"}),
]

PROGRAM = """
import json, sys
from modelscope.hub.file_download import dataset_file_download, model_file_download
from modelscope.hub.snapshot_download import dataset_snapshot_download, snapshot_download
found = [globals()[name](*arguments, **keywords) for name, arguments, keywords in json.loads(sys.argv[1])]
print("FOUND=" + json.dumps(found))
"""


@pytest.fixture
def trees(publisher: Publisher) -> None:
    publisher.publish(MODEL, TREE)
    publisher.publish(f"datasets/{DATASET}", {"train.csv": b"a,b\n", "README.md": b"# t\n"})


def _files(found: Path) -> dict[str, bytes]:
    """What a function returned, a file or a folder, without the client's own records."""
    if found.is_file():
        return {found.name: found.read_bytes()}
    return {path: data for path, data in read_tree(found).items() if not path.split("/")[0].startswith(".")}


def test_the_same_arguments_bring_the_same_files(
    at: Desk, trees: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call of the table, by the official client in one folder and by fetcher in another."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(CALLS)],
        cwd=theirs,
        env={**os.environ, "MODELSCOPE_CACHE": str(theirs / "default")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("FOUND="))
    expected = [_files(theirs / found) for found in json.loads(line.removeprefix("FOUND="))]
    monkeypatch.chdir(ours)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(ours / "default"))
    for (name, arguments, keywords), files in zip(CALLS, expected, strict=True):
        found = getattr(fetcher, name)(*arguments, **keywords)
        assert isinstance(found, str)
        assert _files(Path(found)) == files != {}, (name, keywords)


@pytest.mark.parametrize("name", ["snapshot_download", "model_file_download", "dataset_file_download"])
def test_the_parameters_have_the_official_names(name: str) -> None:
    """Those of the installed release; what is not taken is named here, the rest is ours."""
    from modelscope.hub.file_download import dataset_file_download, model_file_download
    from modelscope.hub.snapshot_download import snapshot_download

    functions = {each.__name__: each for each in (dataset_file_download, model_file_download, snapshot_download)}
    official = inspect.signature(functions[name]).parameters
    own = inspect.signature(getattr(fetcher, name)).parameters
    assert set(official) - set(own) <= NOT_TAKEN
    assert set(own) - set(official) == {"layout", "on_event"}
