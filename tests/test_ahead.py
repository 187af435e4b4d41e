"""Where each request costs a long round trip, a worker asks for several small files at once."""

import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fetcher.core.interfaces import NoEvents, RemoteAddress
from fetcher.disk.store import Store
from fetcher.transfer import Job, Outcome, TransferSettings, run_transfer
from tests.scripted import ScriptedBody, ScriptedSource, Turn, request_for

FILES = {f"{number}.json": random.Random(number).randbytes(100 + number) for number in range(96)}


class FarSource(ScriptedSource):
    """Takes a while for each answer; notes what it was asked ahead, and what was opened then."""

    def __init__(self, round_trip_s: float) -> None:
        super().__init__(dict(FILES))
        self.now_s = 0.0
        self.blocks: list[tuple[list[str], list[str]]] = []  # foreseen, opened
        self._round_trip_s = round_trip_s
        self._opened = threading.local()

    def open(self, address: RemoteAddress, start: int, stop: int) -> ScriptedBody:
        self.now_s += self._round_trip_s
        if self._mine:
            self._mine[-1].append(address.path)
        return super().open(address, start, stop)

    @contextlib.contextmanager
    def ahead(self, addresses: Sequence[RemoteAddress]) -> Iterator[None]:
        self._mine.append([])
        yield
        self.blocks.append(([address.path for address in addresses], self._mine.pop()))

    @property
    def _mine(self) -> list[list[str]]:
        """Of this thread: what was opened in the block that is open."""
        return self._opened.__dict__.setdefault("blocks", [])


def run(source: FarSource, folder: Path, workers: int) -> list[Outcome]:
    store = Store(folder)
    jobs = [Job(request=request_for(data, path, [source]), store=store) for path, data in FILES.items()]
    settings = TransferSettings(jobs=workers, connections=workers)
    return run_transfer(
        jobs,
        settings=settings,
        events=NoEvents(),
        stop=threading.Event(),
        clock=lambda: source.now_s,
        sleep=lambda seconds: None,
    )


@pytest.mark.parametrize(("round_trip_s", "is_asked_ahead"), [(0.05, True), (0.001, False)])
def test_small_files_of_a_far_host_are_asked_for_ahead(
    tmp_path: Path, round_trip_s: float, is_asked_ahead: bool
) -> None:
    """In the order in which they are then opened, each once, and never more than a fair share."""
    source = FarSource(round_trip_s)
    assert [outcome.error for outcome in run(source, tmp_path, workers=2)] == [None] * len(FILES)
    assert bool(source.blocks) == is_asked_ahead
    assert all(foreseen == opened and 1 < len(opened) <= 8 for foreseen, opened in source.blocks)
    assert sorted(path for path, _, _ in source.asked) == sorted(FILES)


def test_a_fault_costs_the_file_that_it_hit_only(tmp_path: Path) -> None:
    """The others of the same block are fetched as they were foreseen; the one is asked for again."""
    source = FarSource(0.05)
    source.script = [Turn()] * 40 + [Turn(cut_after=10), Turn(cut_after=3)]
    run(source, tmp_path, workers=1)
    assert len(source.asked) == len(FILES) + 2
    hit = [(foreseen, opened) for foreseen, opened in source.blocks if foreseen != opened]
    assert hit
    assert all(list(dict.fromkeys(opened)) == foreseen for foreseen, opened in hit)
