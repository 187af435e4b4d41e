"""An object on its way: a preallocated file and the journal of what in it is durable.

    partial/<sha256>/data      the object's size from the start
    partial/<sha256>/journal   a line a chunk, or its beginning: `<start> <stop> <blake3> <check>`
    partial/<sha256>/claim, owner   see claim.py

A journal line is written after its bytes are durable (fdatasync) and is then made durable
itself, every 8 MiB and at the end of a chunk (16 MiB), so a kill or a power cut costs less
than a chunk of each connection; an orderly end records what is open too.  The last line
of a chunk counts, and is believed only after its bytes were read back and hashed.  Bytes
within a chunk arrive in order; chunks arrive in any order.

Not in here: where the bytes come from, and the object's final name.

Promises (tests/disk/test_partial.py):
  * nothing is published unless size and sha256 are right;
  * a byte that changed on disk between two runs costs its chunk, not the file;
  * a torn, foreign or missing journal costs bytes, never rightness;
  * sha256 of bytes that arrive in file order needs no second read.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from blake3 import blake3

from fetcher.core.digest import Sha256
from fetcher.core.download import Span
from fetcher.disk.atomic import backdate, disk_errors, write_atomic
from fetcher.disk.chunks import CHUNK, ChunkList, chunk_stop
from fetcher.disk.claim import Claim
from fetcher.errors import BusyError, IntegrityError, InterruptedRun

_PIECE = 1 << 20  # bytes; performance.md: page cache reads are fastest at 1 MiB
_RECORD_EVERY = 8 << 20  # bytes; with what waits to be hashed, a kill stays below a chunk
_FORMAT = "fetcher-partial 1"

Keep = Callable[[Path, Sha256, ChunkList], Path]
_seeking = threading.Lock()  # for systems without pwrite and preadv (Windows)
_sync_data = getattr(os, "fdatasync", os.fsync)


def never() -> bool:
    """The answer of nobody who wants to stop."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A line of the journal: these bytes have this blake3."""

    start: int
    stop: int
    blake3: str

    def __str__(self) -> str:
        text = f"{self.start} {self.stop} {self.blake3}"
        return f"{text} {_check(text)}\n"

    @classmethod
    def parse(cls, line: str, size: int) -> "_Record | None":
        """None for a line that is torn or does not fit an object of `size` bytes."""
        text, _, check = line.rpartition(" ")
        fields = text.split(" ")
        if check != _check(text) or len(fields) != 3 or not (fields[0].isdigit() and fields[1].isdigit()):
            return None
        record = cls(start=int(fields[0]), stop=int(fields[1]), blake3=fields[2])
        fits = record.start % CHUNK == 0 and record.start < record.stop <= chunk_stop(record.start, size)
        return record if fits and record.stop <= size else None


@dataclass(slots=True)
class _Chunk:
    """What is known of one chunk: how far it is filled and hashed, in bytes of the object."""

    start: int
    filled: int
    hasher: blake3
    recorded: int  # `filled` when the journal was last told


class Partial:
    """A claimed, proven partial.  Chunks may be written by several threads, each by one.

    Made by `open` only.  `close` keeps everything for the next run.
    """

    def __init__(self, folder: Path, *, sha256: Sha256, size: int, keep: Keep, claim: Claim) -> None:
        self.sha256 = sha256
        self.size = size
        self._folder = folder
        self._keep = keep
        self._claim: Claim | None = claim
        self._lock = threading.Lock()  # the dict of chunks
        self._journal_lock = threading.Lock()  # the journal and what makes it true
        self._data = -1
        self._journal = -1
        self._chunks: dict[int, _Chunk] = {}
        self._whole = hashlib.sha256()
        self._hashed = 0  # bytes of the object that `_whole` has seen, from its start

    @classmethod
    def open(cls, folder: Path, *, sha256: Sha256, size: int, keep: Keep, stop: Callable[[], bool] = never) -> Self:
        """Claim a partial's folder and prove what is in it; see `Store.partial`."""
        claim = Claim.take(folder)
        if claim is None:
            raise BusyError(
                "Another fetcher is downloading the same file.",
                facts=[f"partial: {folder}"],
                fix="wait for it to end and run the command again",
            )
        partial = cls(folder, sha256=sha256, size=size, keep=keep, claim=claim)
        try:
            with disk_errors(folder):
                partial._open_files()
                partial._recover(stop)
        except BaseException:
            partial.close()
            raise
        return partial

    @property
    def have(self) -> int:
        """Bytes that are here."""
        with self._lock:
            return sum(chunk.filled - chunk.start for chunk in self._chunks.values())

    def missing(self) -> list[Span]:
        """What is still to come, in file order; touching gaps are one span."""
        spans: list[Span] = []
        with self._lock:
            for start in range(0, self.size, CHUNK):
                chunk = self._chunks.get(start)
                first, stop = (chunk.filled if chunk else start), chunk_stop(start, self.size)
                if first == stop:
                    continue
                if spans and spans[-1].stop == first:
                    spans[-1] = Span(start=spans[-1].start, stop=stop)
                else:
                    spans.append(Span(start=first, stop=stop))
        return spans

    def write(self, offset: int, view: memoryview) -> None:
        """Write bytes to the file; they count only when `absorb` has seen them.

        Raises:
            DiskError: No space, quota, I/O error.
        """
        with disk_errors(self._folder):
            while view:
                count = _write_at(self._data, view, offset)
                offset += count
                view = view[count:]

    def absorb(self, offset: int, view: memoryview) -> None:
        """Hash bytes that were written; finished chunks become durable and are recorded.

        Args:
            offset: Where in the object they stand; within a chunk, bytes come in order.

        Raises:
            DiskError: The bytes could not be made durable.
        """
        while view:
            stop = min(chunk_stop(offset, self.size), offset + len(view))
            piece, view = view[: stop - offset], view[stop - offset :]
            self._absorb_piece(offset, piece)
            offset = stop

    def save(self) -> None:
        """Make everything that was absorbed durable, open chunks included.

        Raises:
            DiskError: It could not be made durable.
        """
        with self._lock:
            open_chunks = [c for c in self._chunks.values() if c.filled > c.recorded]
        self._record(open_chunks)

    def restart(self) -> None:
        """Forget all bytes: they were proven wrong as a whole."""
        with self._lock, self._journal_lock, disk_errors(self._folder):
            self._chunks.clear()
            self._whole, self._hashed = hashlib.sha256(), 0
            self._new_journal([])

    def publish(self) -> Path:
        """Prove the whole, give it its final name and remove the partial.

        Returns:
            The object's path.

        Raises:
            IntegrityError: The sha256 is another; nothing is published, the bytes are forgotten.
            DiskError: It could not be made durable or renamed.
        """
        if self.missing():
            raise ValueError("publish before all bytes are here")
        with disk_errors(self._folder):
            self._hash_rest()
            found = Sha256(self._whole.hexdigest())
            if found != self.sha256:
                self.restart()
                raise wrong_bytes(self.sha256, found)
            if self._claim is None or not self._claim.is_held():
                raise BusyError(
                    "Another fetcher has taken over this download.",
                    facts=[f"partial: {self._folder}"],
                    fix="run the command again",
                )
            return self._publish_proven()

    def discard(self) -> None:
        """Remove the partial and all of its bytes."""
        self._close_files()
        self._remove_files()

    def close(self) -> None:
        """Save what is here and give up the claim; may be called twice.

        Raises:
            DiskError: What is here could not be made durable; the claim is given up all the same.
        """
        try:
            if self._journal >= 0:
                self.save()
        finally:
            self._close_files()
            if self._claim is not None:
                self._claim.release()
                self._claim = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # opening and proving

    def _open_files(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._data = os.open(self._folder / "data", flags, 0o600)
        if os.fstat(self._data).st_size != self.size:
            (self._folder / "journal").unlink(missing_ok=True)
            os.ftruncate(self._data, 0)
            _preallocate(self._data, self.size)

    def _recover(self, stop: Callable[[], bool]) -> None:
        kept = []
        for record in _read_journal(self._folder / "journal", self.sha256, self.size):
            if self._prove(record, stop):
                kept.append(record)
        self._new_journal(kept)

    def _prove(self, record: _Record, stop: Callable[[], bool]) -> bool:
        """Read a recorded chunk back; feeds the whole's sha256 in the same pass."""
        hasher, whole = blake3(), self._whole.copy()
        for piece in self._read(record.start, record.stop):
            if stop():
                raise InterruptedRun("Interrupted while the bytes on disk were being proven.")
            hasher.update(piece)
            if self._hashed == record.start:
                whole.update(piece)
        if hasher.hexdigest() != record.blake3:
            return False
        if self._hashed == record.start:
            self._whole, self._hashed = whole, record.stop
        self._chunks[record.start] = _Chunk(record.start, record.stop, hasher, recorded=record.stop)
        return True

    def _read(self, start: int, stop: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(_PIECE, stop - start)))
        while start < stop:
            count = _read_at(self._data, buffer[: stop - start], start)
            if count == 0:
                return  # cut short by somebody else: the hash will tell
            yield buffer[:count]
            start += count

    def _new_journal(self, records: list[_Record]) -> None:
        path = self._folder / "journal"
        if self._journal >= 0:
            os.close(self._journal)
            self._journal = -1
        text = "".join([f"{_FORMAT} {self.sha256} {self.size}\n", *map(str, records)])
        write_atomic(path, text.encode("ascii"))
        self._journal = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))

    # hashing and recording

    def _absorb_piece(self, offset: int, piece: memoryview) -> None:
        start = offset - offset % CHUNK
        with self._lock:
            chunk = self._chunks.setdefault(start, _Chunk(start, start, blake3(), recorded=start))
        if chunk.filled != offset:
            raise ValueError(f"bytes at {offset} do not follow those at {chunk.filled}")
        chunk.hasher.update(piece)
        if self._hashed == offset:  # only the writer of this chunk can be at the front
            self._whole.update(piece)
            self._hashed += len(piece)
        chunk.filled += len(piece)
        is_full = chunk.filled == chunk_stop(start, self.size)
        if is_full or chunk.filled - chunk.recorded >= _RECORD_EVERY:
            self._record([chunk])

    def _record(self, chunks: list[_Chunk]) -> None:
        if not chunks:
            return
        records = [_Record(start=c.start, stop=c.filled, blake3=c.hasher.hexdigest()) for c in chunks]
        with self._journal_lock, disk_errors(self._folder):
            _sync_data(self._data)
            _write_all(self._journal, "".join(map(str, records)).encode("ascii"))
            _sync_data(self._journal)
        for chunk in chunks:
            chunk.recorded = chunk.filled

    def _hash_rest(self) -> None:
        """Hash what arrived out of order (read back from the page cache)."""
        for piece in self._read(self._hashed, self.size):
            self._whole.update(piece)
            self._hashed += len(piece)

    # the end

    def _publish_proven(self) -> Path:
        chunks = ChunkList(
            size=self.size, digests=tuple(self._chunks[start].hasher.hexdigest() for start in sorted(self._chunks))
        )
        backdate(self._data)
        os.fsync(self._data)
        self._close_files()
        data = self._folder / "data"
        data.chmod(0o444)
        path = self._keep(data, self.sha256, chunks)
        self._remove_files()
        return path

    def _remove_files(self) -> None:
        for name in ("data", "journal"):
            (self._folder / name).unlink(missing_ok=True)
        if self._claim is not None:
            self._claim.end()
            self._claim = None

    def _close_files(self) -> None:
        for descriptor in (self._data, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._journal = -1


def wrong_bytes(locked: Sha256, received: Sha256) -> IntegrityError:
    """The error of a whole with another sha256."""
    return IntegrityError(
        "The bytes received are not those of the lock.",
        facts=[f"locked: sha256 {locked}", f"received: sha256 {received}"],
    )


def recorded_size(folder: Path) -> int:
    """Bytes that a partial's journal records, unproven; 0 without one."""
    path = folder / "journal"
    try:
        head = path.read_text(encoding="ascii", errors="replace").partition("\n")[0].split(" ")
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if len(head) != 4 or not head[3].isdigit():
        return 0
    return sum(record.stop - record.start for record in _read_journal(path, Sha256(folder.name), int(head[3])))


def _read_journal(path: Path, sha256: Sha256, size: int) -> list[_Record]:
    """The last good record of each chunk, in file order; none from a journal of something else."""
    try:
        head, *lines = path.read_text(encoding="ascii", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    if head != f"{_FORMAT} {sha256} {size}":
        return []
    found: dict[int, _Record] = {}
    for line in lines:
        record = _Record.parse(line, size)
        if record is not None:
            found[record.start] = record
    return [found[start] for start in sorted(found)]


def _check(text: str) -> str:
    return str(blake3(text.encode("ascii", errors="replace")).hexdigest()[:8])


def _preallocate(descriptor: int, size: int) -> None:
    """Reserve the room now, so that a full disk is found before the first byte."""
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        piece = os.read(descriptor, len(buffer))
    buffer[: len(piece)] = piece
    return len(piece)


def _write_at(descriptor: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, view, offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, view)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
