"""Writes repositories of known content for a hub to serve.

    tree = publisher.publish("owner/name", {"config.json": b"{}", "model.bin": 3 * MIB})

A number stands for that many bytes, the same for the same path, size and seed on every run.
The trees are plain files; tests compare with what `publish` returns, not with the hub's word.
"""

import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path

KIB, MIB = 1 << 10, 1 << 20  # bytes
REVISIONS = ".fetcher-revisions"


def content(path: str, size: int, *, seed: int = 0) -> bytes:
    """`size` bytes that look random and are the same for the same arguments."""
    source = random.Random(f"{seed} {path} {size}")
    return b"".join(source.randbytes(min(MIB, size - start)) for start in range(0, size, MIB))


def write_tree(folder: Path, tree: Mapping[str, bytes | int], *, seed: int = 0) -> dict[str, bytes]:
    """Write files below `folder`; returns path -> bytes."""
    written = {}
    for path, value in tree.items():
        data = content(path, value, seed=seed) if isinstance(value, int) else value
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        written[path] = data
    folder.mkdir(parents=True, exist_ok=True)
    return written


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, links followed, dot files too: path -> bytes."""
    return {
        os.path.relpath(os.path.join(parent, name), folder).replace(os.sep, "/"): Path(parent, name).read_bytes()
        for parent, _, names in os.walk(folder)
        for name in names
    }


class Publisher:
    """A folder of repositories that tests write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, repo: str) -> Path:
        """Where `OWNER/NAME` or `datasets/OWNER/NAME` lies."""
        return self.root / repo

    def publish(self, repo: str, tree: Mapping[str, bytes | int], *, seed: int = 0) -> dict[str, bytes]:
        """Make `tree` the whole content of the repository's own folder (branch `master`)."""
        folder = self.folder(repo)
        for old in folder.iterdir() if folder.is_dir() else ():
            if old.name != REVISIONS:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        return write_tree(folder, tree, seed=seed)

    def branch(self, repo: str, name: str, tree: Mapping[str, bytes | int], *, seed: int = 0) -> dict[str, bytes]:
        """Make `tree` the whole content of a branch; `master` replaces the folder's own files."""
        return self._revision(repo, "branches", name, tree, seed=seed)

    def tag(self, repo: str, name: str, tree: Mapping[str, bytes | int], *, seed: int = 0) -> dict[str, bytes]:
        """Make `tree` the whole content of a tag."""
        return self._revision(repo, "tags", name, tree, seed=seed)

    def commit(self, repo: str, name: str, tree: Mapping[str, bytes | int], *, seed: int = 0) -> dict[str, bytes]:
        """Make `tree` available by its commit only; `name` is any name for the folder."""
        return self._revision(repo, "commits", name, tree, seed=seed)

    def move(self, repo: str, branch: str, *, to: str) -> None:
        """Point a branch at the folder of `commit(repo, to, ...)`, atomically."""
        link = self.folder(repo) / REVISIONS / "branches" / branch
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f".{branch}.new")
        fresh.symlink_to(Path("..") / "commits" / to)
        fresh.replace(link)

    def _revision(
        self, repo: str, kind: str, name: str, tree: Mapping[str, bytes | int], *, seed: int
    ) -> dict[str, bytes]:
        folder = self.folder(repo) / REVISIONS / kind / name
        shutil.rmtree(folder, ignore_errors=True)
        return write_tree(folder, tree, seed=seed)
