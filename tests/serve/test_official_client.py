"""The hub is accepted by the official client: `modelscope` from PyPI, as its users run it.

Each test runs the client in a process of its own, with a home of its own, and compares
every byte on disk with what was published.  Nothing here may be skipped: a look-alike hub
that only our own client likes would prove nothing about the real one.
"""

import fnmatch
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.hub.publish import KIB, MIB, Publisher, read_tree

MODEL = "AI-ModelScope/gpt2"
TREE: Mapping[str, bytes | int] = {
    ".gitattributes": b"*.bin filter=lfs\n",
    "README.md": b"# gpt2\n",
    "config.json": b'{"n_layer": 12}',
    "empty.txt": b"",
    "64.tflite": 2 * MIB + 1,
    "exactly one MiB.bin": MIB,
    "just below.bin": MIB - 1,
    "model.safetensors": 20 * MIB,
    "onnx/config.json": 700,
    "onnx/decoder_model.onnx": 3 * MIB,
    "onnx/more/深.json": 300 * KIB,
}
TOKEN = "ms-11111111-2222-3333-4444-555555555555"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def published(publisher: Publisher) -> dict[str, bytes]:
    return publisher.publish(MODEL, TREE)


@pytest.fixture
def run(isolated_environment: Path, tmp_path: Path) -> Run:
    """`run(hub, *command)` runs the client's command line, or python for `-c ...`."""

    def start(hub: Hub, *command: str, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        tool = [sys.executable] if command[0] == "-c" else [str(Path(sys.executable).with_name("modelscope"))]
        done = subprocess.run(
            [*tool, *command],
            env={**os.environ, "MODELSCOPE_ENDPOINT": hub.url, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return start


def of(tree: Mapping[str, bytes], *patterns: str) -> dict[str, bytes]:
    """The part of a tree that any of the patterns matches."""
    return {path: data for path, data in tree.items() if any(fnmatch.fnmatchcase(path, p) for p in patterns)}


def test_a_whole_model_goes_to_the_default_cache(
    hub: Hub, published: dict[str, bytes], run: Run, isolated_environment: Path
) -> None:
    """The plainest command; the large files pass over the CDN path."""
    run(hub, "download", "--model", MODEL)
    cached = isolated_environment / ".cache/modelscope/models/AI-ModelScope--gpt2/snapshots/master"
    assert read_tree(cached) == published
    large = [entry for entry in hub.requests if entry.path.startswith("/lfs-objects/")]
    assert sum(entry.sent for entry in large) == sum(len(data) for data in published.values() if len(data) >= MIB)
    assert all(entry.status < 400 for entry in hub.requests if "internalAccelerationInfo" not in entry.path)


def test_several_files_by_name(hub: Hub, published: dict[str, bytes], run: Run, tmp_path: Path) -> None:
    """This form asks for no listing, only for the files."""
    run(hub, "download", "--model", MODEL, "config.json", "onnx/decoder_model.onnx", "--local_dir", "here")
    assert read_tree(tmp_path / "here") == of(published, "config.json", "onnx/decoder_model.onnx")
    assert not any("/repo/files" in entry.path for entry in hub.requests)


def test_include_with_several_patterns(hub: Hub, published: dict[str, bytes], run: Run, tmp_path: Path) -> None:
    """Patterns on the whole path."""
    run(hub, "download", "--model", MODEL, "--include", "onnx/*", "*.tflite", "--local_dir", "here")
    assert read_tree(tmp_path / "here") == of(published, "onnx/*", "*.tflite")


def test_include_of_one_folder_lists_that_folder(
    hub: Hub, published: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    """The client then asks with `Root=onnx` and expects paths from the repository's root."""
    run(hub, "download", "--model", MODEL, "--include", "onnx/*", "--local_dir", "here")
    assert read_tree(tmp_path / "here") == of(published, "onnx/*")
    assert any("Root=onnx" in entry.path for entry in hub.requests)


def test_exclude_and_cache_dir(hub: Hub, published: dict[str, bytes], run: Run, tmp_path: Path) -> None:
    """`--cache_dir` moves the cache for one run."""
    run(hub, "download", "--model", MODEL, "--exclude", "*.safetensors", "*.onnx", "--cache_dir", "cache")
    kept = {path: data for path, data in published.items() if not path.endswith((".safetensors", ".onnx"))}
    (snapshot,) = (tmp_path / "cache").glob("**/snapshots/master")
    assert read_tree(snapshot) == kept


def test_a_branch_and_a_commit_as_revision(hub: Hub, publisher: Publisher, run: Run, tmp_path: Path) -> None:
    """A commit must still bring its own bytes after the branch has moved on."""
    first = publisher.commit(MODEL, "first", {"config.json": b"1", "model.bin": 2 * MIB})
    second = publisher.commit(MODEL, "second", {"config.json": b"2", "model.bin": 2 * MIB}, seed=2)
    publisher.move(MODEL, "master", to="first")
    repository = next(hub.library.find(key) for key in hub.library.repositories())
    assert repository is not None
    tree = repository.tree("master")
    assert tree is not None
    publisher.move(MODEL, "master", to="second")
    publisher.move(MODEL, "v1", to="first")
    run(hub, "download", "--model", MODEL, "--revision", tree.commit, "--local_dir", "commit")
    run(hub, "download", "--model", MODEL, "--revision", "v1", "--local_dir", "branch")
    run(hub, "download", "--model", MODEL, "--local_dir", "moved")
    assert read_tree(tmp_path / "commit") == first
    assert read_tree(tmp_path / "branch") == first
    assert read_tree(tmp_path / "moved") == second


def test_a_dataset_of_several_pages(hub: Hub, publisher: Publisher, run: Run, tmp_path: Path) -> None:
    """Datasets have their own folder, address and paged listing."""
    tree: dict[str, bytes | int] = {f"data/{number:03}.json": 10 + number for number in range(230)}
    published = publisher.publish("datasets/o/many", {**tree, "train.parquet": 2 * MIB})
    run(hub, "download", "--dataset", "o/many", "--local_dir", "here")
    assert read_tree(tmp_path / "here") == published
    pages = [entry.path for entry in hub.requests if "/repo/tree" in entry.path]
    assert len(pages) == 2


def test_snapshot_download_and_model_file_download(
    hub: Hub, published: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    """The functions that programs call, with the arguments of the guide."""
    program = (
        "from modelscope import snapshot_download\n"
        "from modelscope.hub.file_download import model_file_download\n"
        f"print('DIR=' + snapshot_download({MODEL!r}, cache_dir='cache', revision='master'))\n"
        f"print('FILE=' + model_file_download(model_id={MODEL!r}, file_path='onnx/decoder_model.onnx',"
        " revision='master', cache_dir='other'))\n"
    )
    told = dict(line.split("=", 1) for line in run(hub, "-c", program).stdout.splitlines() if "=" in line)
    assert read_tree(tmp_path / told["DIR"]) == published
    assert (tmp_path / told["FILE"]).read_bytes() == published["onnx/decoder_model.onnx"]


def test_login_stores_what_a_private_repository_needs(
    start_hub: Callable[..., Hub], published: dict[str, bytes], run: Run, tmp_path: Path, isolated_environment: Path
) -> None:
    """Refused without a token, let in after `login`; the stored session is the hub's own."""
    hub = start_hub(token=TOKEN)
    refused = run(hub, "download", "--model", MODEL, "--local_dir", "before", status=1)
    assert "needs its token" in refused.stdout + refused.stderr
    assert read_tree(tmp_path / "before") == {}
    run(hub, "login", "--token", TOKEN)
    stored = isolated_environment / ".modelscope/credentials"
    assert {cookie.name for cookie in pickle.loads((stored / "cookies").read_bytes())} >= {"m_session_id"}
    run(hub, "download", "--model", MODEL, "--local_dir", "after")
    assert read_tree(tmp_path / "after") == published


def test_a_private_repository_opens_to_a_token_in_the_environment(
    start_hub: Callable[..., Hub], published: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    """A raw token works without a login; a wrong one does not, and a login with it fails."""
    hub = start_hub(token=TOKEN)
    run(hub, "download", "--model", MODEL, "config.json", "--local_dir", "in", MODELSCOPE_API_TOKEN=TOKEN)
    assert read_tree(tmp_path / "in") == of(published, "config.json")
    run(hub, "login", "--token", "ms-wrong", status=1)


def test_a_missing_repository_and_a_missing_file_are_failures_to_the_client(
    hub: Hub, published: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    """The codes of the live hub make the client fail, not succeed with nothing."""
    run(hub, "download", "--model", "nobody/nothing", "--local_dir", "a", status=1)
    run(hub, "download", "--model", MODEL, "no-such-file", "--local_dir", "b", status=1)
    assert read_tree(tmp_path / "b") == {}
