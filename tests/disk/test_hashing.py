"""Files hashed where they are, and what takes their names."""

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.disk.atomic import disk_errors
from fetcher.disk.hashing import git_blob_of, sha256_of
from fetcher.errors import DiskError


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.fspath(path))


_NO_FILES: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a socket": _bind,
    "a directory": Path.mkdir,
    "a symlink": lambda path: path.symlink_to(__file__),
}


def test_a_file_has_its_sha256_and_its_git_blob(tmp_path: Path) -> None:
    """Those of sha256sum and `git hash-object`."""
    path = tmp_path / "file"
    path.write_bytes(b"hello\n" * 500_000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"hello\n")
    assert git_blob_of(path, 6) == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("kind", _NO_FILES)
def test_what_took_a_file_s_name_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to would be waited for until somebody does; the whole message."""
    path = tmp_path / "name"
    _NO_FILES[kind](path)
    for look in (lambda: sha256_of(path), lambda: git_blob_of(path, 1)):
        with pytest.raises(DiskError) as caught, disk_errors(path):
            look()
        assert str(caught.value) == (
            f"Something else stands where a file is due.\n  path: {path}\n"
            "  fix: move it away, then run the command again"
        )
