"""Transfers from scripted sources into a real store on a real disk."""

import hashlib
import os
import random
import re
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.core.digest import EMPTY_SHA256, Expected, Sha256
from fetcher.core.interfaces import FetchRequest, NoEvents
from fetcher.core.retry import RetrySchedule
from fetcher.core.units import size_text
from fetcher.disk.partial import Partial
from fetcher.disk.store import Store
from fetcher.errors import (
    AuthError,
    BusyError,
    DiskError,
    FetcherError,
    IntegrityError,
    InterruptedRun,
    NotFoundError,
    SourceError,
)
from fetcher.transfer import Job, Outcome, TransferSettings, require_space, run_transfer
from tests.scripted import HONEST, ScriptedBody, ScriptedSource, Turn, repeated, request_for

MIB = 1 << 20
DATA = random.Random(1).randbytes(5 * MIB + 12345)
SMALL = random.Random(2).randbytes(30_000)
QUICK = TransferSettings(jobs=2, retry=RetrySchedule(attempts=4, base_s=1.0), cores=2)


class Watcher(NoEvents):
    """Counts what a progress bar would show."""

    def __init__(self) -> None:
        self.bytes: dict[str, int] = {}
        self.have: dict[str, int] = {}
        self.retries: list[tuple[str, float]] = []
        self.done: list[str] = []
        self.failed: list[str] = []
        self.started: tuple[int, int, int] | None = None
        self.ended = False

    def transfer_started(self, *, files: int, size: int, have: int) -> None:
        self.started = (files, size, have)

    def file_started(self, request: FetchRequest, *, have: int) -> None:
        self.have[request.label] = have

    def bytes_received(self, request: FetchRequest, count: int) -> None:
        self.bytes[request.label] = self.bytes.get(request.label, 0) + count

    def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
        self.retries.append((reason, delay_s))

    def file_done(self, request: FetchRequest) -> None:
        self.done.append(request.label)

    def file_failed(self, request: FetchRequest, error: Exception) -> None:
        self.failed.append(request.label)

    def transfer_done(self) -> None:
        self.ended = True


class Clock:
    """Time that passes only when somebody sleeps or says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def passes(self, seconds: float) -> "Turn":
        def pause(body: ScriptedBody) -> None:
            self.now += seconds

        return Turn(pause=pause)


def run(
    requests: list[FetchRequest],
    store: Store,
    *,
    settings: TransferSettings = QUICK,
    watcher: Watcher | None = None,
    clock: Clock | None = None,
) -> list[Outcome]:
    clock = clock or Clock()
    return run_transfer(
        [Job(request=request, store=store) for request in requests],
        settings=settings,
        events=watcher or Watcher(),
        stop=threading.Event(),
        clock=clock,
        sleep=clock.sleep,
    )


def error_of(outcomes: list[Outcome]) -> FetcherError:
    assert len(outcomes) == 1
    assert outcomes[0].error is not None
    return outcomes[0].error


def object_bytes(store: Store, request: FetchRequest) -> bytes:
    path = store.object_path(request.sha256)
    assert path.stat().st_mode & 0o777 == 0o444
    return path.read_bytes()


def objects(store: Store) -> list[Path]:
    return sorted(path for path in (store.root / "objects" / "sha256").rglob("*") if path.is_file())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def hub() -> ScriptedSource:
    return ScriptedSource(files={"big.bin": DATA, "small.json": SMALL, "empty": b""})


# the plain road


def test_files_arrive_whole_and_the_bar_ends_at_their_size(store: Store, hub: ScriptedSource) -> None:
    """What a watcher is told must add up to what came, or a bar never reaches its end."""
    requests = [request_for(DATA, "big.bin", [hub]), request_for(SMALL, "small.json", [hub])]
    watcher = Watcher()
    outcomes = run(requests, store, watcher=watcher)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [object_bytes(store, request) for request in requests] == [DATA, SMALL]
    assert watcher.bytes == {"demo/big.bin": len(DATA), "demo/small.json": len(SMALL)}
    assert watcher.started == (2, len(DATA) + len(SMALL), 0)
    assert sorted(watcher.done) == ["demo/big.bin", "demo/small.json"]
    assert watcher.ended
    assert not list((store.root / "partial").iterdir())
    assert hub.open_bodies == 0


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_a_large_file_hashed_behind_the_reader_is_the_same(store: Store, hub: ScriptedSource, jobs: int) -> None:
    """The ring of buffers must not lose, double or reorder a byte, whatever comes in one read."""
    hub.always = Turn(piece=33_333)
    request = request_for(DATA, "big.bin", [hub])
    behind = replace(QUICK, jobs=jobs, behind_from=MIB, cores=64, buffer_size=64 << 10)
    assert run([request], store, settings=behind)[0].error is None
    assert object_bytes(store, request) == DATA


def test_several_large_files_are_received_at_once_from_the_beginning(store: Store, hub: ScriptedSource) -> None:
    """One after the other they would wait for each other's disk; each is one thread's, which hashes it too."""
    names, together = ["a.bin", "b.bin", "c.bin", "d.bin"], threading.Barrier(4)
    hub.files = {name: name.encode() + DATA for name in names}
    met: set[int] = set()
    seen: set[str] = set()

    def meet(body: ScriptedBody) -> None:
        if id(body) not in met:
            met.add(id(body))
            together.wait(20)
            seen.update(thread.name for thread in threading.enumerate())

    hub.always = Turn(pause=meet)
    settings = replace(QUICK, jobs=8, behind_from=1, cores=4)
    outcomes = run([request_for(hub.files[name], name, [hub]) for name in names], store, settings=settings)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert "fetcher-hash" not in seen


def test_a_source_that_caps_its_replies_is_asked_on(store: Store, hub: ScriptedSource) -> None:
    """At once: each reply brings something."""
    watcher, hub.always = Watcher(), Turn(most=MIB)
    request = request_for(DATA, "big.bin", [hub])
    assert run([request], store, watcher=watcher)[0].error is None
    assert object_bytes(store, request) == DATA
    assert watcher.retries == []


def test_a_source_that_gives_a_byte_a_reply_is_given_up(store: Store, hub: ScriptedSource) -> None:
    """It would otherwise be asked for ever, without a wait."""
    hub.always = Turn(most=1)
    error = error_of(run([request_for(SMALL, "small.json", [hub])], store))
    assert error.what == "hub.example sends too little at once."
    assert len(hub.asked) < 20


def test_an_empty_file_needs_no_request(store: Store, hub: ScriptedSource) -> None:
    """Some servers answer a range of an empty file with 416, and there is nothing to ask for."""
    request = request_for(b"", "empty", [hub])
    assert run([request], store)[0].error is None
    assert object_bytes(store, request) == b""
    assert hub.asked == []


def test_an_empty_file_with_another_hash_is_refused(store: Store, hub: ScriptedSource) -> None:
    """A lock that is wrong by hand must not make an empty object under a wrong name."""
    request = replace(request_for(b"", "empty", [hub]), sha256=Sha256("1" * 64))
    assert isinstance(error_of(run([request], store)), IntegrityError)
    assert not store.has(Sha256("1" * 64), 0)
    assert not store.has(EMPTY_SHA256, 0)


def test_what_is_in_the_store_is_not_asked_for(store: Store, hub: ScriptedSource) -> None:
    """Another project may have brought it since the plan was made."""
    store.add_bytes(SMALL)
    assert run([request_for(SMALL, "small.json", [hub])], store)[0].error is None
    assert hub.asked == []


def test_a_digest_in_two_jobs_is_fetched_once(store: Store, hub: ScriptedSource) -> None:
    """Two models with the same tokenizer must not pay twice, nor fight for one partial."""
    request = request_for(DATA, "big.bin", [hub])
    outcomes = run([request, replace(request, label="other/big.bin")], store)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [outcome.request.label for outcome in outcomes] == ["demo/big.bin", "other/big.bin"]
    assert hub.sent == len(DATA)


def test_small_files_do_not_wait_for_the_large_ones(store: Store) -> None:
    """With several workers the configs of a model are here long before its weights."""
    finished: list[str] = []

    class Order(Watcher):
        def file_done(self, request: FetchRequest) -> None:
            finished.append(request.label)

    gate = threading.Event()

    def wait(body: ScriptedBody) -> None:
        gate.wait(5)

    large = {f"large{i}": random.Random(i).randbytes(2 * MIB) for i in range(3)}
    small = {f"small{i}": random.Random(9 + i).randbytes(1000) for i in range(5)}
    hub = ScriptedSource(files={**large, **small})
    requests = [request_for(data, name, [hub]) for name, data in {**large, **small}.items()]

    class Release(Order):
        def file_done(self, request: FetchRequest) -> None:
            super().file_done(request)
            if len(finished) == 5:
                gate.set()

    slow = ScriptedSource(files=large, always=Turn(pause=wait))
    requests = [request_for(data, name, [slow]) for name, data in large.items()] + requests[3:]
    outcomes = run(requests, store, watcher=Release())
    assert all(outcome.error is None for outcome in outcomes)
    assert all(label.startswith("demo/small") for label in finished[:5])


# faults, and going on


def test_a_link_that_is_cut_every_mebibyte_finishes(store: Store, hub: ScriptedSource) -> None:
    """Progress starts the count of tries anew; no byte is asked for twice; no long waits."""
    hub.always = Turn(cut_after=MIB)
    request = request_for(DATA, "big.bin", [hub])
    clock = Clock()
    assert run([request], store, clock=clock)[0].error is None
    assert object_bytes(store, request) == DATA
    assert hub.sent == len(DATA)
    assert sum(clock.slept) == 0


def test_what_came_before_a_cut_is_durable_before_the_wait(store: Store, hub: ScriptedSource) -> None:
    """Waits can be minutes; a kill during one must not cost what is here."""
    hub.script = [Turn(cut_after=MIB)]
    request = request_for(DATA, "big.bin", [hub])
    kept: list[int] = []

    class Look(Watcher):
        def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
            kept.append(store.partial_size(request.name))

    assert run([request], store, watcher=Look())[0].error is None
    assert kept == [MIB]


def test_a_link_that_brings_little_each_time_finishes_too(store: Store, hub: ScriptedSource) -> None:
    """Even a kilobyte a try is progress; but it is not asked for in a busy loop."""
    hub.always = Turn(cut_after=1000)
    request = request_for(SMALL, "small.json", [hub])
    clock = Clock()
    assert run([request], store, clock=clock)[0].error is None
    assert hub.sent == len(SMALL)
    assert all(wait >= 0.5 for wait in clock.slept)
    assert len(clock.slept) == 29


def test_a_link_that_brings_nothing_ends_in_an_error_after_its_tries(store: Store, hub: ScriptedSource) -> None:
    """A dead server must not hang a CI job: 4 tries, 3 waits that grow, exit 5."""
    hub.always = Turn(cut_after=0)
    clock, watcher = Clock(), Watcher()
    error = error_of(run([request_for(DATA, "big.bin", [hub])], store, clock=clock, watcher=watcher))
    assert isinstance(error, SourceError)
    assert str(error) == "hub.example cut the connection."
    assert len(hub.asked) == 4
    assert len(clock.slept) == len(watcher.retries) == 3
    assert watcher.failed == ["demo/big.bin"]


def test_retry_after_is_waited_for(store: Store, hub: ScriptedSource) -> None:
    """429 with Retry-After: coming back earlier lengthens the ban."""
    hub.script = [Turn(error=SourceError("busy.", transient=True, retry_after_s=17.0))]
    clock = Clock()
    assert run([request_for(SMALL, "small.json", [hub])], store, clock=clock)[0].error is None
    assert 17.0 <= clock.slept[0] <= 17.0 * 1.1


def test_a_stall_is_given_up_and_resumed(store: Store, hub: ScriptedSource) -> None:
    """A connection that is open and silent is the most common hang of large downloads."""
    clock = Clock()
    calls = []

    def pause(body: ScriptedBody) -> None:
        calls.append(body)
        if len(calls) == 3:
            clock.now += 61

    hub.script = [Turn(pause=pause, piece=100_000)]
    watcher = Watcher()
    request = request_for(DATA, "big.bin", [hub])
    assert run([request], store, clock=clock, watcher=watcher)[0].error is None
    assert [reason for reason, _ in watcher.retries] == ["hub.example sent nothing for 60 s."]
    assert hub.sent == len(DATA)


def test_a_reader_that_hangs_is_freed_from_outside(store: Store, hub: ScriptedSource) -> None:
    """A source without a time limit of its own must not hold a run for ever."""
    real_stall = Turn(pause=lambda body: body.closed.wait(20) and None)
    hub.script = [real_stall]
    watcher = Watcher()
    begun = time.monotonic()
    outcomes = run_transfer(
        [Job(request=request_for(SMALL, "small.json", [hub]), store=store)],
        settings=replace(QUICK, idle_timeout_s=0.2, retry=RetrySchedule(base_s=0.01)),
        events=watcher,
        stop=threading.Event(),
    )
    assert outcomes[0].error is None
    assert [reason for reason, _ in watcher.retries] == ["hub.example sent nothing for 0.2 s."]
    assert time.monotonic() - begun < 10


def test_a_trickle_below_the_least_speed_is_given_up(store: Store, hub: ScriptedSource) -> None:
    """A byte now and then defeats an idle limit; the window of bytes does not."""
    clock = Clock()
    hub.script = [replace(clock.passes(20), piece=1000)]
    watcher = Watcher()
    request = request_for(DATA, "big.bin", [hub])
    assert run([request], store, clock=clock, watcher=watcher)[0].error is None
    assert [reason for reason, _ in watcher.retries] == ["hub.example sends too slowly."]
    assert hub.sent == len(DATA)


@pytest.mark.parametrize(
    "turn",
    [
        Turn(ignore_range=True),
        Turn(ignore_range=True, unknown_length=True),
        Turn(unknown_length=True),
        Turn(end_after=2 * MIB),
        Turn(end_after=2 * MIB, unknown_length=True),
        Turn(shift=7),
        Turn(shift=-7),
        Turn(length=100),
        Turn(content_type="application/json", ignore_range=True, length=77),
    ],
)
def test_an_odd_reply_in_the_middle_ends_in_right_bytes(store: Store, hub: ScriptedSource, turn: Turn) -> None:
    """Servers that ignore ranges, shift them or lie about lengths, after one cut."""
    hub.script = [Turn(cut_after=MIB), turn]
    request = request_for(DATA, "big.bin", [hub])
    outcome = run([request], store)[0]
    if isinstance(outcome.error, IntegrityError):
        assert turn.length == 100  # a range longer than announced is refused; there is no other source
        assert not objects(store)
    else:
        assert outcome.error is None
        assert object_bytes(store, request) == DATA


def test_a_file_that_changed_on_the_server_is_refused_before_its_first_byte(store: Store, hub: ScriptedSource) -> None:
    """The whole message: this is what a user sees when an upstream was re-uploaded."""
    hub.always = Turn(total=len(DATA) + 29)
    error = error_of(run([request_for(DATA, "big.bin", [hub])], store))
    assert error.exit_code == 4
    assert str(error) == (
        "demo/big.bin has changed on the server.\n"
        f"  locked: {len(DATA)} bytes\n"
        f"  offered: {len(DATA) + 29} bytes\n"
        "  host: hub.example\n"
        "  fix: run `fetcher lock --upgrade demo` to accept the new file, or pin a revision"
    )
    assert hub.sent == 0


@pytest.mark.parametrize(("data", "path"), [(DATA, "big.bin"), (SMALL, "small.json")])
def test_a_flipped_byte_is_exit_4_and_nothing_gets_a_name(
    store: Store, hub: ScriptedSource, data: bytes, path: str
) -> None:
    """The host is named, since it is the one to complain to; the bar goes back to zero."""
    hub.always = Turn(flip_at=20_000)
    watcher = Watcher()
    request = request_for(data, path, [hub])
    error = error_of(run([request], store, watcher=watcher))
    wrong = data[:20_000] + bytes([data[20_000] ^ 1]) + data[20_001:]
    assert error.exit_code == 4
    assert str(error) == (
        f"hub.example sent other bytes than the lock has for demo/{path}.\n"
        f"  locked: sha256 {request.sha256}\n"
        f"  received: sha256 {hashlib.sha256(wrong).hexdigest()}\n"
        "  fix: run `fetcher lock --upgrade demo` if the change is wanted, or use another source"
    )
    assert objects(store) == []
    assert watcher.bytes[f"demo/{path}"] == 0
    assert hub.sent == len(data)


# candidates


def test_the_next_candidate_continues_the_same_partial(store: Store, hub: ScriptedSource) -> None:
    """A mirror that dies at 40 % must not cost what it has sent."""
    dead = SourceError("dying.example is down.", transient=True)
    dying = ScriptedSource(
        files=hub.files, label="dying.example", script=[Turn(cut_after=2 * MIB)], always=Turn(error=dead)
    )
    request = request_for(DATA, "big.bin", [dying, hub])
    clock = Clock()
    assert run([request], store, clock=clock)[0].error is None
    assert object_bytes(store, request) == DATA
    assert dying.sent + hub.sent == len(DATA)
    assert len(dying.asked) == 3
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    "error",
    [NotFoundError("gone."), AuthError("no."), SourceError("strange.")],
    ids=["not found", "not authorised", "not understood"],
)
def test_a_fault_that_will_not_pass_moves_on_at_once(store: Store, hub: ScriptedSource, error: FetcherError) -> None:
    """Asking again for a file that is not there only costs time."""
    other = ScriptedSource(files={}, label="other.example", always=Turn(error=error))
    clock = Clock()
    assert run([request_for(SMALL, "small.json", [other, hub])], store, clock=clock)[0].error is None
    assert len(other.asked) == 1
    assert clock.slept == []


def test_a_mirror_with_wrong_bytes_is_dropped_and_the_run_ends_well(store: Store, hub: ScriptedSource) -> None:
    """One poisoned mirror is no reason to fail; it is asked no second time for this digest."""
    liar = ScriptedSource(files=hub.files, label="liar.example", always=Turn(flip_at=5))
    request = request_for(DATA, "big.bin", [liar, hub])
    assert run([request], store)[0].error is None
    assert object_bytes(store, request) == DATA
    assert len(liar.asked) == 1


def test_wrong_bytes_of_two_are_fetched_again_and_the_guilty_one_is_found(store: Store, hub: ScriptedSource) -> None:
    """When both gave bytes nobody is proven guilty; the second time the liar is dropped."""
    liar = ScriptedSource(
        files=hub.files, label="liar.example", script=[Turn(cut_after=MIB, flip_at=5)], always=Turn(flip_at=5)
    )
    hub.script = [Turn(error=SourceError("late.", transient=True))]
    liar.script += repeated(Turn(error=SourceError("down.", transient=True)), 2)
    request = request_for(DATA, "big.bin", [liar, hub])
    assert run([request], store)[0].error is None
    assert object_bytes(store, request) == DATA


def test_when_all_fail_wrong_bytes_weigh_most_and_all_are_named(store: Store) -> None:
    """Exit 4 must not hide behind a mirror that was merely down."""
    down = ScriptedSource(files={}, label="down.example", always=Turn(error=NotFoundError("down.example has no file.")))
    liar = ScriptedSource(files={"small.json": SMALL}, label="liar.example", always=Turn(flip_at=5))
    error = error_of(run([request_for(SMALL, "small.json", [down, liar])], store))
    assert isinstance(error, IntegrityError)
    assert error.what == "liar.example sent other bytes than the lock has for demo/small.json."
    assert error.facts[-1] == "also tried: down.example has no file."


def test_one_file_that_fails_leaves_the_others_alone(store: Store, hub: ScriptedSource) -> None:
    """`--keep-going` relies on it, and so does the next run, which finds the others done."""
    gone = ScriptedSource(files={}, always=Turn(error=NotFoundError("gone.")))
    outcomes = run([request_for(DATA, "big.bin", [gone]), request_for(SMALL, "small.json", [hub])], store)
    assert isinstance(outcomes[0].error, NotFoundError)
    assert outcomes[1].error is None


def test_the_first_failure_ends_the_run_if_it_is_not_to_keep_going(store: Store, hub: ScriptedSource) -> None:
    """A sync that cannot succeed should not go on moving gigabytes."""
    lost = ScriptedSource(files={}, label="lost", always=Turn(error=NotFoundError("No such file.")))
    requests = [request_for(b"a", "a", [lost]), *(request_for(bytes([i]) * 9, f"f{i}", [hub]) for i in range(20))]
    hub.files.update({f"f{i}": bytes([i]) * 9 for i in range(20)})
    with pytest.raises(NotFoundError):
        run(requests, store, settings=replace(QUICK, jobs=1, keep_going=False))
    assert objects(store) == []


def test_no_candidate_at_all_is_an_error_that_says_so(store: Store) -> None:
    """A lock written by hand may name no source."""
    error = error_of(run([request_for(SMALL, "small.json", [])], store))
    assert str(error) == "There is no source for demo/small.json.\n  fix: run `fetcher lock` to pin one"


# stopping, and other runs


def test_a_stop_ends_a_hanging_run_within_a_second_and_keeps_the_bytes(store: Store, hub: ScriptedSource) -> None:
    """Ctrl-C: open chunks are recorded, and the next run asks only for the rest."""
    stop = threading.Event()

    def hang(body: ScriptedBody) -> None:
        if hub.sent >= 3 * MIB:
            stop.set()
            body.closed.wait(20)

    hub.script = [Turn(pause=hang, piece=MIB)]
    request = request_for(DATA, "big.bin", [hub])
    begun = time.monotonic()
    with pytest.raises(InterruptedRun) as caught:
        run_transfer([Job(request=request, store=store)], settings=QUICK, events=Watcher(), stop=stop)
    assert time.monotonic() - begun < 1.5
    kept = store.partial_size(request.name)
    assert kept >= 3 * MIB
    assert str(caught.value) == (
        "Interrupted; what was received is kept.\n"
        f"  kept: {size_text(kept)} of {size_text(len(DATA))}\n"
        "  done: 0 of 1 file\n"
        "  fix: run the command again to go on"
    )
    watcher = Watcher()
    assert run([request], store, watcher=watcher)[0].error is None
    assert watcher.have == {"demo/big.bin": kept}
    assert hub.sent == len(DATA)


def test_a_stop_ends_a_wait_between_tries(store: Store, hub: ScriptedSource) -> None:
    """A Retry-After of minutes must not keep a terminal from its prompt."""
    stop = threading.Event()
    hub.always = Turn(error=SourceError("busy.", transient=True, retry_after_s=100.0))

    class StopAtRetry(Watcher):
        def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
            stop.set()

    begun = time.monotonic()
    with pytest.raises(InterruptedRun):
        run_transfer(
            [Job(request=request_for(SMALL, "small.json", [hub]), store=store)],
            settings=QUICK,
            events=StopAtRetry(),
            stop=stop,
        )
    assert time.monotonic() - begun < 1.5


def test_a_partial_held_by_another_is_waited_for_and_its_object_found(store: Store, hub: ScriptedSource) -> None:
    """Two fetchers, one store: the second waits politely and downloads nothing."""
    request = request_for(DATA, "big.bin", [hub])
    other = store.partial(request.expected)
    clock = Clock()

    def finish(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            other.write(0, memoryview(DATA))
            other.absorb(0, memoryview(DATA))
            other.publish()

    outcomes = run_transfer(
        [Job(request=request, store=store)],
        settings=QUICK,
        events=Watcher(),
        stop=threading.Event(),
        clock=clock,
        sleep=finish,
    )
    assert outcomes[0].error is None
    assert hub.asked == []
    assert object_bytes(store, request) == DATA


class LateStore(Store):
    """Whoever held the claim on a partial publishes just before it is given to us."""

    def partial(self, expected: Expected, **options: Any) -> Partial:
        self.add_bytes(DATA)
        return super().partial(expected, **options)


def test_an_object_that_came_between_the_look_and_the_claim_is_not_fetched_again(
    tmp_path: Path, hub: ScriptedSource
) -> None:
    """Eight processes wait for one object; its publication must be the end for all."""
    late = LateStore(tmp_path / "late")
    assert run([request_for(DATA, "big.bin", [hub])], late)[0].error is None
    assert hub.asked == []
    assert os.listdir(late.root / "partial") == []


def test_a_holder_without_progress_is_exit_10_after_the_wait(store: Store, hub: ScriptedSource) -> None:
    """A hung fetcher elsewhere must not hang this one for ever."""
    request = request_for(DATA, "big.bin", [hub])
    with store.partial(request.expected):
        error = error_of(run([request], store))
    assert isinstance(error, BusyError)
    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME", str(error)) == (
        "Another fetcher is downloading the same file.\n"
        f"  holder: process {os.getpid()} on {socket.gethostname()} since TIME\n"
        f"  partial: {store.partial_folder(request.name)}\n"
        "  fix: wait for it to end and run the command again"
    )


def test_bytes_of_an_earlier_run_that_were_wrong_cost_one_more_download(store: Store, hub: ScriptedSource) -> None:
    """A server that lied yesterday must not make today's honest one look guilty."""
    request = request_for(DATA, "big.bin", [hub])
    wrong = b"\0" + DATA[1:MIB]
    with store.partial(request.expected) as partial:
        partial.write(0, memoryview(wrong))
        partial.absorb(0, memoryview(wrong))
    assert run([request], store)[0].error is None
    assert object_bytes(store, request) == DATA


def test_a_bug_in_a_watcher_is_raised_to_the_caller(store: Store, hub: ScriptedSource) -> None:
    """A worker that dies silently would leave a run that never ends, or ends as if all were well."""

    class Broken(Watcher):
        def file_started(self, request: FetchRequest, *, have: int) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([request_for(DATA, "big.bin", [hub])], store, watcher=Broken())


def thread_count() -> int:
    """Without the one that keeps all leases fresh, which ends a moment after the last of them."""
    return sum(thread.name != "fetcher-pulse" for thread in threading.enumerate())


def test_a_thousand_failures_leave_no_thread_and_no_descriptor(store: Store, hub: ScriptedSource) -> None:
    """A long-lived program that syncs for weeks must not run out of either."""
    hub.always = Turn(error=SourceError("down.", transient=True))
    patient = replace(QUICK, jobs=4, retry=RetrySchedule(attempts=50))
    big = [request_for(random.Random(i).randbytes(MIB), f"f{i}", [hub]) for i in range(10)]
    small = [request_for(b"%d" % i, f"s{i}", [hub]) for i in range(10)]
    run(big[:1], store, settings=patient)
    threads, descriptors = thread_count(), len(os.listdir("/proc/self/fd"))
    outcomes = run(big + small, store, settings=patient)
    assert all(isinstance(outcome.error, SourceError) for outcome in outcomes)
    assert len(hub.asked) >= 1000
    assert thread_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert hub.open_bodies == 0


# room


def test_not_enough_room_is_exit_11_before_the_first_byte(store: Store, hub: ScriptedSource) -> None:
    """Found after 50 GB, it costs an hour; both figures are said."""
    request = replace(request_for(DATA, "big.bin", [hub]), size=1 << 60)
    free = store.free_bytes() + (1 << 30)
    with pytest.raises(DiskError) as caught:
        require_space([Job(request=request, store=store)])
    lines = str(caught.value).splitlines()
    assert lines[0] == "There is not enough room for the files to come; nothing was fetched."
    assert lines[1] == f"  needed: {1 << 60} bytes"
    assert int(lines[2].split()[1]) < free
    assert lines[3:] == [
        f"  store: {store.root}",
        "  fix: free some space, or set FETCHER_STORE to a folder on another disk",
    ]
    assert not store.root.exists()


def test_room_that_is_reserved_or_shared_is_not_asked_for_twice(tmp_path: Path, hub: ScriptedSource) -> None:
    """A partial is preallocated, a digest wanted twice comes once, an object is here already."""

    class Tight(Store):
        def free_bytes(self) -> int:
            return len(DATA)

    store = Tight(tmp_path / "store")
    store.add_bytes(SMALL)
    job = Job(request=request_for(DATA, "big.bin", [hub]), store=store)
    here = Job(request=request_for(SMALL, "small.json", [hub]), store=store)
    require_space([job, job, here])
    other = random.Random(3).randbytes(4 * MIB)
    with store.partial(request_for(other, "other", [hub]).expected):
        require_space([job, Job(request=request_for(other, "other", [hub]), store=store)])
    with pytest.raises(DiskError):
        require_space([job, Job(request=request_for(b"x", "x", [hub]), store=store)])


# any fault at all

SIZES = st.integers(0, 3 * MIB)
TURNS = st.builds(
    Turn,
    error=st.sampled_from(
        [None, None, None, SourceError("t.", transient=True), NotFoundError("n."), SourceError("p.")]
    ),
    ignore_range=st.booleans(),
    shift=st.sampled_from([0, 0, 0, 1, -1, 4096]),
    total=st.sampled_from([None, None, None, 5]),
    length=st.sampled_from([None, None, None, 1000, 5 * MIB]),
    unknown_length=st.booleans(),
    cut_after=st.none() | SIZES,
    end_after=st.none() | SIZES,
    flip_at=st.none() | st.none() | SIZES,
    piece=st.sampled_from([1 << 30, 70_001]),
    excess=st.sampled_from([0, 0, 9]),
    content_type=st.sampled_from(["", "application/json"]),
)
ANY = random.Random(4).randbytes(2 * MIB + 77)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scripts=st.lists(st.tuples(st.lists(TURNS, max_size=6), st.just(HONEST) | TURNS), min_size=1, max_size=3),
    length=st.sampled_from([3000, len(ANY)]),
    behind=st.sampled_from([1 << 20, 1 << 40]),
)
def test_any_faults_end_in_right_bytes_or_an_error_never_in_a_wrong_object(
    tmp_path_factory: pytest.TempPathFactory,
    scripts: list[tuple[list[Turn], Turn]],
    length: int,
    behind: int,
) -> None:
    """The promise of the whole tool, whatever any number of sources does."""
    store = Store(tmp_path_factory.mktemp("any"))
    data = ANY[:length]
    sources = [
        ScriptedSource(files={"f": data}, label=f"s{i}", script=list(script), always=always)
        for i, (script, always) in enumerate(scripts)
    ]
    request = request_for(data, "f", sources)
    watcher = Watcher()
    outcome = run([request], store, watcher=watcher, settings=replace(QUICK, behind_from=behind))[0]
    if outcome.error is None:
        assert object_bytes(store, request) == data
        assert watcher.bytes["demo/f"] == length
    else:
        assert objects(store) == []
        assert outcome.error.exit_code in (4, 5, 7)
    assert all(source.open_bodies == 0 for source in sources)
