"""Prove files on disk over all cores: chunk by chunk with blake3, or by the lock's own sha256.

A file of 1 MiB and more has a chunk list in the store (chunks.py), made when its sha256 was
proven.  Its chunks are hashed by as many threads as there are cores, each its own chunk; one
that differs has the whole file hashed with sha256, so that a chunk list is never believed
against the lock.  Without a chunk list the sha256 decides, and the list is kept for next time.

Not in here: what a file that differs means (scan.py), mending it (salvage.py).

Promises (tests/disk/test_prove.py):
  * a byte that changed is found, with the chunk that it is in;
  * a chunk list that is wrong costs time, never a verdict, and is replaced;
  * a sample says nothing good of what it did not read.
"""

import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from blake3 import blake3

from fetcher.core.chunk import CHUNK, chunk_stop
from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Closing, Events, NoEvents
from fetcher.core.plan import Wanted
from fetcher.core.proof import FULL, Depth, Proof, spans_that_differ
from fetcher.disk.ahead import chunk_key, take_over
from fetcher.disk.chunks import ChunkList
from fetcher.disk.hashing import sha256_of_descriptor
from fetcher.disk.mapped import mapped
from fetcher.disk.opened import opened
from fetcher.disk.partial import never
from fetcher.disk.share import read_at
from fetcher.disk.store import SMALL_BELOW
from fetcher.errors import InterruptedRun

_PIECE = 256 << 10  # bytes; performance.md: blake3 from the page cache is fastest so


def _nobody(count: int) -> None:
    """Is told, and does nothing."""


class Prover(Closing):
    """Hashes files; used by several threads, and as a context.

    Args:
        known: The chunk list of a wanted file, if there is one.
        keep: Takes the chunk list of a file whose sha256 was proven.
        stop: Asked before each chunk.
    """

    def __init__(
        self,
        *,
        known: Callable[[Wanted], ChunkList | None],
        keep: Callable[[Wanted, ChunkList], object],
        depth: Depth = FULL,
        events: Events | None = None,
        stop: Callable[[], bool] = never,
        cores: int = os.cpu_count() or 1,
    ) -> None:
        self._known = known
        self._keep = keep
        self._depth = depth
        self._events = events or NoEvents()
        self._stop = stop
        self._pool = ThreadPoolExecutor(max_workers=cores, thread_name_prefix="fetcher-prove")
        self._buffers = threading.local()
        self._ahead = take_over() or {}

    def prove(self, wanted: Wanted, path: Path) -> Proof:
        """Hash the file that stands at a spot.

        Raises:
            OSError: It cannot be opened or read, or is a symlink.
            InterruptedRun: `stop` said so.
        """
        with opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            if size != wanted.size:
                return Proof(sha256=sha256_of_descriptor(descriptor))
            if size < SMALL_BELOW:
                return self._prove_small(wanted, descriptor)
            chunks = self._known(wanted)
            if chunks is not None and chunks.size != size:
                chunks = None
            if chunks is None or self._depth.by_sha256:
                if not self._is_taken():
                    return Proof(sha256=None)
                return self._prove_by_sha256(wanted, descriptor, chunks)
            numbers = self._depth.chunks(len(chunks.digests), _pick)
            if not self._differ(descriptor, chunks, numbers):
                return Proof(sha256=None if self._depth.is_sample else wanted.sha256)
            return self._prove_by_sha256(wanted, descriptor, chunks)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _prove_small(self, wanted: Wanted, descriptor: int) -> Proof:
        if not self._is_taken():
            return Proof(sha256=None)
        found = sha256_of_descriptor(descriptor)
        self._events.bytes_hashed(wanted.size)
        return Proof(sha256=found)

    def _prove_by_sha256(self, wanted: Wanted, descriptor: int, chunks: ChunkList | None) -> Proof:
        """The lock's hash decides; the chunks that differ are told, and a chunk list that is wrong is replaced."""
        sha256, found = hash_whole(descriptor, wanted.size, stop=self._stop, hashed=self._events.bytes_hashed)
        if sha256 == wanted.sha256:
            if found != chunks:
                self._keep(wanted, found)
            return Proof(sha256=sha256)
        if chunks is None:
            return Proof(sha256=sha256)
        spans = spans_that_differ(chunks.digests, found.digests, chunk=CHUNK, size=wanted.size)
        return Proof(sha256=sha256, differs=spans)

    def _is_taken(self) -> bool:
        """Whether a file without chunks is in the sample."""
        return self._depth.takes(random.random())  # noqa: S311 - a sample, no secret

    def _differ(self, descriptor: int, chunks: ChunkList, numbers: Sequence[int]) -> bool:
        """Whether one of the chunks is not as in the list; all cores look."""

        def differs(number: int) -> bool:
            return self._blake3_of(descriptor, number * CHUNK, chunks.size) != chunks.digests[number]

        futures = [self._pool.submit(differs, number) for number in numbers]
        try:
            return any(future.result() for future in futures)
        finally:
            wait([future for future in futures if not future.cancel()])  # the descriptor is closed next

    def _blake3_of(self, descriptor: int, start: int, size: int) -> str:
        stop = chunk_stop(start, size)
        _go_on(self._stop)
        if self._ahead:
            known = self._ahead.get(chunk_key(os.fstat(descriptor), start))
            if known is not None:
                self._events.bytes_hashed(stop - start)
                return known
        part = mapped(descriptor, start, stop - start)
        if part is None:
            hasher = blake3()
            for piece in _pieces(descriptor, self._buffer(), start, stop):
                hasher.update(piece)
        else:
            with part:
                hasher = blake3(part)
        self._events.bytes_hashed(stop - start)
        return str(hasher.hexdigest())

    def _buffer(self) -> memoryview:
        """One for each thread."""
        buffer: memoryview | None = getattr(self._buffers, "buffer", None)
        if buffer is None:
            buffer = self._buffers.buffer = memoryview(bytearray(_PIECE))
        return buffer


def hash_whole(
    descriptor: int, size: int, *, stop: Callable[[], bool] = never, hashed: Callable[[int], object] = _nobody
) -> tuple[Sha256, ChunkList]:
    """sha256 and chunk list of an open file, in one pass by one thread.

    Args:
        size: Bytes that it has.
        stop: Asked before each chunk.
        hashed: Told the bytes of each.

    Raises:
        OSError: It cannot be read.
        InterruptedRun: `stop` said so.
    """
    whole, digests, buffer = hashlib.sha256(), [], memoryview(bytearray(_PIECE))
    for start in range(0, size, CHUNK):
        _go_on(stop)
        hasher = blake3()
        for piece in _pieces(descriptor, buffer, start, chunk_stop(start, size)):
            whole.update(piece)
            hasher.update(piece)
        hashed(chunk_stop(start, size) - start)
        digests.append(str(hasher.hexdigest()))
    return Sha256(whole.hexdigest()), ChunkList(size=size, digests=tuple(digests))


def _go_on(stop: Callable[[], bool]) -> None:
    if stop():
        raise InterruptedRun("Interrupted while files on disk were being hashed.")


def _pieces(descriptor: int, buffer: memoryview, start: int, end: int) -> Iterator[memoryview]:
    while start < end:
        count = read_at(descriptor, buffer[: end - start], start)
        if count == 0:
            return  # cut short by somebody else: the hash will tell
        yield buffer[:count]
        start += count


def _pick(count: int, share: int) -> Sequence[int]:
    return random.sample(range(count), share)
