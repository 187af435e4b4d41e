"""The store on a real disk."""

import hashlib
import multiprocessing
import os
import random
from pathlib import Path

import pytest
from blake3 import blake3

from fetcher.core.chunk import CHUNK
from fetcher.core.digest import Sha256
from fetcher.disk.chunks import ChunkList
from fetcher.disk.store import Store
from fetcher.errors import DiskError

MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def sha(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def add_many(root: Path) -> list[str]:
    store = Store(root)
    return [store.add_bytes(b"%d" % index * 1000) for index in range(60)]


def test_an_object_is_read_only_and_named_by_its_hash(store: Store) -> None:
    """`sha256sum` proves the store, and a program that opens an object for writing is refused."""
    sha256 = store.add_bytes(b"hello")
    path = store.object_path(sha256)
    assert path.relative_to(store.root) == Path("objects/sha256/2c") / sha256[2:]
    assert path.read_bytes() == b"hello"
    assert path.stat().st_mode & 0o777 == 0o444
    assert store.has(sha256, 5)
    assert store.prove(sha256)


def test_nothing_is_made_by_looking(store: Store) -> None:
    """`status` on a machine without a store must not leave one."""
    assert not store.has(sha(b"x"), 1)
    assert not store.prove(sha(b"x"))
    assert store.partial_size(sha(b"x")) == store.partial_room(sha(b"x")) == 0
    assert store.chunks(sha(b"x")) is None
    assert store.free_bytes() > 0
    store.discard(sha(b"x"))
    assert not store.root.exists()


def test_another_size_a_folder_or_a_symlink_is_no_object(store: Store, tmp_path: Path) -> None:
    """A look by size catches truncation; a symlink could point at the user's own file."""
    sha256 = store.add_bytes(b"hello")
    assert not store.has(sha256, 6)
    path = store.object_path(sha256)
    path.unlink()
    (tmp_path / "real").write_bytes(b"hello")
    path.symlink_to(tmp_path / "real")
    assert not store.has(sha256, 5)
    path.unlink()
    path.mkdir()
    assert not store.has(sha256, path.lstat().st_size)


def test_a_damaged_object_is_found_and_can_be_discarded(store: Store) -> None:
    """Same size, other bytes: only hashing tells."""
    sha256 = store.add_bytes(b"hello")
    path = store.object_path(sha256)
    path.chmod(0o644)
    path.write_bytes(b"hellO")
    assert store.has(sha256, 5)
    assert not store.prove(sha256)
    store.discard(sha256)
    assert not store.has(sha256, 5)
    assert store.add_bytes(b"hello") == sha256
    assert store.prove(sha256)


def test_adding_again_changes_nothing(store: Store) -> None:
    """A target may share the object's bytes; a new file under the name would end that."""
    sha256 = store.add_bytes(b"hello")
    before = store.object_path(sha256).stat()
    store.add_bytes(b"hello")
    after = store.object_path(sha256).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_processes_that_add_at_once_do_not_disturb_each_other(store: Store) -> None:
    """An empty store, four processes, the same objects; no litter afterwards."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        names = pool.map(add_many, [store.root] * 4)
    assert len({tuple(each) for each in names}) == 1
    assert all(store.prove(Sha256(name)) for name in names[0])
    assert not list(store.root.rglob(".*"))


def test_an_object_of_a_mebibyte_keeps_the_blake3_of_its_chunks(store: Store) -> None:
    """What `verify` compares; a small object needs none, and so costs one file, not two."""
    data = random.Random(1).randbytes(CHUNK + 5)
    sha256 = store.add_bytes(data)
    chunks = store.chunks(sha256)
    assert chunks is not None
    assert chunks.size == len(data)
    assert chunks.digests == (blake3(data[:CHUNK]).hexdigest(), blake3(data[CHUNK:]).hexdigest())
    assert store.chunks_path(sha256).read_text() == (
        f"fetcher-chunks 1 {len(data)} {CHUNK}\n{chunks.digests[0]}\n{chunks.digests[1]}\n"
    )
    assert store.chunks(store.add_bytes(data[: MIB - 1])) is None
    store.discard(sha256)
    assert not store.chunks_path(sha256).exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fetcher-chunks 2 5 16777216\n" + "0" * 64 + "\n",
        "fetcher-chunks 1 5 4096\n" + "0" * 64 + "\n",
        "fetcher-chunks 1 5 16777216\n",
        "fetcher-chunks 1 5 16777216\n" + "0" * 64,
        "fetcher-chunks 1 5 16777216\n" + "0" * 63 + "\n",
        "fetcher-chunks 1 x 16777216\n",
    ],
)
def test_a_chunk_list_that_is_torn_or_of_another_version_is_none(store: Store, text: str) -> None:
    """Believed, it would call a good object damaged."""
    with pytest.raises(ValueError):
        ChunkList.parse(text)
    path = store.chunks_path(sha(b"x"))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert store.chunks(sha(b"x")) is None


def test_a_chunk_list_reads_what_it_wrote() -> None:
    """Round trip."""
    chunks = ChunkList(size=2 * CHUNK, digests=("a" * 64, "b" * 64))
    assert ChunkList.parse(str(chunks)) == chunks


def test_a_store_below_a_file_is_an_error_of_the_disk_or_the_system(tmp_path: Path) -> None:
    """FETCHER_STORE that points below a file must not end in a wrong place."""
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file" / "store")
    assert not store.has(sha(b"x"), 1)
    with pytest.raises((DiskError, OSError)):
        store.add_bytes(b"x")
    assert os.listdir(tmp_path) == ["file"]
