"""Git remotes from models.toml to files, by the command line, against real servers on loopback.

`git http-backend` and giftless under waitress; nginx with fcgiwrap, where ranges work; a fake
ssh that runs what it is asked to on this machine; repositories on this machine's disk.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Desk, desk
from tests.sources.git_server import GitServer, Repository, needs_git_lfs, serving

pytestmark = needs_git_lfs

SECRET = "git-0123-SECRET"
LARGE = os.urandom(300_000)
TREE = {"config.json": b'{"a": 1}', "weights/model.bin": LARGE, "vocab.txt": b"word\n" * 2000, "README.md": b"# m\n"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    server = GitServer(root=tmp_path / "repositories", storage=tmp_path / "lfs")
    with serving(server):
        yield server


@pytest.fixture
def repository(server: GitServer) -> Repository:
    repository = server.repository("owner/model")
    repository.publish(TREE, large=["*.bin"])
    server.asked.clear()
    return repository


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    return desk(tmp_path / "project", "http://127.0.0.1:9", more={"FETCHER_RETRIES": "1"})


def _model(at: Desk, source: str, more: str = "") -> None:
    at.manifest(f'[models.m]\nsource = "{source}"\nexclude = [".gitattributes"]\n{more}\n')


def test_a_model_in_git_and_lfs_is_locked_and_synced(at: Desk, server: GitServer, repository: Repository) -> None:
    """The lock asks for the refs, the commit and the ordinary files; the sync for the large file only."""
    _model(at, repository.source)
    at.ok("lock")
    git_only = ["/owner/model.git/info/refs", "/owner/model.git/git-upload-pack"] * 3
    assert server.paths() == git_only
    server.asked.clear()
    at.ok("sync")
    oid = hashlib.sha256(LARGE).hexdigest()
    large = ["/owner/model.git/info/lfs/objects/batch", f"/owner/model.git/info/lfs/objects/storage/{oid}"]
    assert server.paths() == [*git_only[:2], *large]
    assert at.placed() == TREE
    server.asked.clear()
    at.ok("sync")
    assert server.asked == []


def test_a_clone_without_the_store_gets_the_same_bytes(at: Desk, server: GitServer, repository: Repository) -> None:
    """Another machine has only the lock: ordinary files come from git again, at the locked commit."""
    _model(at, repository.source)
    at.ok("lock")
    shutil.rmtree(at.environment["FETCHER_STORE"])
    repository.publish({"config.json": b"other"})
    at.ok("sync", "--frozen")
    assert at.placed() == TREE


def test_the_scratch_repository_is_gone_after_each_command(at: Desk, repository: Repository) -> None:
    """The store holds objects, not git repositories."""
    _model(at, repository.source)
    at.ok("lock")
    at.ok("sync")
    assert list((Path(at.environment["FETCHER_STORE"]) / "scratch").iterdir()) == []
