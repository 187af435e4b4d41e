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


class InlineSink:
    """Writes, hashes and records in the threads that receive."""

    def __init__(self, partial: Partial, *, buffer_size: int) -> None:
        self._partial = partial
        self._buffer_size = buffer_size
        self._gate = Gate()

    @property
    def have(self) -> int:
        return self._partial.have

    def missing(self) -> list[Span]:
        return self._partial.missing()

    def buffer(self) -> memoryview:
        return page_buffer(self._buffer_size)

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
