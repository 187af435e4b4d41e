"""Where received bytes go: into memory, or into a partial, hashed inline or behind the receivers.

Not in here: receiving, and judging what is received.  performance.md ("Hashing") decides
who hashes: one of several files at a time inline, a large file alone behind.

Promises (tests/disk/test_sink.py):
  * after `close` nobody writes: a receiver that comes late is turned away;
  * what a kill would cost stays below a chunk for each receiver;
  * an error of a thread of the sink's own is raised to the next receiver.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from fetcher.core.digest import Expected, Sha256
from fetcher.core.download import Span
from fetcher.disk.hashing import HASHING, Hashing, Whole
from fetcher.disk.partial import Partial
from fetcher.errors import InterruptedRun

BEHIND_BUFFERS = 8  # performance.md: a ring of 8
_UNRECORDED = 12 << 20  # bytes that a receiver may be ahead of the journal; below a chunk with what is in buffers


class Sink(Protocol):
    """Takes the bytes of one object, from one or several threads, each with a buffer of its own."""

    @property
    def have(self) -> int:
        """Bytes taken so far, those of earlier runs included."""
        ...

    def missing(self) -> list[Span]:
        """What is still to come, in file order."""
        ...

    def buffer(self) -> memoryview:
        """A buffer to fill, for one receiver; to be given to `put`, and to `give_back` at its end."""
        ...

    def put(self, offset: int, count: int, buffer: memoryview) -> memoryview:
        """Take the first `count` bytes of a buffer; `offset` is where they stand in the object.

        Returns:
            The buffer to fill next.

        Raises:
            DiskError: These or earlier bytes could not be written.
            InterruptedRun: The sink is closed.
        """
        ...

    def give_back(self, buffer: memoryview) -> None:
        """End a receiver."""
        ...

    def save(self) -> None:
        """Wait until everything taken is durable.

        Raises:
            DiskError: It could not be made durable.
        """
        ...

    def publish(self) -> Sha256:
        """Prove the whole and put it into the store; returns its sha256.

        Raises:
            IntegrityError: It is not what was expected; call `forget`.
            DiskError: It could not be made durable.
        """
        ...

    def forget(self, spans: Sequence[Span]) -> list[Span]:
        """Forget bytes that were proven wrong, and some around them; returns all that was forgotten."""
        ...

    def close(self) -> None:
        """Keep what is here for the next run."""
        ...


class MemorySink:
    """For small files: nothing is on disk until all is right, and no claim is needed.  One receiver.

    Args:
        keep: Puts the proven bytes where they belong.
    """

    def __init__(
        self,
        keep: Callable[[Sha256, bytes], object],
        *,
        expected: Expected,
        buffer_size: int,
        hashing: Hashing = HASHING,
    ) -> None:
        self._keep = keep
        self._expected = expected
        self._size = expected.size
        self._hashing = hashing
        self._bytes = bytearray()
        self._buffer = memoryview(bytearray(min(buffer_size, expected.size)))

    @property
    def have(self) -> int:
        return len(self._bytes)

    def missing(self) -> list[Span]:
        return [Span(start=self.have, stop=self._size)] if self.have < self._size else []

    def buffer(self) -> memoryview:
        return self._buffer

    def put(self, offset: int, count: int, buffer: memoryview) -> memoryview:
        if offset != self.have:
            raise ValueError(f"bytes at {offset} do not follow those at {self.have}")
        self._bytes += buffer[:count]
        return buffer

    def give_back(self, buffer: memoryview) -> None:
        """Nothing: there is one buffer."""

    def save(self) -> None:
        """Nothing: a kill costs less than one part."""

    def publish(self) -> Sha256:
        whole = Whole.of(self._expected, self._hashing)
        whole.update(memoryview(self._bytes))
        found = whole.proven()
        self._keep(found, bytes(self._bytes))
        return found

    def forget(self, spans: Sequence[Span]) -> list[Span]:
        gone = [Span(start=0, stop=self.have)] if self._bytes else []
        self._bytes = bytearray()
        return gone

    def close(self) -> None:
        """Nothing is held."""


class _Gate:
    """Lets receivers in until it is shut; whoever shuts it waits for those inside."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_shut = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        with self._changed:
            if self._is_shut:
                raise InterruptedRun("Interrupted; what was received is kept.")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def shut(self) -> None:
        with self._changed:
            self._is_shut = True
            self._changed.wait_for(lambda: self._inside == 0)


class InlineSink:
    """Writes, hashes and records in the threads that receive."""

    def __init__(self, partial: Partial, *, buffer_size: int) -> None:
        self._partial = partial
        self._buffer_size = buffer_size
        self._gate = _Gate()

    @property
    def have(self) -> int:
        return self._partial.have

    def missing(self) -> list[Span]:
        return self._partial.missing()

    def buffer(self) -> memoryview:
        return memoryview(bytearray(self._buffer_size))

    def put(self, offset: int, count: int, buffer: memoryview) -> memoryview:
        with self._gate.entered():
            view = buffer[:count]
            self._partial.write(offset, view)
            is_due = self._partial.absorb(offset, view)
            self._partial.hash_hot(offset, view)
            self._partial.hash_free()
            if is_due:
                self._partial.record()
        return buffer

    def give_back(self, buffer: memoryview) -> None:
        """Nothing: it is garbage."""

    def save(self) -> None:
        with self._gate.entered():
            self._partial.save()

    def publish(self) -> Sha256:
        return self._partial.publish()

    def forget(self, spans: Sequence[Span]) -> list[Span]:
        return self._partial.forget(spans)

    def close(self) -> None:
        self._gate.shut()
        self._partial.close()


class BehindSink:
    """Writes in the threads that receive; a thread of its own hashes, another one makes durable.

    A receiver that is alone hands its buffers to the hashing thread, 8 at most; of several
    receivers the hashing thread reads the bytes back, in file order.  Receivers wait when
    the disk does not follow.
    """

    def __init__(self, partial: Partial, *, buffer_size: int) -> None:
        self._partial = partial
        self._buffer_size = buffer_size
        self._gate = _Gate()
        self._lock = threading.Lock()  # guards what follows; a condition for each who waits for it
        self._to_hash = threading.Condition(self._lock)
        self._to_record = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._buffers = 0  # made so far
        self._spare: list[memoryview] = []
        self._receivers = 0
        self._hot: deque[tuple[int, int, memoryview]] = deque()  # offset, count, buffer: to be hashed
        self._is_hashing = False
        self._must_record = False
        self._is_over = False
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"fetcher-{name}", daemon=True)
            for name, work in (("hash", self._hash), ("keep", self._keep))
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
        with self._gate.entered():
            self._partial.write(offset, buffer[:count])
            is_due = self._partial.absorb(offset, buffer[:count])
            with self._lock:
                self._check()
                if is_due or self._is_far_ahead():
                    self._must_record = True
                    self._to_record.notify()
                self._to_hash.notify()
                if self._receivers == 1:
                    self._hot.append((offset, count, buffer))
                    self._room.wait_for(self._has_buffer)
                    buffer = self._take_buffer()
                self._room.wait_for(self._is_near_the_journal)
                self._check()
        return buffer

    def give_back(self, buffer: memoryview) -> None:
        with self._lock:
            self._receivers -= 1
            self._spare.append(buffer)

    def save(self) -> None:
        with self._gate.entered():
            self._partial.save()
        with self._lock:
            self._room.notify_all()

    def publish(self) -> Sha256:
        with self._lock:
            self._room.wait_for(lambda: self._error or not (self._is_hashing or self._hot))
            self._check()
        return self._partial.publish()

    def forget(self, spans: Sequence[Span]) -> list[Span]:
        return self._partial.forget(spans)

    def close(self) -> None:
        with self._lock:
            self._is_over = True
            self._wake_all()
        self._gate.shut()
        for thread in self._threads:
            thread.join()
        self._partial.close()

    # buffers

    def _has_buffer(self) -> bool:
        return bool(self._spare) or self._buffers < BEHIND_BUFFERS or self._ends()

    def _take_buffer(self) -> memoryview:
        if self._spare:
            return self._spare.pop()
        self._buffers += 1
        return memoryview(bytearray(self._buffer_size))

    def _is_near_the_journal(self) -> bool:
        return self._ends() or not self._is_far_ahead()

    def _is_far_ahead(self) -> bool:
        return self._partial.unrecorded > _UNRECORDED * max(1, self._receivers)

    def _wake_all(self) -> None:
        for condition in (self._to_hash, self._to_record, self._room):
            condition.notify_all()

    def _ends(self) -> bool:
        return self._is_over or self._error is not None

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    # the sink's own threads

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised to the next receiver
            with self._lock:
                self._error = error
                self._wake_all()

    def _hash(self) -> None:
        while True:
            with self._lock:
                if not self._hot:
                    self._is_hashing = False
                    self._room.notify_all()
                    self._to_hash.wait_for(lambda: self._ends() or self._hot or self._partial.can_hash())
                if self._ends():
                    return
                self._is_hashing = True
                hot = self._hot.popleft() if self._hot else None
            if hot is None:
                self._partial.hash_next()
                continue
            offset, count, buffer = hot
            self._catch_up(offset)
            self._partial.hash_hot(offset, buffer[:count])
            with self._lock:
                self._spare.append(buffer)
                self._room.notify_all()

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
                self._must_record = False
                record = self._partial.save if self._is_far_ahead() else self._partial.record
            record()
            with self._lock:
                self._room.notify_all()
