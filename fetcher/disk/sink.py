"""Where received bytes go: into memory, or into a partial, written and hashed by the receivers.

Not in here: receiving, and judging what is received; a large file that is alone (behind.py).

Promises (tests/disk/test_sink.py):
  * after `close` nobody writes: a receiver that comes late is turned away;
  * what a kill would cost stays below a chunk for each receiver.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from fetcher.core.digest import Expected, Sha256
from fetcher.core.download import Span
from fetcher.disk.datafile import page_buffer
from fetcher.disk.hashing import HASHING, Hashing, Whole
from fetcher.disk.partial import Partial
from fetcher.errors import InterruptedRun

AHEAD = 14 << 20  # bytes that a receiver may be ahead of the journal; below a chunk with the buffer in its hands


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
        """End a receiver, when all that it put is written.

        Raises:
            DiskError: Some of it could not be.
        """
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


class Gate:
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


class Keeper:
    """Records what receivers have written, in a thread of its own, so that none of them waits for the disk to sync.

    Receivers do wait while they are `AHEAD` bytes each ahead of the journal.
    """

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._changed = threading.Condition()  # guards what follows
        self._receivers = 0
        self._is_due = False
        self._is_recording = False
        self._is_over = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None  # begun when something is due

    def joined(self) -> None:
        """Take note of one more receiver."""
        with self._changed:
            self._receivers += 1

    def left(self) -> None:
        """Take note that a receiver has ended."""
        with self._changed:
            self._receivers -= 1
            self._changed.notify_all()

    def follow(self, *, is_due: bool) -> None:
        """Let the journal follow a receiver that has written; it waits if it is too far ahead.

        Raises:
            DiskError: Something could not be made durable.
        """
        with self._changed:
            if is_due or self._is_far_behind():
                self._is_due = True
                self._begin()
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._ends() or not self._is_far_behind())
            if self._error is not None:
                raise self._error

    def rest(self) -> None:
        """Wait until nothing is being recorded; nobody may be receiving."""
        with self._changed:
            self._is_due = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ends() or self._thread is None or not self._is_at_work())

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fetcher-keep", daemon=True)
            self._thread.start()

    def _is_far_behind(self) -> bool:
        return self._partial.unrecorded > AHEAD * max(1, self._receivers)

    def _is_at_work(self) -> bool:
        return self._is_recording or self._is_far_behind()

    def _ends(self) -> bool:
        return self._is_over or self._error is not None

    def _run(self) -> None:
        try:
            self._keep()
        except BaseException as error:  # noqa: BLE001  raised to the next receiver
            with self._changed:
                self._error, self._is_recording = error, False
                self._changed.notify_all()

    def _keep(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ends() or self._is_due or self._is_far_behind())
                if self._ends():
                    return
                self._is_due, self._is_recording = False, True
                record = self._partial.save if self._is_far_behind() else self._partial.record
            record()
            with self._changed:
                self._is_recording = False
                self._changed.notify_all()


class InlineSink:
    """Writes and hashes in the threads that receive; records in another one."""

    def __init__(self, partial: Partial, *, buffer_size: int) -> None:
        self._partial = partial
        self._buffer_size = buffer_size
        self._gate = Gate()
        self._keeper = Keeper(partial)

    @property
    def have(self) -> int:
        return self._partial.have

    def missing(self) -> list[Span]:
        return self._partial.missing()

    def buffer(self) -> memoryview:
        self._keeper.joined()
        return page_buffer(self._buffer_size)

    def put(self, offset: int, count: int, buffer: memoryview) -> memoryview:
        with self._gate.entered():
            view = buffer[:count]
            self._partial.write(offset, view)
            is_due = self._partial.absorb(offset, view)
            self._partial.hash_hot(offset, view)
            self._partial.hash_free()
            self._keeper.follow(is_due=is_due)
        return buffer

    def give_back(self, buffer: memoryview) -> None:
        self._keeper.left()

    def save(self) -> None:
        with self._gate.entered():
            self._partial.save()

    def publish(self) -> Sha256:
        self._keeper.rest()
        return self._partial.publish()

    def forget(self, spans: Sequence[Span]) -> list[Span]:
        self._keeper.rest()
        return self._partial.forget(spans)

    def close(self) -> None:
        self._keeper.close()
        self._gate.shut()
        self._partial.close()
