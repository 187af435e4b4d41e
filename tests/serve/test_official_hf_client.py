"""The hub is accepted by the official Hugging Face client: `huggingface_hub` from PyPI, as its users run it.

The version of the dev extra in the normal run; `make test-hf-clients` runs the same with
several versions, each in a virtual environment of its own (`HF_CLIENTS`: their folders).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.hub.publish import MIB, Publisher, read_tree

MODEL, DATASET = "demo/tiny", "demo/many"
TREE: Mapping[str, bytes | int] = {
    ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": b"---\nlicense: mit\n---\n# tiny\n",
    "config.json": b'{"n_layer": 2}',
    "empty.txt": b"",
    "exactly one MiB.bin": MIB,
    "just below.bin": MIB - 1,
    "large.bin": 9 * MIB + 1,
    "onnx/model.onnx": 3 * MIB,
    "onnx/more/深 é+&%.json": 3000,
    "small.safetensors": 500,
}
MANY: Mapping[str, bytes | int] = {**{f"data/{number:04}.json": 5 for number in range(1003)}, "train.parquet": 2 * MIB}
_CLIENTS = [Path(sys.executable).parent]
_CLIENTS_TO_COME = [Path(folder) / "bin" for folder in os.environ.get("HF_CLIENTS", "").split()]
Run = Callable[..., subprocess.CompletedProcess[str]]

clients = pytest.mark.parametrize(
    "client",
    [
        *_CLIENTS,
        *(pytest.param(folder, marks=pytest.mark.slow, id=folder.parent.name) for folder in _CLIENTS_TO_COME),
    ],
)


@pytest.fixture
def run(isolated_environment: Path, tmp_path: Path) -> Run:
    """`run(hub, program, ...)` in an environment that knows the hub only."""

    def start(hub: Hub, *command: str | Path, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            env={
                **os.environ,
                "HF_ENDPOINT": hub.url,
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                **variables,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return start


def _downloaded(folder: Path) -> dict[str, bytes]:
    """What is in a local dir, without the client's own notes."""
    return {path: data for path, data in read_tree(folder).items() if not path.startswith(".cache/")}


def _tool(client: Path) -> Path:
    """Its command line: `hf`, which older versions do not have yet."""
    return next(client / name for name in ("hf", "huggingface-cli") if (client / name).exists())


@clients
def test_the_client_s_functions(hub: Hub, publisher: Publisher, run: Run, tmp_path: Path, client: Path) -> None:
    """Whole models and datasets, tags, patterns, one file, listings, refs, and the right errors."""
    model, dataset = publisher.publish(MODEL, TREE), publisher.publish(f"datasets/{DATASET}", MANY)
    tag = publisher.tag(MODEL, "v1", {"config.json": b"old", "old.bin": 10})
    program = Path(__file__).with_name("hf_client.py")
    told = json.loads(run(hub, client / "python", program, MODEL, DATASET, tmp_path / "got").stdout)
    assert _downloaded(tmp_path / "got/model") == model
    assert _downloaded(tmp_path / "got/dataset") == dataset
    assert _downloaded(tmp_path / "got/tag") == {"config.json": tag["config.json"]}
    assert told["cached"] == {path: len(data) for path, data in model.items()}
    assert told["one"] == 3 * MIB
    assert sorted(told["files"]) == sorted(model)
    assert len(told["sha"]) == 40
    year = datetime.now(tz=UTC).year
    assert told["license"] == "mit"
    assert told["commits"] in ([[told["sha"], year]], [[told["sha"], year - 1]])  # the files may be of last year
    assert (told["branches"], told["tags"]) == (["main"], ["v1"])
    assert (told["listed"], told["lfs"]) == (len(dataset) + 1, ["train.parquet"])
    assert told["errors"].pop("file") in ("EntryNotFoundError", "RemoteEntryNotFoundError")
    assert told["errors"] == {
        "revision": "RevisionNotFoundError",
        "repository": "RepositoryNotFoundError",
        "listing": "RepositoryNotFoundError",
    }


@clients
def test_the_client_s_command_line(hub: Hub, publisher: Publisher, run: Run, tmp_path: Path, client: Path) -> None:
    """`hf download`, whole and by pattern; the large files pass over the signed link."""
    model = publisher.publish(MODEL, TREE)
    run(hub, _tool(client), "download", MODEL, "--local-dir", "whole")
    assert _downloaded(tmp_path / "whole") == model
    large = sum(len(data) for path, data in model.items() if len(data) >= MIB or path == "small.safetensors")
    assert sum(entry.sent for entry in hub.requests if entry.path.startswith("/lfs-objects/")) == large
    run(hub, _tool(client), "download", MODEL, "--include", "onnx/*", "--local-dir", "part")
    assert set(_downloaded(tmp_path / "part")) == {"onnx/model.onnx", "onnx/more/深 é+&%.json"}


@clients
def test_a_private_hub_opens_to_its_token(
    start_hub: Callable[..., Hub], publisher: Publisher, run: Run, tmp_path: Path, client: Path
) -> None:
    """As a missing repository without it."""
    model = publisher.publish(MODEL, {"config.json": b"{}", "large.bin": 2 * MIB})
    hub = start_hub(token="hf_SECRET")
    refused = run(hub, _tool(client), "download", MODEL, "--local-dir", "before", status=1)
    assert "401" in refused.stderr + refused.stdout or "not found" in (refused.stderr + refused.stdout).lower()
    run(hub, _tool(client), "download", MODEL, "--local-dir", "after", HF_TOKEN="hf_SECRET")
    assert _downloaded(tmp_path / "after") == model
