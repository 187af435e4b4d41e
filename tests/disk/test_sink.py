"""Sinks into a real partial: who hashes and records, what a late or a failing thread meets."""

import random
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from fetcher.core.chunk import CHUNK
from fetcher.core.digest import Expected, Sha256
from fetcher.core.download import Span
from fetcher.disk.behind import BEHIND_BUFFERS, UNRECORDED, BehindSink
from fetcher.disk.hashing import sha256_of
from fetcher.disk.partial import Partial
from fetcher.disk.sink import AHEAD, InlineSink, Sink
from fetcher.disk.store import Store
from fetcher.errors import DiskError, InterruptedRun
from fetcher.transfer import TransferSettings

MIB = 1 << 20
DATA = random.Random(5).randbytes(50 * MIB + 99)
BUFFER = 256 << 10


@pytest.fixture
def sha256(tmp_path: Path) -> Sha256:
    (tmp_path / "whole").write_bytes(DATA)
    return sha256_of(tmp_path / "whole")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(params=[InlineSink, BehindSink])
def sink(request: pytest.FixtureRequest, store: Store, sha256: Sha256) -> Iterator[Sink]:
    made: Sink = request.param(store.partial(Expected(sha256=sha256, size=len(DATA))), buffer_size=BUFFER)
    yield made
    made.close()


def pour(sink: Sink, start: int, stop: int) -> None:
    buffer = sink.buffer()
    for offset in range(start, stop, BUFFER):
        count = min(BUFFER, stop - offset)
        buffer[:count] = DATA[offset : offset + count]
        buffer = sink.put(offset, count, buffer)
    sink.give_back(buffer)


@pytest.mark.parametrize("receivers", [1, 2, 5])
def test_any_number_of_receivers_makes_the_same_object(
    sink: Sink, store: Store, sha256: Sha256, receivers: int
) -> None:
    """Alone the buffers go to the hash from memory, together they are read back."""
    step = len(DATA) // receivers // BUFFER * BUFFER
    edges = [*(step * index for index in range(receivers)), len(DATA)]
    threads = [threading.Thread(target=pour, args=(sink, start, stop)) for start, stop in pairwise(edges)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.missing() == []
    sink.publish()
    assert store.prove(sha256)


def test_a_receiver_that_comes_after_the_end_is_turned_away(sink: Sink) -> None:
    """Its descriptor may be another file's by then."""
    buffer = sink.buffer()
    buffer = sink.put(0, 100, buffer)
    sink.close()
    with pytest.raises(InterruptedRun):
        sink.put(100, 100, buffer)


def test_what_was_forgotten_comes_again(sink: Sink, store: Store, sha256: Sha256) -> None:
    """The hash begins anew and reads back what stayed."""
    pour(sink, 0, len(DATA))
    assert sink.forget([Span(start=0, stop=10), Span(start=40 * MIB, stop=41 * MIB)]) == [
        Span(start=0, stop=16 * MIB),
        Span(start=32 * MIB, stop=48 * MIB),
    ]
    for span in sink.missing():
        pour(sink, span.start, span.stop)
    sink.publish()
    assert store.prove(sha256)


class Stuck(Partial):
    """A disk that takes long, or fails, to make bytes durable."""

    gate = threading.Event()
    error: DiskError | None = None

    def record(self) -> None:
        self.gate.wait(20)
        if self.error:
            raise self.error
        super().record()

    def save(self) -> None:
        self.record()


@pytest.fixture
def stuck(store: Store, sha256: Sha256) -> Stuck:
    made = Stuck.open(
        store.partial_folder(sha256),
        expected=Expected(sha256=sha256, size=len(DATA)),
        keep=lambda data, name, chunks: data,
    )
    made.gate = threading.Event()
    return made


@pytest.mark.parametrize(("kind", "ahead"), [(InlineSink, AHEAD), (BehindSink, UNRECORDED)])
def test_a_receiver_waits_when_the_disk_does_not_follow(
    stuck: Stuck, kind: type[InlineSink | BehindSink], ahead: int
) -> None:
    """Else a kill on a slow disk would cost gigabytes, not a part; a receiver that syncs itself would get less far."""
    sink = kind(stuck, buffer_size=BUFFER)
    receiver = threading.Thread(target=pour, args=(sink, 0, len(DATA)))
    receiver.start()
    end = time.monotonic() + 10
    while sink.have < ahead and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    assert ahead <= sink.have < CHUNK
    stuck.gate.set()
    receiver.join(20)
    assert sink.have == len(DATA)
    sink.close()


def test_what_is_in_buffers_counts_as_well() -> None:
    """What a kill costs stays below a chunk."""
    usual = TransferSettings().buffer_size
    assert UNRECORDED + (BEHIND_BUFFERS + 1) * usual <= CHUNK
    assert AHEAD + 2 * usual <= CHUNK


@pytest.mark.parametrize("kind", [InlineSink, BehindSink])
def test_an_error_of_the_recording_thread_reaches_the_receiver(
    stuck: Stuck, kind: type[InlineSink | BehindSink]
) -> None:
    """A disk that fails must end the download, not hang it."""
    stuck.error = DiskError("The disk reported an input/output error.")
    stuck.gate.set()
    sink = kind(stuck, buffer_size=BUFFER)
    with pytest.raises(DiskError, match="input/output error"):
        pour(sink, 0, len(DATA))
    with pytest.raises(DiskError):
        sink.close()


def test_the_ring_has_a_bound(store: Store, sha256: Sha256) -> None:
    """Memory stays flat however slow the hash is."""
    sink = BehindSink(store.partial(Expected(sha256=sha256, size=len(DATA))), buffer_size=BUFFER)
    seen = set()
    buffer = sink.buffer()
    for offset in range(0, len(DATA) // BUFFER * BUFFER, BUFFER):
        seen.add(id(buffer.obj))
        buffer[:] = DATA[offset : offset + BUFFER]
        buffer = sink.put(offset, BUFFER, buffer)
    assert len(seen) <= BEHIND_BUFFERS
    sink.close()
