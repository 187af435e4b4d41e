"""A Hugging Face server that nobody here wrote: olah from PyPI, serving git repositories from a folder.

`make test` installs it into a virtual environment of its own (113 MB, 58 packages) and names
its folder in `OLAH`.
"""

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, content

pytestmark = pytest.mark.skipif("OLAH" not in os.environ, reason="olah is not installed: run `make test`")


def _git(folder: Path, *words: str) -> str:
    identity = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-C", str(folder), "-c", "init.defaultBranch=main", *words]
    return subprocess.run(command, env={**os.environ, **identity}, check=True, capture_output=True, text=True).stdout


def _commit(folder: Path, files: dict[str, bytes], large: set[str]) -> str:
    """A commit as git-lfs makes it: pointers in git, large objects beside it."""
    for path, data in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if path not in large:
            file.write_bytes(data)
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        file.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n")
        kept = folder / ".git/lfs/objects" / sha256[:2] / sha256[2:4] / sha256
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "files")
    return _git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def files() -> dict[str, bytes]:
    return {
        "README.md": b"# tiny\n",
        "config.json": b'{"n_layer": 2}',
        "onnx/model.onnx": content("onnx", 3 * MIB),
        "model.safetensors": content("model", 5 * MIB),
        "tokenizer.json": content("tokenizer", 40_000),
    }


@pytest.fixture
def commit(tmp_path: Path, files: dict[str, bytes]) -> str:
    folder = tmp_path / "mirrors/models/demo/tiny"
    folder.mkdir(parents=True)
    _git(folder, "init", "-q")
    return _commit(folder, files, {"onnx/model.onnx", "model.safetensors"})


@pytest.fixture
def olah(tmp_path: Path, commit: str) -> Iterator[str]:
    """Its address, once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "olah.toml").write_text(
        f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{tmp_path}/repos"\n'
        f'mirrors-path = ["{tmp_path}/mirrors"]\n[accessibility]\noffline = true\n',
        encoding="utf-8",
    )
    program = [str(Path(os.environ["OLAH"]) / "bin/olah-cli"), "-c", "olah.toml", "--log-path", "logs"]
    with (
        open(tmp_path / "olah.log", "wb") as log,
        subprocess.Popen(program, cwd=tmp_path, stdout=log, stderr=log) as server,
    ):
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None, (tmp_path / "olah.log").read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
def at(tmp_path: Path, olah: str) -> Desk:
    made = desk(tmp_path / "project", olah, more={"HF_ENDPOINT": olah})
    made.manifest('[models.m]\nsource = "hf:demo/tiny"\n')
    return made


def test_olah_serves_fetcher(at: Desk, files: dict[str, bytes], commit: str) -> None:
    """Listing, small and large files, the commit; then patterns at that commit."""
    at.ok("lock")
    assert f'commit = "{commit}"' in (at.folder / "models.lock").read_text(encoding="utf-8")
    at.ok("sync")
    assert at.placed() == files
    at.manifest('[models.m]\nsource = "hf:demo/tiny"\ninclude = ["onnx/*"]\n')
    at.ok("lock")
    at.ok("sync")
    assert set(at.placed()) == {"onnx/model.onnx"}


def test_what_olah_does_not_have_is_an_error(at: Desk) -> None:
    """In its own words, whatever they are; never an empty model."""
    at.manifest('[models.m]\nsource = "hf:demo/none"\n')
    assert at.fetcher("lock").code in (5, 6, 7)
