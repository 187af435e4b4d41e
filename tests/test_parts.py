"""Large files in parts, from scripted sources into a real store: faults cost their part only."""

import os
import random
import threading
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from fetcher.core.interfaces import FetchRequest
from fetcher.core.retry import RetrySchedule
from fetcher.core.units import size_text
from fetcher.disk.store import Store
from fetcher.errors import IntegrityError, InterruptedRun, SourceError
from fetcher.transfer import Job, Outcome, TransferSettings, run_transfer
from tests.scripted import ScriptedBody, ScriptedSource, Turn, request_for
from tests.test_transfer import Clock, Watcher, object_bytes, objects, thread_count

MIB = 1 << 20
LARGE = random.Random(11).randbytes(80 * MIB + 4321)
_OPEN_S = 0.02  # a far host, so that several connections are opened at once

FAST = TransferSettings(jobs=2, retry=RetrySchedule(attempts=4, base_s=0.01), cores=2, buffer_size=256 << 10)


@dataclass(slots=True)
class Far(ScriptedSource):
    """A host a round trip away, whose connections have a limit each."""

    most_open: int = 0

    def open(self, address, start, stop):  # type: ignore[no-untyped-def]
        time.sleep(_OPEN_S)
        body = ScriptedSource.open(self, address, start, stop)
        self.most_open = max(self.most_open, self.open_bodies)
        return body


def slow(body: ScriptedBody) -> None:
    """About 50 MB/s."""
    body.closed.wait(0.005)


SLOW = Turn(pause=slow)


def far(label: str = "hub.example", **options: object) -> Far:
    return Far(files={"large.bin": LARGE}, label=label, always=SLOW, **options)  # type: ignore[arg-type]


def run(
    request: FetchRequest, store: Store, *, settings: TransferSettings = FAST, watcher: Watcher | None = None
) -> Outcome:
    return run_transfer(
        [Job(request=request, store=store)], settings=settings, events=watcher or Watcher(), stop=threading.Event()
    )[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("behind_from", [1 << 20, 1 << 40], ids=["behind", "inline"])
def test_a_large_file_comes_over_several_connections_each_byte_once(store: Store, behind_from: int) -> None:
    """The hash follows, whatever the order; the watcher is told of the connections and of every byte."""
    hub, seen = far(), []

    class Counting(Watcher):
        def connections(self, count: int) -> None:
            seen.append(count)

    watcher = Counting()
    request = request_for(LARGE, "large.bin", [hub])
    assert run(request, store, settings=replace(FAST, behind_from=behind_from), watcher=watcher).error is None
    assert object_bytes(store, request) == LARGE
    assert watcher.bytes == {"demo/large.bin": len(LARGE)}
    assert 4 <= hub.most_open <= 16
    assert max(seen) >= 4
    chunks = store.chunks(request.sha256)
    assert chunks is not None
    assert len(chunks.digests) == 6
    assert hub.open_bodies == 0


def test_no_more_connections_than_were_allowed(store: Store) -> None:
    """`--connections 3` is a promise to somebody's server."""
    hub = far()
    assert run(request_for(LARGE, "large.bin", [hub]), store, settings=replace(FAST, connections=3)).error is None
    assert hub.most_open == 3


def test_a_file_below_the_limit_comes_over_one_connection(store: Store) -> None:
    """A second one costs more than it brings."""
    hub = far()
    request = request_for(LARGE, "large.bin", [hub])
    assert run(request, store, settings=replace(FAST, ranges_from=len(LARGE) + 1)).error is None
    assert (hub.most_open, len(hub.asked)) == (1, 1)


def test_connections_that_are_cut_cost_their_parts_only(store: Store) -> None:
    """Every connection ends after 3 MiB; nothing is asked for twice, and one incident is said once."""
    hub = far()
    hub.always = Turn(pause=slow, cut_after=3 * MIB)
    request = request_for(LARGE, "large.bin", [hub])
    assert run(request, store).error is None
    assert object_bytes(store, request) == LARGE
    assert hub.sent <= len(LARGE) + 16 * MIB  # of parts that were split while they were received


def test_a_server_without_ranges_delivers_over_one_connection(store: Store) -> None:
    """Asked for a part, it sends the whole: the first connection goes on, the others leave."""
    hub = far()
    hub.always = Turn(pause=slow, ignore_range=True)
    request = request_for(LARGE, "large.bin", [hub])
    assert run(request, store).error is None
    assert object_bytes(store, request) == LARGE
    assert hub.sent <= len(LARGE) + 20 * MIB


def test_a_server_that_loses_its_ranges_costs_no_byte_that_is_here(store: Store) -> None:
    """Parts of an earlier run stay; the whole that is sent again is dropped where it is not needed."""
    request = request_for(LARGE, "large.bin", [far()])
    kept = [(0, 5 * MIB), (32 * MIB, 48 * MIB), (70 * MIB, 71 * MIB)]
    with store.partial(request.expected) as partial:
        for start, stop in kept:
            partial.write(start, memoryview(LARGE)[start:stop])
            partial.absorb(start, memoryview(LARGE)[start:stop])
    hub = far()
    hub.always = Turn(ignore_range=True)
    watcher = Watcher()
    assert run(request_for(LARGE, "large.bin", [hub]), store, watcher=watcher).error is None
    assert object_bytes(store, request) == LARGE
    assert watcher.bytes["demo/large.bin"] == len(LARGE) - 22 * MIB
    assert len(hub.asked) <= 4


def test_a_mirror_that_dies_is_followed_by_the_next_in_the_same_partial(store: Store) -> None:
    """What it sent stays; less than a part a connection is sent twice."""
    dying, hub = far("dying.example"), far()
    dead = SourceError("dying.example is down.", transient=True)

    def die(body: ScriptedBody) -> None:
        slow(body)
        if dying.sent > 30 * MIB:
            dying.always = Turn(error=dead)
            raise SourceError("dying.example cut the connection.", transient=True)

    dying.always = Turn(pause=die)
    request = request_for(LARGE, "large.bin", [dying, hub])
    watcher = Watcher()
    assert run(request, store, watcher=watcher).error is None
    assert object_bytes(store, request) == LARGE
    assert dying.sent > 30 * MIB
    assert dying.sent + hub.sent <= len(LARGE) + 16 * MIB
    assert len(watcher.retries) <= 8  # not one for each of the connections, each time


def test_a_mirror_of_two_that_lies_is_found_and_its_bytes_only_come_again(store: Store) -> None:
    """Both gave bytes; those of the lesser giver come again, and the message names it."""
    liar, hub = far("liar.example"), far()
    liar.always = Turn(flip_at=3 * MIB, cut_after=6 * MIB, pause=slow)
    liar.script = [liar.always]
    gone = SourceError("liar.example is down.", transient=True)
    liar.always = Turn(error=gone)
    notes: list[str] = []

    class Noting(Watcher):
        def note(self, text: str) -> None:
            notes.append(text)

    request = request_for(LARGE, "large.bin", [liar, hub])
    watcher = Noting()
    assert run(request, store, watcher=watcher).error is None
    assert object_bytes(store, request) == LARGE
    assert watcher.bytes["demo/large.bin"] == len(LARGE)
    assert hub.sent <= len(LARGE) + 32 * MIB
    assert notes == ["liar.example sent wrong bytes of demo/large.bin; others had the right ones."]


def test_wrong_bytes_of_the_only_source_are_exit_4(store: Store) -> None:
    """In parts as in one piece: nothing gets a name."""
    hub = far()
    hub.always = Turn(flip_at=40 * MIB)
    error = run(request_for(LARGE, "large.bin", [hub]), store).error
    assert isinstance(error, IntegrityError)
    assert objects(store) == []


def test_a_host_that_asks_for_silence_gets_it_from_all_connections(store: Store) -> None:
    """429 with Retry-After: sixteen connections that come back one by one lengthen the ban."""
    hub = far()
    asked_s: list[float] = []
    busy = SourceError("hub.example asks to wait.", transient=True, retry_after_s=0.6)

    class Busy(Far):
        def open(self, address, start, stop):  # type: ignore[no-untyped-def]
            asked_s.append(time.monotonic())
            if len(asked_s) in (6, 7, 8):
                raise busy
            return Far.open(self, address, start, stop)

    hub = Busy(files={"large.bin": LARGE}, always=Turn(pause=slow, end_after=4 * MIB))
    watcher = Watcher()
    request = request_for(LARGE, "large.bin", [hub])
    assert run(request, store, watcher=watcher).error is None
    gaps = [later - earlier for earlier, later in pairwise(asked_s)]
    assert max(gaps) >= 0.3, [round(at - asked_s[0], 3) for at in asked_s]
    # One who was asked at the same time as another says nothing of it; on a busy machine they may come in turn.
    assert 1 <= [reason for reason, _ in watcher.retries].count("hub.example asks to wait.") <= 3


def test_a_stop_in_the_middle_of_many_parts_keeps_them(store: Store) -> None:
    """Ctrl-C: soon, and what came is not asked for again."""
    hub, stop = far(), threading.Event()

    def pause(body: ScriptedBody) -> None:
        slow(body)
        if hub.sent > 40 * MIB:
            stop.set()

    hub.always = Turn(pause=pause)
    request = request_for(LARGE, "large.bin", [hub])
    with pytest.raises(InterruptedRun):
        run_transfer([Job(request=request, store=store)], settings=FAST, events=Watcher(), stop=stop)
    kept = store.partial_size(request.name)
    assert kept >= 35 * MIB
    rest = far()
    assert run(request_for(LARGE, "large.bin", [rest]), store).error is None
    assert rest.sent <= len(LARGE) - kept + 16 * MIB


def test_a_thousand_failed_opens_of_parts_leave_no_thread_and_no_descriptor(store: Store) -> None:
    """A long-lived program must not run out of either, however many connections it tried."""

    @dataclass(slots=True)
    class Flaky(Far):
        def open(self, address, start, stop):  # type: ignore[no-untyped-def]
            if len(self.asked) % 4:
                with self.lock:
                    self.asked.append((address.path, start, stop))
                raise SourceError("down.", transient=True)
            return ScriptedSource.open(self, address, start, stop)

    hub = Flaky(files={"large.bin": LARGE}, always=Turn(cut_after=300_000))
    patient = replace(FAST, retry=RetrySchedule(attempts=50, base_s=0.0, cap_s=0.0))
    threads, descriptors = thread_count(), len(os.listdir("/proc/self/fd"))
    request = request_for(LARGE, "large.bin", [hub])
    assert run(request, store, settings=patient).error is None
    assert len(hub.asked) >= 1000
    assert thread_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert hub.open_bodies == 0


def test_a_limit_of_the_rate_is_kept_over_all_connections(store: Store) -> None:
    """`--limit-rate`: never faster; how exact it is on a quiet machine is measured by benchmarks."""
    hub = far()
    begun = time.monotonic()
    request = request_for(LARGE, "large.bin", [hub])
    assert run(request, store, settings=replace(FAST, limit_rate=40 * MIB)).error is None
    due_s = len(LARGE) / (40 * MIB)
    assert 0.9 * due_s < time.monotonic() - begun < 4 * due_s


def test_a_time_limit_ends_the_run_and_keeps_what_came(store: Store) -> None:
    """Only for those who set one; the whole message."""
    hub = far()
    hub.always = Turn(pause=lambda body: body.closed.wait(0.05) and None)
    request = request_for(LARGE, "large.bin", [hub])
    with pytest.raises(SourceError) as caught:
        run(request, store, settings=replace(FAST, deadline_s=0.5, connections=2))
    assert str(caught.value) == (
        "The time limit of 0.5 s is over; what was received is kept.\n"
        f"  kept: {size_text(store.partial_size(request.name))} of {size_text(len(LARGE))}\n"
        "  done: 0 of 1 file\n"
        "  fix: run the command again to go on, or give it more time"
    )
    assert store.partial_size(request.name) > 0


def test_with_a_clock_that_stands_still_one_connection_does_it_all(store: Store) -> None:
    """Nothing is decided on measurements that were not made."""
    hub, clock = ScriptedSource(files={"large.bin": LARGE}), Clock()
    request = request_for(LARGE, "large.bin", [hub])
    outcome = run_transfer(
        [Job(request=request, store=store)],
        settings=FAST,
        events=Watcher(),
        stop=threading.Event(),
        clock=clock,
        sleep=clock.sleep,
    )[0]
    assert outcome.error is None
    assert hub.asked == [("large.bin", 0, len(LARGE))]


def test_many_small_files_get_their_names_together(store: Store) -> None:
    """Hundreds of configs: each is whole, each is said once, and nothing is left behind."""
    files = {f"f{i}": b"%d" % i * 500 for i in range(300)}
    files["empty"] = b""
    hub = ScriptedSource(files=files)
    requests = [request_for(data, path, [hub]) for path, data in files.items()]
    watcher = Watcher()
    outcomes = run_transfer(
        [Job(request=request, store=store) for request in requests],
        settings=FAST,
        events=watcher,
        stop=threading.Event(),
    )
    assert all(outcome.error is None for outcome in outcomes)
    assert sorted(watcher.done) == sorted(request.label for request in requests)
    assert [object_bytes(store, request) for request in requests] == list(files.values())
    assert os.listdir(store.root / "partial") == []
