"""The content-addressed folder shared by all projects of a user.

    objects/sha256/ab/cdef…          the bytes; mode 0444; `sha256sum` proves them
    objects/blake3/ab/cdef….chunks   blake3 of each 16 MiB, for objects of 1 MiB and more
    partial/<name>/                  an object on its way (partial.py)

Not in here: receiving bytes (transfer.py), placing them (place.py).

Promises (tests/disk/test_store.py):
  * an object's name appears with all of its bytes, durable, or not at all;
  * an object is never written again: another writer of the same bytes changes nothing;
  * folders are made when they are needed, by any number of processes at once.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from fetcher.core.digest import Expected, GitBlob, Sha256
from fetcher.disk.adopt import data_room
from fetcher.disk.atomic import disk_errors, make_folder, rename_durably, write_atomic
from fetcher.disk.chunks import ChunkList
from fetcher.disk.datafile import Gauge
from fetcher.disk.hashing import HASHING, Hashing, git_blob_of, sha256_of
from fetcher.disk.journal import recorded_size
from fetcher.disk.partial import Partial, never
from fetcher.disk.writer import sweep

SMALL_BELOW = 1 << 20  # bytes; such an object has no chunk list: hashing it costs nothing


class Store:
    """Objects by their sha256.  Used by several threads and processes at once.

    Args:
        root: Its folder; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = os.fspath(root)
        self._gauge = Gauge()
        self._objects = os.fspath(root / "objects" / "sha256")  # strings: ten times as fast as joining paths

    def object_path(self, sha256: Sha256) -> Path:
        """Where an object is, or would be."""
        return Path(self.object_name(sha256))

    def object_name(self, sha256: Sha256) -> str:
        """The same as a string."""
        return f"{self._objects}/{sha256[:2]}/{sha256[2:]}"

    def chunks_path(self, sha256: Sha256) -> Path:
        """Where an object's chunk list is, or would be."""
        return self.root / "objects" / "blake3" / sha256[:2] / f"{sha256[2:]}.chunks"

    def has(self, sha256: Sha256, size: int) -> bool:
        """Whether a regular file of that size (bytes) stands under the object's name."""
        try:
            found = os.lstat(self.object_name(sha256))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == size

    def prove(self, sha256: Sha256) -> bool:
        """Hash the object; False if it is damaged or absent.

        Raises:
            DiskError: It cannot be read.
        """
        path = self.object_path(sha256)
        try:
            with disk_errors(path):
                return sha256_of(path) == sha256
        except FileNotFoundError:
            return False

    def holds_blob(self, sha256: Sha256, size: int, git_blob: GitBlob) -> bool:
        """Whether an object is here and is that git blob."""
        try:
            return self.has(sha256, size) and git_blob_of(self.object_path(sha256), size) == git_blob
        except OSError:
            return False

    def chunks(self, sha256: Sha256) -> ChunkList | None:
        """The blake3 of each 16 MiB of an object, if the store keeps it."""
        try:
            return ChunkList.parse(self.chunks_path(sha256).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def discard(self, sha256: Sha256) -> None:
        """Remove an object and its chunk list; files that share its bytes stay.

        Raises:
            DiskError: It may not be removed.
        """
        for path in (
            self.chunks_path(sha256),
            self.object_path(sha256),
        ):  # killed in between, the object is found again
            with disk_errors(path), contextlib.suppress(FileNotFoundError):
                path.unlink()

    def drop(self, sha256: Sha256) -> None:
        """Remove an object and keep its chunk list, for files elsewhere that hold the same bytes.

        Raises:
            DiskError: It may not be removed.
        """
        path = self.object_path(sha256)
        with disk_errors(path), contextlib.suppress(FileNotFoundError):
            path.unlink()

    def keep_chunks(self, sha256: Sha256, chunks: ChunkList) -> None:
        """Keep, or replace, the chunk list of bytes whose sha256 was proven.

        Raises:
            DiskError: No space, read-only, no permission.
        """
        self._write_chunks(sha256, chunks)

    def add_bytes(self, data: bytes) -> Sha256:
        """Keep bytes that are in memory; returns their name.

        Raises:
            DiskError: No space, read-only, no permission.
        """
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        if self.has(sha256, len(data)):
            return sha256
        if len(data) >= SMALL_BELOW:
            self._write_chunks(sha256, ChunkList.of(data))
        path = self.object_path(sha256)
        make_folder(path.parent)
        write_atomic(path, data, mode=0o444)
        return sha256

    def partial(self, expected: Expected, *, stop: Callable[[], bool] = never, hashing: Hashing = HASHING) -> Partial:
        """Open what is there of an object, prove it, and claim the right to go on.

        Args:
            stop: Asked now and then while the bytes on disk are proven.

        Raises:
            BusyError: Another one is writing it.
            InterruptedRun: `stop` said so.
            DiskError: No space, read-only, no permission.
        """
        folder = self.partial_folder(expected.name)
        return Partial.open(folder, expected=expected, keep=self.keep, gauge=self._gauge, stop=stop, hashing=hashing)

    def partial_folder(self, name: Sha256) -> Path:
        """Where an object is while it is on its way; see `Expected.name`."""
        return self.root / "partial" / name

    def partial_size(self, name: Sha256) -> int:
        """Bytes that the journal of a partial records; not proven yet."""
        return recorded_size(self.partial_folder(name))

    def partial_room(self, name: Sha256) -> int:
        """Bytes of disk that a partial takes already (it is preallocated)."""
        return data_room(self.partial_folder(name))

    def free_bytes(self) -> int:
        """Bytes that this user may still write to the store's file system."""
        return shutil.disk_usage(self._existing()).free

    def device(self) -> int:
        """The file system that the store is on, or would be made on."""
        return self._existing().stat().st_dev

    def _existing(self) -> Path:
        path = Path(os.path.abspath(self.root))
        while not path.is_dir():
            path = path.parent
        return path

    def keep(self, data: Path, sha256: Sha256, chunks: ChunkList) -> None:
        """Give a finished file, proven and durable, its name as an object; it must be on the same file system.

        Raises:
            OSError: It cannot be renamed.
        """
        path = self.object_path(sha256)
        if self.has(sha256, chunks.size):
            return  # another writer was first; its object is shared already
        if chunks.size >= SMALL_BELOW:
            self._write_chunks(sha256, chunks)
        make_folder(path.parent)
        sweep(path.parent)
        rename_durably(data, path)

    def _write_chunks(self, sha256: Sha256, chunks: ChunkList) -> None:
        path = self.chunks_path(sha256)
        make_folder(path.parent)
        write_atomic(path, str(chunks).encode("ascii"), mode=0o444)
