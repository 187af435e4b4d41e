"""Where received bytes go: into memory, or into a partial, hashed inline or behind the reader.

Not in here: receiving, and judging what is received.  performance.md ("Hashing") decides
who hashes: a small file and one of several at a time inline, a large file alone behind.
"""

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from fetcher.core.digest import Sha256
from fetcher.core.download import Span
from fetcher.disk.partial import Partial, wrong_bytes
from fetcher.disk.store import Store

BEHIND_BUFFERS = 8  # performance.md: a ring of 8


class Sink(Protocol):
    """Takes the bytes of one object.  One thread at a time."""

    @property
    def have(self) -> int:
        """Bytes taken so far, those of earlier runs included."""
        ...

    def missing(self) -> Span | None:
        """What to ask for next; None when all bytes are here."""
        ...

    def buffer(self) -> memoryview:
        """A buffer to fill; it is the sink's own again after `put`."""
        ...

    def put(self, offset: int, view: memoryview) -> None:
        """Take bytes of the buffer; `offset` is where they stand in the object.

        Raises:
            DiskError: These or earlier bytes could not be written.
        """
        ...

    def save(self) -> None:
        """Wait until everything taken is hashed and durable.

        Raises:
            DiskError: It could not be made durable.
        """
        ...

    def publish(self) -> None:
        """Prove the whole and put it into the store.

        Raises:
            IntegrityError: Another sha256; all bytes are forgotten.
            DiskError: It could not be made durable.
        """
        ...

    def close(self) -> None:
        """Keep what is here for the next run."""
        ...


class MemorySink:
    """For small files: nothing is on disk until all is right, and no claim is needed."""

    def __init__(self, store: Store, *, sha256: Sha256, size: int, buffer_size: int) -> None:
        self._store = store
        self._sha256 = sha256
        self._size = size
        self._bytes = bytearray()
        self._buffer = memoryview(bytearray(min(buffer_size, size)))

    @property
    def have(self) -> int:
        return len(self._bytes)

    def missing(self) -> Span | None:
        return Span(start=self.have, stop=self._size) if self.have < self._size else None

    def buffer(self) -> memoryview:
        return self._buffer

    def put(self, offset: int, view: memoryview) -> None:
        if offset != self.have:
            raise ValueError(f"bytes at {offset} do not follow those at {self.have}")
        self._bytes += view

    def save(self) -> None:
        """Nothing: a kill costs less than one part."""

    def publish(self) -> None:
        found = Sha256(hashlib.sha256(self._bytes).hexdigest())
        if found != self._sha256:
            self._bytes.clear()
            raise wrong_bytes(self._sha256, found)
        self._store.add_bytes(bytes(self._bytes))

    def close(self) -> None:
        """Nothing is held."""


class InlineSink:
    """Writes and hashes in the thread that receives."""

    def __init__(self, partial: Partial, *, buffer_size: int) -> None:
        self._partial = partial
        self._buffer = memoryview(bytearray(buffer_size))

    @property
    def have(self) -> int:
        return self._partial.have

    def missing(self) -> Span | None:
        return next(iter(self._partial.missing()), None)

    def buffer(self) -> memoryview:
        return self._buffer

    def put(self, offset: int, view: memoryview) -> None:
        self._partial.write(offset, view)
        self._partial.absorb(offset, view)

    def save(self) -> None:
        self._partial.save()

    def publish(self) -> None:
        self._partial.publish()

    def close(self) -> None:
        self._partial.close()


class BehindSink:
    """Writes in the thread that receives; a thread of its own hashes and makes durable.

    At most `BEHIND_BUFFERS` buffers wait to be hashed; then receiving waits.
    """

    def __init__(self, partial: Partial, *, buffer_size: int) -> None:
        self._partial = partial
        self._free = deque(memoryview(bytearray(buffer_size)) for _ in range(BEHIND_BUFFERS))
        self._under_way: deque[tuple[Future[None], memoryview]] = deque()
        self._hasher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fetcher-hash")

    @property
    def have(self) -> int:
        self._drain()
        return self._partial.have

    def missing(self) -> Span | None:
        self._drain()
        return next(iter(self._partial.missing()), None)

    def buffer(self) -> memoryview:
        while not self._free:
            self._take_back()
        return self._free[0]

    def put(self, offset: int, view: memoryview) -> None:
        self._partial.write(offset, view)
        self._under_way.append((self._hasher.submit(self._partial.absorb, offset, view), self._free.popleft()))

    def save(self) -> None:
        self._drain()
        self._partial.save()

    def publish(self) -> None:
        self._drain()
        self._partial.publish()

    def close(self) -> None:
        self._hasher.shutdown(wait=True)
        self._partial.close()

    def _drain(self) -> None:
        while self._under_way:
            self._take_back()

    def _take_back(self) -> None:
        future, buffer = self._under_way.popleft()
        self._free.append(buffer)
        future.result()
