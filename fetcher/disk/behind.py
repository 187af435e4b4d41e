"""A large file that is alone: received, written and hashed by different threads (sink.Sink).

    receiver -> write -> hash      a receiver that is alone hands its buffers on, 4 at most
    receivers                      several write themselves; the hash reads back, in file order
    keep                           makes durable what was written, and records it

Each of these waits for something else (the wire, the disk, the processor), so the whole takes
about as long as the slowest of them.  Receivers wait when the others do not follow.

Promises (tests/disk/test_sink.py):
  * after `close` nobody writes: a receiver that comes late is turned away;
  * what a kill would cost stays below a chunk for each receiver;
  * an error of a thread of the sink's own is raised to the next receiver.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fetcher.core.digest import Sha256
from fetcher.core.download import Span
from fetcher.disk.datafile import page_buffer
from fetcher.disk.partial import Partial
from fetcher.disk.sink import Gate

BEHIND_BUFFERS = 4  # more would take from what the journal may be behind
UNRECORDED = 11 << 20  # bytes that a receiver may be ahead of the journal; below a chunk with what is in buffers


@dataclass(frozen=True, slots=True)
class _Filled:
    """A buffer whose first `count` bytes stand at `offset` in the object."""

    offset: int
    count: int
    buffer: memoryview

    @property
    def view(self) -> memoryview:
        return self.buffer[: self.count]


class BehindSink:
    """Hands the bytes of a partial from thread to thread."""

    def __init__(self, partial: Partial, *, buffer_size: int) -> None:
        self._partial = partial
        self._buffer_size = buffer_size
        self._gate = Gate()
        self._lock = threading.Lock()  # guards what follows; a condition for each who waits for it
        self._to_write = threading.Condition(self._lock)
        self._to_hash = threading.Condition(self._lock)
        self._to_record = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._buffers = 0  # made so far
        self._spare: list[memoryview] = []
        self._receivers = 0
        self._received: deque[_Filled] = deque()  # to be written
        self._written: deque[_Filled] = deque()  # to be hashed
        self._is_writing = False
        self._is_hashing = False
        self._must_record = False
        self._is_recording = False
        self._is_over = False
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"fetcher-{name}", daemon=True)
            for name, work in (("write", self._write), ("hash", self._hash), ("keep", self._keep))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def have(self) -> int:
        return self._partial.have

    def missing(self) -> list[Span]:
        return self._partial.missing()

    def buffer(self) -> memoryview:
        with self._lock:
            self._receivers += 1
            return self._take_buffer()

    def put(self, offset: int, count: int, buffer: memoryview) -> memoryview:
        filled, following = _Filled(offset, count, buffer), buffer
        with self._gate.entered():
            with self._lock:
                self._check()
                is_alone = self._receivers == 1
                if is_alone:
                    self._received.append(filled)
                    self._to_write.notify()
                    self._room.wait_for(self._has_buffer)
                    following = self._take_buffer()
                else:
                    self._wait_for_writes()  # of the time when it was alone
            if not is_alone:
                self._store(filled)
            with self._lock:
                self._room.wait_for(self._is_near_the_journal)
                self._check()
        return following

    def give_back(self, buffer: memoryview) -> None:
        with self._lock:
            self._wait_for_writes()
            self._receivers -= 1
            self._spare.append(buffer)
            self._check()

    def save(self) -> None:
        with self._gate.entered():
            with self._lock:
                self._wait_for_writes()
            self._partial.save()
        with self._lock:
            self._room.notify_all()

    def publish(self) -> Sha256:
        with self._lock:
            self._wait_for_writes()
            self._room.wait_for(lambda: self._error or not (self._is_hashing or self._written))
            self._must_record = False  # the partial closes its journal
            self._to_record.notify()
            self._room.wait_for(lambda: self._ends() or not (self._is_recording or self._is_far_ahead()))
            self._check()
        return self._partial.publish()

    def forget(self, spans: Sequence[Span]) -> list[Span]:
        return self._partial.forget(spans)

    def close(self) -> None:
        with self._lock:
            self._is_over = True
            for condition in (self._to_write, self._to_hash, self._to_record, self._room):
                condition.notify_all()
        self._gate.shut()
        for thread in self._threads:
            thread.join()
        self._partial.close()

    # with the lock held

    def _has_buffer(self) -> bool:
        return bool(self._spare) or self._buffers < BEHIND_BUFFERS or self._ends()

    def _take_buffer(self) -> memoryview:
        if self._spare:
            return self._spare.pop()
        self._buffers += 1
        return page_buffer(self._buffer_size)

    def _wait_for_writes(self) -> None:
        self._room.wait_for(lambda: self._ends() or not (self._received or self._is_writing))

    def _is_near_the_journal(self) -> bool:
        return self._ends() or not self._is_far_ahead()

    def _is_far_ahead(self) -> bool:
        return self._partial.unrecorded > UNRECORDED * max(1, self._receivers)

    def _ends(self) -> bool:
        return self._is_over or self._error is not None

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    # the threads

    def _store(self, filled: _Filled) -> None:
        """Write bytes, hash them for the journal, and wake whom that concerns."""
        self._partial.write(filled.offset, filled.view)
        is_due = self._partial.absorb(filled.offset, filled.view)
        with self._lock:
            self._check()
            if is_due or self._is_far_ahead():
                self._must_record = True
                self._to_record.notify()
            self._to_hash.notify()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised to the next receiver
            with self._lock:
                self._error = error
                for condition in (self._to_write, self._to_hash, self._to_record, self._room):
                    condition.notify_all()

    def _write(self) -> None:
        while True:
            with self._lock:
                self._is_writing = False
                if not self._received:
                    self._room.notify_all()
                    self._to_write.wait_for(lambda: self._ends() or self._received)
                if self._ends():
                    return
                self._is_writing = True
                filled = self._received.popleft()
            self._store(filled)
            with self._lock:
                self._written.append(filled)
                self._to_hash.notify()

    def _hash(self) -> None:
        while True:
            with self._lock:
                self._is_hashing = False
                if not self._written:
                    self._room.notify_all()
                    self._to_hash.wait_for(lambda: self._ends() or self._written or self._can_read_back())
                if self._ends():
                    return
                self._is_hashing = True
                filled = self._written.popleft() if self._written else None
            if filled is None:
                self._partial.hash_next()
                continue
            self._catch_up(filled.offset)
            self._partial.hash_hot(filled.offset, filled.view)
            with self._lock:
                self._spare.append(filled.buffer)
                self._room.notify_all()

    def _can_read_back(self) -> bool:
        """Not what is still in a buffer, on its way here."""
        return not self._is_writing and self._partial.can_hash()

    def _catch_up(self, offset: int) -> None:
        """Read back what stands before bytes that are still in memory."""
        while self._partial.front < offset and not self._ends() and self._partial.hash_next():
            pass

    def _keep(self) -> None:
        while True:
            with self._lock:
                self._to_record.wait_for(lambda: self._ends() or self._must_record or self._is_far_ahead())
                if self._ends():
                    return
                self._must_record, self._is_recording = False, True
                record = self._partial.save if self._is_far_ahead() else self._partial.record
            record()
            with self._lock:
                self._is_recording = False
                self._room.notify_all()
