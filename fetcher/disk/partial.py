"""An object on its way: a preallocated file and the journal of what in it is durable.

    partial/<name>/data-<writer>    the object's size from the start; each writer has a file of its own
    partial/<name>/journal     a line a piece: `<start> <stop> <blake3> <check>`
    partial/<name>/claim, owner     see claim.py

The name is the object's sha256, or, while nobody knows that, what `Expected.name` makes up.

Bytes arrive in segments of one chunk each (segments.py), written by one thread in order.  A
journal line is written after its bytes are durable (fdatasync) and is then made durable
itself, every 8 MiB of a segment and at its end, so a kill or a power cut costs less than a
chunk of each connection; an orderly end records what is open too.  A line is believed only
after its bytes were read back and hashed.

The whole's sha256 follows the *front*: the first byte that it has not seen.  `hash_hot` takes
bytes that are still in memory, `hash_next` reads back what came out of order.

Not in here: which bytes are here (segments.py), where they come from, which thread hashes (sink.py), the final name.

Promises (tests/disk/test_partial.py):
  * nothing is published unless size and sha256 are right;
  * a byte that changed on disk between two runs costs its chunk, not the file;
  * a torn, foreign or missing journal costs bytes, never rightness;
  * no byte is written or counted twice, whoever writes;
  * two writers, where claims are worth nothing, never write one file and never publish each other's.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from fetcher.core.digest import Expected, Sha256
from fetcher.core.download import Span
from fetcher.core.interfaces import Closing
from fetcher.disk.adopt import adopt, own_data
from fetcher.disk.atomic import backdate, disk_errors
from fetcher.disk.chunks import ChunkList
from fetcher.disk.claim import Claim, holder_facts
from fetcher.disk.datafile import DataFile, Gauge, page_buffer
from fetcher.disk.hashing import HASHING, Hasher, Hashing, Whole
from fetcher.disk.journal import Journal, Record, read_journal
from fetcher.disk.segments import RECORD_EVERY, Segment, Segments
from fetcher.disk.share import copy_range
from fetcher.disk.writer import sweep
from fetcher.errors import BusyError, InterruptedRun

_PIECE = 1 << 20  # bytes; performance.md: page cache reads are fastest at 1 MiB

Keep = Callable[[Path, Sha256, ChunkList], object]


def never() -> bool:
    """The answer of nobody who wants to stop."""
    return False


class TakenOver(BusyError):
    """Another fetcher took this one for dead and goes on in its place."""


class Partial(Closing):
    """A claimed, proven partial.  Segments may be written by several threads, each by one.

    Made by `open` only.  `close` keeps everything for the next run.
    """

    def __init__(
        self,
        folder: Path,
        *,
        expected: Expected,
        keep: Keep,
        claim: Claim,
        gauge: Gauge,
        hashing: Hashing = HASHING,
    ) -> None:
        self.size = expected.size
        self._expected = expected
        self._folder = folder
        self._keep = keep
        self._claim: Claim | None = claim
        self._hashing = hashing
        self._front_lock = threading.Lock()  # the whole's hash
        self._data_path = _adopted(folder, expected, is_sure=claim.is_sure)
        self._data = DataFile(self._data_path, gauge)
        self._journal: Journal | None = None
        self._segments = Segments(self.size, hashing, self._hash)
        self._whole = Whole.of(expected, hashing)
        self._front = 0  # first byte of the object that `_whole` has not seen
        self._read_back = memoryview(b"")  # buffer of `hash_next`, made when it is needed

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        expected: Expected,
        keep: Keep,
        gauge: Gauge | None = None,
        stop: Callable[[], bool] = never,
        hashing: Hashing = HASHING,
    ) -> Self:
        """Claim a partial's folder and prove what is in it; see `Store.partial`."""
        claim = Claim.take(folder)
        if claim is None:
            raise BusyError(
                "Another fetcher is downloading the same file.",
                facts=[*holder_facts(folder), f"partial: {folder}"],
                fix="wait for it to end and run the command again",
            )
        with ExitStack() as undo:
            undo.callback(claim.release)
            with disk_errors(folder):
                partial = cls(
                    folder,
                    expected=expected,
                    keep=keep,
                    claim=claim,
                    gauge=gauge or Gauge(),
                    hashing=hashing,
                )
            undo.pop_all()
        try:
            with disk_errors(folder):
                partial._allocate()
                partial._recover(stop)
        except BaseException:
            partial.close()
            raise
        return partial

    @property
    def have(self) -> int:
        """Bytes that are here."""
        return self._segments.have

    @property
    def unrecorded(self) -> int:
        """Bytes that are here and that a kill would cost."""
        return self._segments.unrecorded

    def missing(self) -> list[Span]:
        """What is still to come, in file order; touching gaps are one span."""
        return self._segments.missing()

    def write(self, offset: int, view: memoryview) -> None:
        """Write bytes to the file; they count only when `absorb` has seen them.

        Raises:
            DiskError: No space, quota, I/O error.
        """
        with disk_errors(self._folder):
            self._data.write(offset, view)

    def absorb(self, offset: int, view: memoryview) -> bool:
        """Count bytes that were written, and hash them for the journal.

        Args:
            offset: Where in the object they stand.

        Returns:
            Whether `record` has something to do.

        Raises:
            ValueError: Some of them are here already.
            DiskError: A chunk cannot be read back.
        """
        return self._segments.absorb(offset, view)

    def take(self, source: int, span: Span, digest: str) -> bool:
        """Copy a chunk of another open file; it counts only if it has this blake3.

        Args:
            span: A whole chunk of which nothing is here.

        Returns:
            Whether it counts.

        Raises:
            DiskError: No space, quota.
        """
        try:
            copy_range(source, self._data.descriptor, span.start, span.stop)
        except OSError as error:
            if error.errno == errno.EIO:
                return False  # a disk that cannot read it
            with disk_errors(self._folder):
                raise
        hasher = self._hash(span.start, span.stop)
        if hasher.hexdigest() != digest:
            return False
        self._segments.add(Segment(span.start, span.stop, hasher, recorded=span.start))
        return True

    def record(self) -> None:
        """Make segments durable that are complete or have grown by 8 MiB, and record them.

        Raises:
            DiskError: It could not be made durable.
        """
        self._record(RECORD_EVERY)

    def save(self) -> None:
        """Make everything that was absorbed durable, open segments included.

        Raises:
            DiskError: It could not be made durable.
        """
        self._record(1)

    @property
    def front(self) -> int:
        """First byte of the object that the whole's hash has not seen."""
        return self._front

    def can_hash(self) -> bool:
        """Whether bytes stand at the front that `hash_next` would read."""
        return self._segments.stop_of(self._front) > self._front

    def hash_hot(self, offset: int, view: memoryview) -> bool:
        """Let the whole's hash see bytes at its front; False if they do not stand there."""
        if self._front != offset:
            return False  # without waiting for whoever is hashing
        with self._front_lock:
            if self._front != offset:
                return False
            self._whole.update(view)
            self._front += len(view)
        return True

    def hash_next(self) -> int:
        """Read back what stands at the front of the whole's hash, 1 MiB at most; returns its size.

        Raises:
            DiskError: It cannot be read.
        """
        with self._front_lock, disk_errors(self._folder):
            stop = min(self._segments.stop_of(self._front), self._front + _PIECE - self._front % _PIECE)
            if stop == self._front:
                return 0
            if not self._read_back:
                self._read_back = page_buffer(_PIECE)
            count = self._data.read(self._front, self._read_back[: stop - self._front])
            self._whole.update(self._read_back[:count])
            self._front += count
        return count

    def hash_free(self) -> None:
        """Hash all that can be, unless another thread is at it."""
        while not self._front_lock.locked() and self.hash_next():
            pass

    def restart(self) -> None:
        """Forget all bytes: they were proven wrong as a whole."""
        self.forget([Span(start=0, stop=self.size)])

    def forget(self, spans: Iterable[Span]) -> list[Span]:
        """Forget all segments that share a byte with one of the spans; nobody may be writing.

        Returns:
            What was forgotten.
        """
        with self._front_lock, disk_errors(self._folder):
            self._data.sync()
            self._whole, self._front = Whole.of(self._expected, self._hashing), 0
            return self._segments.forget(spans, self._new_journal)

    def publish(self) -> Sha256:
        """Prove the whole, give it its final name and remove the partial.

        Returns:
            The object's sha256.

        Raises:
            IntegrityError: It is not what was expected; nothing is published, and the caller forgets
                what it holds for wrong.
            DiskError: It could not be made durable or renamed.
        """
        if self.have < self.size:
            raise ValueError("publish before all bytes are here")
        while self.hash_next():
            pass
        with disk_errors(self._folder):
            found = self._whole.proven()
            if self._claim is None or not self._claim.is_held():
                raise self._taken_over()
            self._publish_here(found)
        return found

    def _taken_over(self) -> TakenOver:
        return TakenOver(
            "Another fetcher has taken over this download.",
            facts=[*holder_facts(self._folder), f"partial: {self._folder}"],
            fix="run the command again",
        )

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
            if self._journal is not None:
                self.save()
        finally:
            self._close_files()
            if self._claim is not None:
                self._claim.release()
                self._claim = None

    # opening and proving

    def _allocate(self) -> None:
        if self._data.size() != self.size:
            (self._folder / "journal").unlink(missing_ok=True)
            self._data.allocate(self.size)

    def _recover(self, stop: Callable[[], bool]) -> None:
        kept = []
        for record in read_journal(self._folder / "journal", self._expected.name, self.size):
            if self._prove(record, stop):
                kept.append(record)
        self._new_journal(kept)

    def _prove(self, record: Record, stop: Callable[[], bool]) -> bool:
        """Read recorded bytes back; feeds the whole's sha256 in the same pass."""
        hasher, whole = self._hashing.piece(), None
        if self._front == record.start:
            whole = self._whole.copy()
        for piece in self._read(record.start, record.stop):
            if stop():
                raise InterruptedRun("Interrupted while the bytes on disk were being proven.")
            hasher.update(piece)
            if whole is not None:
                whole.update(piece)
        if hasher.hexdigest() != record.blake3:
            return False
        if whole is not None:
            self._whole, self._front = whole, record.stop
        self._segments.add(Segment(record.start, record.stop, hasher, recorded=record.stop))
        return True

    def _hash(self, start: int, stop: int) -> Hasher:
        """Hash bytes that are in the file (read back from the page cache)."""
        hasher = self._hashing.piece()
        with disk_errors(self._folder):
            for piece in self._read(start, stop):
                hasher.update(piece)
        return hasher

    def _read(self, start: int, stop: int) -> Iterator[memoryview]:
        buffer = page_buffer(min(_PIECE, stop - start))
        while start < stop:
            count = self._data.read(start, buffer[: stop - start])
            if count == 0:
                return  # cut short by somebody else: the hash will tell
            yield buffer[:count]
            start += count

    def _new_journal(self, records: list[Record]) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._journal = Journal(self._folder / "journal", self._expected.name, self.size, records)

    def _record(self, least: int) -> None:
        with disk_errors(self._folder):
            self._segments.record(least, self._append)

    def _append(self, records: list[Record]) -> None:
        self._data.sync()
        if self._journal is not None:
            self._journal.append(records)

    # the end

    def _publish_here(self, sha256: Sha256) -> None:
        try:
            self._publish_proven(sha256)
        except FileNotFoundError:  # whoever took over has removed our file's name
            raise self._taken_over() from None

    def _publish_proven(self, sha256: Sha256) -> None:
        chunks = ChunkList(size=self.size, digests=self._segments.digests())
        backdate(self._data.descriptor)
        os.fsync(self._data.descriptor)
        self._close_files()
        self._data_path.chmod(0o444)
        self._keep(self._data_path, sha256, chunks)
        self._remove_files()

    def _remove_files(self) -> None:
        sweep(self._folder)
        for path in (self._data_path, self._folder / "journal"):
            path.unlink(missing_ok=True)
        if self._claim is not None:
            self._claim.end()
            self._claim = None

    def _close_files(self) -> None:
        self._data.close()
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _adopted(folder: Path, expected: Expected, *, is_sure: bool) -> Path:
    """The data file of this writer, with what the one before it left."""
    own = own_data(folder)
    records = read_journal(folder / "journal", expected.name, expected.size)
    spans = [Span(start=record.start, stop=record.stop) for record in records]
    adopt(folder, own, size=expected.size, spans=spans, is_sure=is_sure)
    return own
