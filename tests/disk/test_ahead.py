"""Chunks hashed before the Prover is there, and what it makes of them."""

import os
import time
from pathlib import Path

import pytest
from blake3 import blake3

from fetcher.core.chunk import CHUNK
from fetcher.disk import ahead
from fetcher.disk.chunks import ChunkList
from fetcher.disk.prove import Prover
from fetcher.disk.ready import Ready, about, stamps_of
from tests.disk.looks import sha, wanted
from tests.hub.publish import content

_DATA = content("model.bin", 2 * CHUNK + 5_000_000)
_CHUNKS = [_DATA[start : start + CHUNK] for start in range(0, len(_DATA), CHUNK)]

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="files are mapped on Linux only")


def _project(root: Path, *names: str) -> Path:
    """A project's folder with a `ready` that names files, whatever they are."""
    numbers = [number for name in names for number in _numbers(root / name)]
    files = tuple(os.fsencode(name) for name in names)
    data = Ready(about("0", str(root), "", ""), "", files=files, stamps=stamps_of(numbers)).to_bytes()
    assert data is not None
    (root / "ready").write_bytes(data)
    return root


def _numbers(path: Path) -> tuple[int, int, int]:
    """Of a large file, whatever is there."""
    found = path.lstat()
    return (max(found.st_size, CHUNK + 1), found.st_mtime_ns, found.st_ino)


def _begun(root: Path, *, count: int) -> None:
    """So many chunks are hashed ahead, and nobody has taken them."""
    begun = ahead.begin(str(root), str(root / "ready"))
    end_s = time.monotonic() + 60
    while len(begun.digests) < count:
        assert time.monotonic() < end_s, begun.digests
        time.sleep(0.01)


def _hashed(root: Path, *, count: int) -> ahead.Digests:
    _begun(root, count=count)
    found = ahead.take_over()
    assert found is not None
    return found


def _file(path: Path, mode: int = 0o444) -> Path:
    path.write_bytes(_DATA)
    path.chmod(mode)
    return path


def _prove(path: Path) -> str | None:
    """What a Prover says of the file."""
    chunks = ChunkList.of(_DATA)
    with Prover(known=lambda item: chunks, keep=lambda item, found: None, cores=2) as prover:
        return prover.prove(wanted("model.bin", _DATA), path).sha256


def test_each_chunk_of_a_large_file_is_hashed(tmp_path: Path) -> None:
    """Their blake3, by file and place; a small file is left to the Prover."""
    found = _file(tmp_path / "model.bin").stat()
    (tmp_path / "config.json").write_bytes(b"{}")
    digests = _hashed(_project(tmp_path, "config.json", "model.bin"), count=3)
    assert digests == {
        ahead.chunk_key(found, number * CHUNK): blake3(chunk).hexdigest() for number, chunk in enumerate(_CHUNKS)
    }


def test_the_prover_takes_what_was_hashed_and_reads_no_chunk_twice(tmp_path: Path) -> None:
    """Seen by damage that came after the chunk was hashed and left no trace: only a later look can find it."""
    path = _file(tmp_path / "model.bin")
    found = path.stat()
    _begun(_project(tmp_path, "model.bin"), count=3)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"x")
    path.chmod(0o444)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert _prove(path) == sha(_DATA)
    assert _prove(path) == sha(b"x" + _DATA[1:])


@pytest.mark.parametrize("change", ["its time", "another file"])
def test_a_digest_speaks_of_no_other_state(tmp_path: Path, change: str) -> None:
    """A file that was edited or replaced since is hashed again, and the edit found."""
    path = _file(tmp_path / "model.bin")
    before = set(_hashed(_project(tmp_path, "model.bin"), count=3))
    edited = b"x" + _DATA[1:]
    if change == "another file":
        path.rename(tmp_path / "kept")  # or the new one might have its inode
    else:
        path.chmod(0o644)
    path.write_bytes(edited)
    path.chmod(0o444)
    os.utime(path, ns=(1, 1) if change == "its time" else (0, (tmp_path / "kept").stat().st_mtime_ns))
    assert not before & {ahead.chunk_key(path.stat(), number * CHUNK) for number in range(3)}


@pytest.mark.parametrize("what", ["a symlink", "a pipe", "a folder", "writable"])
def test_what_is_no_plain_file_is_left_alone(tmp_path: Path, what: str) -> None:
    """A `ready` may have come with somebody's project; nobody waits for what it names."""
    path = tmp_path / "model.bin"
    if what == "a symlink":
        path.symlink_to(_file(tmp_path / "other"))
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    else:
        _file(path, mode=0o644)
    assert _hashed(_project(tmp_path, "model.bin"), count=0) == {}


@pytest.mark.parametrize("text", [None, b"", b"fetcher ready 3\n1 2 3"])
def test_without_answers_nothing_happens(tmp_path: Path, text: bytes | None) -> None:
    """None, an empty one, a torn one."""
    if text is not None:
        (tmp_path / "ready").write_bytes(text)
    assert _hashed(tmp_path, count=0) == {}
    assert ahead.take_over() is None
