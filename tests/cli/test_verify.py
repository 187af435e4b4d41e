"""`fetcher verify`, by the command line."""

import json
import os
import shutil
from pathlib import Path

import pytest

from fetcher.core.chunk import CHUNK
from fetcher.disk.chunks import ChunkList
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.disk.looks import sha
from tests.hub.publish import MIB, Publisher

_SIZE = 2 * CHUNK + MIB
_MODEL = "models/m/model.bin"
_ROTTEN = "its bytes have changed, though its size and date have not"


@pytest.fixture
def at(tmp_path: Path, publisher: Publisher, hub: Hub) -> Desk:
    """A synced model of one large file and a small one."""
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": _SIZE})
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    at.ok("sync")
    return at


def rot(path: Path, offset: int) -> None:
    """Flip a bit as a failing disk does: neither size nor date tell."""
    found = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_all_as_locked(at: Desk, hub: Hub) -> None:
    """No request, and one line for people."""
    hub.forget_requests()
    done = at.ok("verify")
    assert (done.out, done.err) == ("", "Verified: 2 files, 33.0 MiB, all as locked.\n")
    assert hub.requests == []
    assert at.ok("verify", "--json").json == {"verified": 2, "wrong": {}, "ranges": {}}


def test_rot_is_told_with_its_bytes(at: Desk) -> None:
    """Exit 4, the file, the chunk."""
    rot(at.folder / _MODEL, CHUNK + 5)
    done = at.fetcher("verify")
    assert done.code == 4
    assert done.err == (
        "error: 1 file differs from the lock.\n"
        f"  {_MODEL}: {_ROTTEN}; differs in bytes {CHUNK}-{2 * CHUNK - 1}\n"
        "  fix: run `fetcher verify --repair`; files that were edited stay: `fetcher sync --force` moves them "
        "into .fetcher/trash/\n"
    )
    assert at.fetcher("verify", "--json").json == {
        "verified": 1,
        "wrong": {_MODEL: _ROTTEN},
        "ranges": {_MODEL: [[CHUNK, 2 * CHUNK]]},
    }


def test_without_the_store_the_lock_s_hash_tells(at: Desk) -> None:
    """Nothing rests on the store alone; which bytes differ is not known then."""
    shutil.rmtree(at.environment["FETCHER_STORE"])
    at.ok("verify")
    rot(at.folder / _MODEL, 5)
    done = at.fetcher("verify")
    assert (done.code, f"  {_MODEL}: {_ROTTEN}\n" in done.err) == (4, True)


def test_chunks_are_listed_anew_in_a_store_that_lost_them(at: Desk) -> None:
    """The next look is a quick one again, and can tell the bytes."""
    digest = sha((at.folder / _MODEL).read_bytes())
    kept = Path(at.environment["FETCHER_STORE"], "objects/blake3", digest[:2], f"{digest[2:]}.chunks")
    before = kept.read_bytes()
    kept.unlink()
    at.ok("verify")
    assert kept.read_bytes() == before


def test_by_sha256_a_chunk_list_is_not_believed(at: Desk) -> None:
    """One that was made for damaged bytes."""
    path = at.folder / _MODEL
    good = sha(path.read_bytes())
    kept = Path(at.environment["FETCHER_STORE"], "objects/blake3", good[:2], f"{good[2:]}.chunks")
    rot(path, 5)
    kept.chmod(0o644)
    kept.write_text(str(ChunkList.of(path.read_bytes())), "ascii")
    assert at.fetcher("verify").code == 0
    assert at.fetcher("verify", "--sha256").code == 4


def test_a_sample_is_called_one(at: Desk) -> None:
    """It must not pass for a proof: what it did not read is not remembered as looked at."""
    done = at.ok("verify", "--sample", "1%")
    assert done.err == "Verified: 2 files, 33.0 MiB, a sample of 1 % is as locked.\n"
    for offset in (5, CHUNK + 5, 2 * CHUNK + 5):
        rot(at.folder / _MODEL, offset)
    assert at.fetcher("verify", "--sample", "1%").code == 4
    assert "1 damaged" in at.ok("status").out
    done = at.fetcher("verify", "--sample", "0")
    assert (done.code, done.err) == (
        2,
        "error: --sample: expected a share such as 5% (above 0, up to 100), got '0'.\n  fix: give it as --sample 5%\n",
    )


def test_progress_for_programs(at: Desk) -> None:
    """The README lists the events."""
    lines = at.ok("verify", "--progress", "json", "-q").err.splitlines()
    told = [json.loads(line) for line in lines]
    assert told[0] == {"event": "hashing-started", "files": 2, "size": _SIZE + 2}
    assert told[-1] == {"event": "hashing-done", "have": _SIZE + 2, "size": _SIZE + 2}
