"""Which bytes of an object are here, and what they hash to.

A *segment* is a run of bytes within one chunk (16 MiB) that came in order, from one thread;
segments come in any order.  One that is *recorded* would outlive a kill.

Not in here: files; what reads them and writes records is handed in (partial.py).

Promises (tests/disk/test_partial.py):
  * no byte is counted twice, whoever absorbs;
  * a chunk that came in several segments is one, with one blake3, when it is whole.
"""

import threading
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fetcher.core.chunk import CHUNK, chunk_stop
from fetcher.core.download import Span
from fetcher.disk.hashing import Hasher, Hashing
from fetcher.disk.journal import Record

RECORD_EVERY = 8 << 20  # bytes; with what waits to be hashed, a kill stays below a chunk

Keep = Callable[[list[Record]], object]


@dataclass(slots=True, eq=False)
class Segment:
    """Bytes of one chunk that came in order, from `start` to `stop` in the object."""

    start: int
    stop: int
    hasher: Hasher
    recorded: int  # `stop` when the journal was last told
    lock: threading.Lock = field(default_factory=threading.Lock)  # `stop` and `hasher` agree

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start

    def record(self) -> Record:
        """What the journal is to say of it; nobody may be absorbing."""
        return Record(start=self.start, stop=self.stop, blake3=self.hasher.hexdigest())


class Segments:
    """The segments of one object.  Absorbed by several threads, each segment by one.

    Args:
        size: Of the object, in bytes.
        hashing: Makes the hashers of segments.
        read_back: Hashes bytes that are here, from one offset to another.
    """

    def __init__(self, size: int, hashing: Hashing, read_back: Callable[[int, int], Hasher]) -> None:
        self._size = size
        self._hashing = hashing
        self._read_back = read_back
        self._lock = threading.Lock()  # everything below
        self._record_lock = threading.Lock()  # what is recorded, and what is said to be
        self._starts: list[int] = []  # sorted
        self._segments: dict[int, Segment] = {}  # by start
        self._dirty: set[Segment] = set()  # have grown since they were recorded
        self._chunk_have: dict[int, int] = {}  # bytes here, by start of the chunk
        self._have = 0
        self._unrecorded = 0

    @property
    def have(self) -> int:
        """Bytes that are here."""
        return self._have

    @property
    def unrecorded(self) -> int:
        """Bytes that are here and not recorded."""
        return self._unrecorded

    def missing(self) -> list[Span]:
        """What is still to come, in file order; touching gaps are one span."""
        spans: list[Span] = []
        at = 0
        with self._lock:
            for start in self._starts:
                if start > at:
                    spans.append(Span(start=at, stop=start))
                at = self._segments[start].stop
        if at < self._size:
            spans.append(Span(start=at, stop=self._size))
        return spans

    def stop_of(self, offset: int) -> int:
        """How far the bytes from `offset` on are here, within one segment; `offset` if not at all."""
        with self._lock:
            index = bisect_right(self._starts, offset) - 1
            return max(offset, self._segments[self._starts[index]].stop) if index >= 0 else offset

    def digests(self) -> tuple[str, ...]:
        """The blake3 of each segment, in file order."""
        return tuple(self._segments[start].hasher.hexdigest() for start in self._starts)

    def add(self, segment: Segment) -> None:
        """Take a segment in as a whole.

        Raises:
            ValueError: Some of its bytes are here already.
        """
        with self._lock:
            self._check_free(segment.start, segment.stop)
            self._add(segment)

    def absorb(self, offset: int, view: memoryview) -> bool:
        """Count bytes and hash them; returns whether `record` has something to do.

        Raises:
            ValueError: Some of them are here already.
            DiskError: A chunk cannot be read back.
        """
        is_due = False
        while view:
            stop = min(chunk_stop(offset, self._size), offset + len(view))
            piece, view = view[: stop - offset], view[stop - offset :]
            is_due = self._absorb_piece(offset, piece) or is_due
            offset = stop
        return is_due

    def record(self, least: int, keep: Keep) -> None:
        """Record the segments that have grown by `least` bytes, or are full.

        Args:
            keep: Makes their bytes durable, then their records; not called if there is none.
        """
        with self._record_lock:
            with self._lock:
                due = [segment for segment in self._dirty if self._is_due(segment, least)]
            if not due:
                return
            records = []
            for segment in due:
                with segment.lock:
                    records.append(segment.record())
            keep(records)
            with self._lock:
                for segment, record in zip(due, records, strict=True):
                    self._unrecorded -= record.stop - segment.recorded
                    segment.recorded = record.stop
                    if segment.stop == record.stop:
                        self._dirty.discard(segment)

    def forget(self, wrong: Iterable[Span], keep: Keep) -> list[Span]:
        """Forget all segments that share a byte with one of the spans; nobody may be absorbing.

        Args:
            keep: Records the others, whose bytes are durable, and nothing else.

        Returns:
            What was forgotten.
        """
        spans = list(wrong)
        with self._record_lock, self._lock:
            kept: list[Segment] = []
            gone: list[Span] = []
            for start in self._starts:
                segment = self._segments[start]
                if any(span.start < segment.stop and start < span.stop for span in spans):
                    gone.append(Span(start=start, stop=segment.stop))
                else:
                    segment.recorded = segment.stop
                    kept.append(segment)
            self._clear()
            for segment in kept:
                self._add(segment)
            keep([segment.record() for segment in kept])
        return gone

    def _clear(self) -> None:
        self._starts.clear()
        self._segments.clear()
        self._dirty.clear()
        self._chunk_have.clear()
        self._have = self._unrecorded = 0

    def _add(self, segment: Segment) -> None:
        insort(self._starts, segment.start)
        self._segments[segment.start] = segment
        chunk = segment.start - segment.start % CHUNK
        self._chunk_have[chunk] = self._chunk_have.get(chunk, 0) + segment.size
        self._have += segment.size
        if segment.recorded < segment.stop:
            self._dirty.add(segment)
            self._unrecorded += segment.stop - segment.recorded

    def _absorb_piece(self, offset: int, piece: memoryview) -> bool:
        chunk = offset - offset % CHUNK
        with self._lock:
            segment = self._segment_for(offset, offset + len(piece))
        with segment.lock:
            segment.hasher.update(piece)
            with self._lock:
                segment.stop += len(piece)
                self._dirty.add(segment)
                self._chunk_have[chunk] += len(piece)
                self._have += len(piece)
                self._unrecorded += len(piece)
                is_full = self._chunk_have[chunk] == chunk_stop(chunk, self._size) - chunk
        if is_full and segment.size < self._chunk_have[chunk]:
            self._merge(chunk)
        return is_full or segment.stop - segment.recorded >= RECORD_EVERY

    def _segment_for(self, start: int, stop: int) -> Segment:
        """The segment that these bytes continue, or a new one."""
        self._check_free(start, stop)
        index = bisect_right(self._starts, start)
        before = self._segments[self._starts[index - 1]] if index else None
        if before is not None and before.stop == start and before.start // CHUNK == start // CHUNK:
            return before
        segment = Segment(start, start, self._hashing.piece(), recorded=start)
        self._add(segment)
        return segment

    def _check_free(self, start: int, stop: int) -> None:
        index = bisect_right(self._starts, start)
        before = self._segments[self._starts[index - 1]].stop if index else 0
        after = self._starts[index] if index < len(self._starts) else self._size
        if before > start or after < stop:
            raise ValueError(f"bytes from {start} to {stop} are here already")

    def _merge(self, chunk: int) -> None:
        """Make one segment of a chunk that came in several."""
        stop = chunk_stop(chunk, self._size)
        hasher = self._read_back(chunk, stop)
        with self._record_lock, self._lock:
            starts = [start for start in self._starts if chunk <= start < stop]
            for start in starts:
                segment = self._segments.pop(start)
                self._dirty.discard(segment)
                self._unrecorded -= segment.stop - segment.recorded
                self._starts.remove(start)
            self._have -= stop - chunk
            del self._chunk_have[chunk]
            self._add(Segment(chunk, stop, hasher, recorded=chunk))

    def _is_due(self, segment: Segment, least: int) -> bool:
        return segment.stop - segment.recorded >= least or segment.stop == chunk_stop(segment.start, self._size)
