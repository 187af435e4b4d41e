"""Carry out downloads: several files at a time, from the sources that it is handed, into stores.

Not in here: what to fetch (core/plan.py), the rules of a reply (core/download.py), waits
and the choice among candidates (core/retry.py), the disk (disk/).

Promises (tests/test_transfer.py):
  * a file is done only when its size and sha256 are the locked ones; whatever a source
    does, a wrong object never gets a name;
  * bytes that were received are kept: after a cut, a stop, a kill, a change of source;
  * one file's failure leaves the others alone;
  * when `run_transfer` returns, no thread and no descriptor of it is left.
"""

import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fetcher.core.digest import EMPTY_SHA256, Sha256
from fetcher.core.download import Download
from fetcher.core.interfaces import Body, Candidate, Events, FetchRequest
from fetcher.core.retry import RetrySchedule, Tries
from fetcher.disk.claim import last_write
from fetcher.disk.partial import Partial, wrong_bytes
from fetcher.disk.sink import BehindSink, InlineSink, MemorySink, Sink
from fetcher.disk.store import SMALL_BELOW, Store
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

_TICK_S = 0.1  # how often the calling thread looks after the workers
_GRACE_S = 0.9  # after a stop, how long a worker may take to end; then it is left to its timeout
_FLUSH_S = 0.5  # bytes of a slow link wait no longer than this in a buffer
_FAULTS_OF_SOURCES = (AuthError, IntegrityError, NotFoundError, SourceError)

Sleep = Callable[[float], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A digest to be fetched and the store that takes it."""

    request: FetchRequest
    store: Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended; without an error the object is in the store."""

    request: FetchRequest
    error: FetcherError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSettings:
    """How to transfer.

    Attributes:
        jobs: Files at a time.
        buffer_size: Bytes received and written at once (performance.md, "Disk").
        behind_from: Size in bytes from which a file may be hashed by a thread of its own.
        idle_timeout_s: Seconds without a byte after which a reply is given up.
        low_speed_bytes_s: Least speed, measured over `low_speed_time_s`; 0 allows any.
        claim_wait_s: Seconds to wait for another fetcher that makes no progress.
        cores: Processors; decides who hashes.
        keep_going: Whether the other files go on when one fails.
    """

    jobs: int = 8
    buffer_size: int = 256 << 10
    behind_from: int = 64 << 20
    idle_timeout_s: float = 60.0
    low_speed_bytes_s: int = 256
    low_speed_time_s: float = 60.0
    claim_wait_s: float = 120.0
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_going: bool = True
    retry: RetrySchedule = field(default_factory=RetrySchedule)


def require_space(jobs: Sequence[Job]) -> None:
    """Refuse to begin what cannot fit; room that partials have reserved counts as theirs.

    Raises:
        DiskError: With the bytes needed and the bytes free.
    """
    needed: dict[int, int] = {}
    stores: dict[int, Store] = {}
    for job in _unique(jobs):
        size, sha256 = job.request.size, job.request.sha256
        if job.store.has(sha256, size):
            continue
        device = job.store.device()
        stores.setdefault(device, job.store)
        needed[device] = needed.get(device, 0) + max(0, size - job.store.partial_room(sha256))
    for device, store in stores.items():
        free = store.free_bytes()
        if needed[device] > free:
            raise DiskError(
                "There is not enough room for the files to come; nothing was fetched.",
                facts=[f"needed: {needed[device]} bytes", f"free: {free} bytes", f"store: {store.root}"],
                fix="free some space, or set FETCHER_STORE to a folder on another disk",
            )


def run_transfer(
    jobs: Sequence[Job],
    *,
    settings: TransferSettings,
    events: Events,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
    sleep: Sleep | None = None,
) -> list[Outcome]:
    """Fetch all jobs; a digest that two of them want is fetched once.

    Args:
        stop: When set, the workers save what they have and end.
        sleep: Waits between tries; None waits for real, until `stop` at most.

    Returns:
        One outcome for each job, in the order of `jobs`.

    Raises:
        InterruptedRun: `stop` was set before all was done; what was received is kept.
        FetcherError: The first failure, if the settings say not to keep going.
    """
    unique = _unique(jobs)
    run = _Run(unique, settings=settings, events=events, stop=stop, clock=clock, sleep=sleep)
    have = sum(_on_disk(job) for job in unique)
    events.transfer_started(files=len(unique), size=sum(job.request.size for job in unique), have=have)
    try:
        run.carry_out()
    finally:
        events.transfer_done()
    if not settings.keep_going and (failed := next(filter(None, run.errors.values()), None)):
        raise failed
    if stop.is_set() and len(run.errors) < len(unique):
        raise InterruptedRun(
            "Interrupted; what was received is kept.",
            facts=[f"done: {len(run.errors)} of {len(unique)} files"],
            fix="run the command again to go on",
        )
    return [Outcome(request=job.request, error=run.errors[_key(job)]) for job in jobs]


class _Line:
    """One reply on its way, watched for stalls by the calling thread."""

    def __init__(self, body: Body, settings: TransferSettings, clock: Callable[[], float]) -> None:
        self._body = body
        self._settings = settings
        self._clock = clock
        self._latest = self._window_start = clock()
        self._window_bytes = 0
        self._stalled = threading.Event()

    def came(self, count: int) -> None:
        """Take note of `count` bytes.

        Raises:
            SourceError: The reply stalled, or is slower than the least speed.
        """
        now = self._clock()
        if self._stalled.is_set() or now - self._latest > self._settings.idle_timeout_s:
            raise self.stalled_error()
        self._latest = now
        self._window_bytes += count
        elapsed = now - self._window_start
        if elapsed < self._settings.low_speed_time_s:
            return
        if self._window_bytes < self._settings.low_speed_bytes_s * elapsed:
            raise SourceError(
                f"{self._host} sends too slowly.",
                facts=[f"received: {self._window_bytes} bytes in {elapsed:.0f} s"],
                fix="run the command again; what was received is kept",
                transient=True,
            )
        self._window_start, self._window_bytes = now, 0

    def look(self) -> None:
        """Close the reply if it stalls (called by another thread than the reader's)."""
        if not self._stalled.is_set() and self._clock() - self._latest > self._settings.idle_timeout_s:
            self._stalled.set()
            self._body.close()

    def end(self) -> None:
        """Close the reply, whatever its reader is doing."""
        self._body.close()

    def has_stalled(self) -> bool:
        """Whether the reply was closed by `look`."""
        return self._stalled.is_set()

    def stalled_error(self) -> SourceError:
        """What a stall is called."""
        return SourceError(
            f"{self._host} sent nothing for {self._settings.idle_timeout_s:g} s.",
            fix="run the command again; what was received is kept",
            transient=True,
        )

    @property
    def _host(self) -> str:
        return self._body.head.host or "The server"


class _Queue:
    """Jobs not begun yet.  Large and small files have each their share of the workers."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        by_size = sorted(jobs, key=lambda job: -job.request.size)
        self._large = deque(job for job in by_size if job.request.size >= SMALL_BELOW)
        self._small = deque(job for job in jobs if job.request.size < SMALL_BELOW)
        self._lock = threading.Lock()

    def next(self, worker: int) -> Job | None:
        """The next job of a worker: the largest file for even ones, a small one for odd ones."""
        first, second = (self._large, self._small) if worker % 2 == 0 else (self._small, self._large)
        with self._lock:
            queue = first or second
            return queue.popleft() if queue else None


class _Run:
    """One call of `run_transfer`: its workers and what they share."""

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        settings: TransferSettings,
        events: Events,
        stop: threading.Event,
        clock: Callable[[], float],
        sleep: Sleep | None,
    ) -> None:
        self.errors: dict[tuple[Sha256, str], FetcherError | None] = {}  # of the jobs that ended
        self.settings = settings
        self.events = events
        self._stop = stop
        self._over = threading.Event()  # stopped, or a worker met a bug, or the caller an exception
        self.clock = clock
        self._sleep = sleep or self._over.wait
        self._queue = _Queue(jobs)
        self._count = min(settings.jobs, len(jobs))
        self._lock = threading.Lock()
        self._lines: set[_Line] = set()
        self._crash: BaseException | None = None
        self._at_work = 0

    # the calling thread

    def carry_out(self) -> None:
        """Start the workers and look after them until they end."""
        workers = [
            threading.Thread(target=self._work, args=(index,), name=f"fetcher-{index}", daemon=True)
            for index in range(self._count)
        ]
        for worker in workers:
            worker.start()
        try:
            while not self._is_over() and any(worker.is_alive() for worker in workers):
                self._wait_for(workers, _TICK_S)
                for line in self._open_lines():
                    line.look()
        finally:
            if any(worker.is_alive() for worker in workers):
                self._over.set()
            self._wind_down(workers)
        if self._crash is not None:
            raise self._crash

    def _wait_for(self, workers: Sequence[threading.Thread], seconds: float) -> None:
        end = time.monotonic() + seconds
        for worker in workers:
            worker.join(max(0.0, end - time.monotonic()))

    def _wind_down(self, workers: Sequence[threading.Thread]) -> None:
        """Let the workers save and end; replies that keep one waiting are closed."""
        end = time.monotonic() + _GRACE_S
        while any(worker.is_alive() for worker in workers) and time.monotonic() < end:
            self._wait_for(workers, _TICK_S)
            for line in self._open_lines():
                line.end()

    def _open_lines(self) -> list[_Line]:
        with self._lock:
            return list(self._lines)

    def _is_over(self) -> bool:
        return self._over.is_set() or self._stop.is_set()

    # the workers

    def _work(self, index: int) -> None:
        try:
            while not self._is_over() and (job := self._queue.next(index)):
                self._do(job)
        except BaseException as error:  # noqa: BLE001  handed to the calling thread, which raises it
            self._crash = error
            self._over.set()

    def _do(self, job: Job) -> None:
        with self._lock:
            self._at_work += 1
        try:
            self._fetch(job)
        except InterruptedRun:
            return
        except FetcherError as error:
            self.errors[_key(job)] = error
            self.events.file_failed(job.request, error)
            if not self.settings.keep_going:
                self._over.set()
        else:
            self.errors[_key(job)] = None
            self.events.file_done(job.request)
        finally:
            with self._lock:
                self._at_work -= 1

    def _fetch(self, job: Job) -> None:
        request, store = job.request, job.store
        if store.has(request.sha256, request.size):
            return
        if request.size == 0:
            if request.sha256 != EMPTY_SHA256:
                raise _named(wrong_bytes(request.sha256, EMPTY_SHA256), request, "An empty file")
            store.add_bytes(b"")
            return
        sink = self._sink(job)
        if sink is None:
            return
        try:
            self.events.file_started(request, have=sink.have)
            _Fetch(self, request, sink).carry_out()
        finally:
            sink.close()

    def _sink(self, job: Job) -> Sink | None:
        """Where the bytes go; None if another fetcher has brought the object meanwhile."""
        request, size = job.request, self.settings.buffer_size
        if request.size < SMALL_BELOW:
            return MemorySink(job.store, sha256=request.sha256, size=request.size, buffer_size=size)
        partial = self._partial(job)
        if partial is None:
            return None
        spare = self._at_work == 1 or 2 * self._at_work <= self.settings.cores
        if spare and request.size >= self.settings.behind_from:
            return BehindSink(partial, buffer_size=size)
        return InlineSink(partial, buffer_size=size)

    def _partial(self, job: Job) -> Partial | None:
        """Claim the partial, waiting for another fetcher as long as that one makes progress."""
        request, store = job.request, job.store
        latest, since = 0.0, self.clock()
        while True:
            self.check_stop()
            if store.has(request.sha256, request.size):
                return None
            try:
                return store.partial(request.sha256, request.size, stop=self._is_over)
            except BusyError:
                written = last_write(store.partial_folder(request.sha256))
                if written != latest:
                    latest, since = written, self.clock()
                elif self.clock() - since > self.settings.claim_wait_s:
                    raise
            self._sleep(_TICK_S)

    @contextmanager
    def line(self, body: Body) -> Iterator[_Line]:
        line = _Line(body, self.settings, self.clock)
        with self._lock:
            self._lines.add(line)
        try:
            yield line
        finally:
            with self._lock:
                self._lines.discard(line)

    def pause(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)
        self.check_stop()

    def check_stop(self) -> None:
        if self._is_over():
            raise InterruptedRun("Interrupted; what was received is kept.")


class _Fetch:
    """One object on its way: from try to try, from candidate to candidate, until it is published."""

    def __init__(self, run: _Run, request: FetchRequest, sink: Sink) -> None:
        self._run = run
        self._request = request
        self._sink = sink
        self._tries = Tries(request.candidates, run.settings.retry)
        self._givers: list[Candidate] = []  # whose bytes are in the sink
        self._earlier = sink.have > 0  # bytes of an earlier run are in it too

    def carry_out(self) -> None:
        """Receive and publish.

        Raises:
            FetcherError: All candidates are given up, or the disk refused.
            InterruptedRun: The run is over.
        """
        while not self._is_published():
            candidate = self._tries.best()
            if candidate is None:
                raise self._tries.error(self._request.label)
            self._try(candidate)

    def _is_published(self) -> bool:
        """Publish if all bytes are here; wrong bytes are forgotten, and their giver is not asked again."""
        size = self._sink.have
        if size < self._request.size:
            return False
        try:
            self._sink.publish()
        except IntegrityError as error:
            self._run.events.bytes_received(self._request, -size)
            named = _named(error, self._request, _hosts(self._givers))
            if len(self._givers) == 1 and not self._earlier:
                self._tries.failed(self._givers[0], named, progress=0, jitter=0.0)
            else:
                self._tries.suspect(self._givers, named)
            self._givers, self._earlier = [], False
            return False
        return True

    def _try(self, candidate: Candidate) -> None:
        before = self._sink.have
        try:
            self._receive(candidate)
        except _FAULTS_OF_SOURCES as error:
            self._sink.save()
            self._run.check_stop()
            progress = self._sink.have - before
            jitter = random.random()  # noqa: S311  no secret
            wait_s = self._tries.failed(candidate, error, progress=progress, jitter=jitter)
            if self._tries.best() is not None:
                self._run.events.retrying(self._request, reason=error.what, delay_s=wait_s)
                self._run.pause(wait_s)
        finally:
            if self._sink.have > before and not any(known is candidate for known in self._givers):
                self._givers.append(candidate)

    def _receive(self, candidate: Candidate) -> None:
        """Fetch the first gap from one candidate, in as many replies as it cares to give."""
        request, source = self._request, candidate.source
        span = self._sink.missing()
        if span is None:
            return
        download = Download(label=request.label, size=request.size, span=span)
        while not download.is_done():
            self._run.check_stop()
            wanted = download.wanted
            with source.open(candidate.address, wanted.start, wanted.stop) as body, self._run.line(body) as line:
                need = wanted.stop - download.answer(body.head)
                while need and (count := self._take(body, line, download, need)):
                    need -= count
                if need:
                    download.end()

    def _take(self, body: Body, line: _Line, download: Download, need: int) -> int:
        """Fill a buffer and put it into the sink; returns the bytes that came, 0 at the reply's end."""
        buffer = self._sink.buffer()
        # A write that ends on a multiple of the buffer's size keeps all later ones aligned.
        room = min(len(buffer) - download.wanted.start % len(buffer), need)
        filled = 0
        begun = self._run.clock()
        try:
            while filled < room and self._run.clock() - begun < _FLUSH_S:
                self._run.check_stop()
                count = body.readinto(buffer[filled:room])
                if count == 0:
                    break
                filled += count
                line.came(count)
        except SourceError:
            if line.has_stalled():
                raise line.stalled_error() from None
            raise
        finally:
            if filled:
                piece = download.receive(filled)
                self._sink.put(piece.offset, buffer[piece.drop : piece.drop + piece.keep])
                self._run.events.bytes_received(self._request, piece.keep)
        return filled


def _key(job: Job) -> tuple[Sha256, str]:
    return job.request.sha256, str(job.store.root)


def _unique(jobs: Sequence[Job]) -> list[Job]:
    found: dict[tuple[Sha256, str], Job] = {}
    for job in jobs:
        found.setdefault(_key(job), job)
    return list(found.values())


def _on_disk(job: Job) -> int:
    """Bytes of a job that are here already, unproven."""
    request, store = job.request, job.store
    if store.has(request.sha256, request.size):
        return request.size
    return 0 if request.size < SMALL_BELOW else store.partial_size(request.sha256)


def _hosts(givers: Sequence[Candidate]) -> str:
    return " and ".join(dict.fromkeys(giver.source.label for giver in givers)) or "An earlier run"


def _named(error: IntegrityError, request: FetchRequest, giver: str) -> IntegrityError:
    return IntegrityError(
        f"{giver} sent other bytes than the lock has for {request.label}.",
        facts=error.facts,
        fix=f"run `fetcher lock --upgrade {request.label.partition('/')[0]}` if the change is wanted, "
        "or use another source",
    )
