"""One run: its workers, who does what next, and what they share.

A worker takes a file, as long as fewer than `jobs` are on their way, or else helps with the
parts of a large one; either needs a connection that its host has to give.  Workers with an
even number take the largest file first, those with an odd one a small one, so that the
configs of a model are here long before its weights.

Not in here: one object's way (fetch.py).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from fetcher.core.connections import Connections, Load, as_large_as, to_begin_with
from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Candidate, Events
from fetcher.core.pace import Pace
from fetcher.core.units import count_text, size_text
from fetcher.disk.behind import BehindSink
from fetcher.disk.claim import last_write
from fetcher.disk.hashing import Whole
from fetcher.disk.partial import Partial, TakenOver
from fetcher.disk.sink import InlineSink, MemorySink, Sink
from fetcher.disk.store import SMALL_BELOW
from fetcher.errors import BusyError, FetcherError, IntegrityError, InterruptedRun, SourceError
from fetcher.transfer.batches import Batches
from fetcher.transfer.fetch import Fetch, wrong_bytes_of
from fetcher.transfer.jobs import Job, Outcome, TransferSettings, unique
from fetcher.transfer.line import Line
from fetcher.transfer.links import Link, Links
from fetcher.transfer.queue import Queue, asked_ahead
from fetcher.transfer.slot import Slot
from fetcher.transfer.whole import WholeFiles

_TICK_S = 0.05  # how often the calling thread looks after the workers
_GRACE_S = 0.9  # after a stop, how long a worker may take to end; then it is left to its timeout
_CLAIM_POLL_S = 0.1
_AHEAD = 8  # small files that are asked for at once over one connection

Sleep = Callable[[float], object]
Task = Callable[[], None]


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
        SourceError: The settings' time limit is over; what was received is kept.
        FetcherError: The first failure, if the settings say not to keep going.
    """
    todo = unique(jobs)
    run = Run(todo, settings=settings, events=events, stop=stop, clock=clock, sleep=sleep)
    have = sum(job.on_disk for job in todo)
    events.transfer_started(files=len(todo), size=sum(job.request.size for job in todo), have=have)
    try:
        run.carry_out()
    finally:
        events.transfer_done()
    if not settings.keep_going and (failed := next(filter(None, run.errors.values()), None)):
        raise failed
    if len(run.errors) < len(todo):
        _raise_unfinished(run, stop, todo)
    return [Outcome(request=job.request, sha256=run.found.get(job.key), error=run.errors[job.key]) for job in jobs]


def _raise_unfinished(run: "Run", stop: threading.Event, jobs: Sequence[Job]) -> None:
    kept = sum(job.request.size if job.key in run.found else job.on_disk for job in jobs)
    done = [
        f"kept: {size_text(kept)} of {size_text(sum(job.request.size for job in jobs))}",
        f"done: {len(run.found)} of {count_text(len(jobs), 'file')}",
    ]
    if stop.is_set():
        raise InterruptedRun(
            "Interrupted; what was received is kept.", facts=done, fix="run the command again to go on"
        )
    raise SourceError(
        f"The time limit of {run.settings.deadline_s:g} s is over; what was received is kept.",
        facts=done,
        fix="run the command again to go on, or give it more time",
    )


class Run:
    """One call of `run_transfer` (office.Office)."""

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
        self.found: dict[tuple[Sha256, str], Sha256] = {}  # of those that ended well
        self.settings = settings
        self.events = events
        self.clock = clock
        self._stop = stop
        self._over = threading.Event()  # stopped, or a worker met a bug, or the caller an exception
        self._sleep = sleep or self._over.wait
        self._changed = threading.Condition()  # guards all that follows
        self._queue = Queue(jobs)
        self._files = 0  # on their way
        self._fetches: list[Fetch] = []
        self._links = Links(self._connections)
        self._large = list(self._queue.large)
        self._first = min(
            settings.jobs,
            to_begin_with([job.request.size for job in self._large], len(self._queue.small), cores=settings.cores),
        )
        self._load = Load(cores=settings.cores)
        self._idle = 0
        self._lines: set[Line] = set()
        self._workers: list[threading.Thread] = []
        self._shown = 0  # connections, as last said to the events
        self._pace = Pace(settings.limit_rate) if settings.limit_rate else None
        self._pace_lock = threading.Lock()
        self._crash: BaseException | None = None
        self._batches = Batches(jobs, clock=clock, done=self._named)
        self._whole_files = WholeFiles(self)

    # the calling thread

    def carry_out(self) -> None:
        """Start the workers and look after them until they end."""
        begun = self.clock()
        for _ in range(min(self.settings.jobs, len(self._queue.large) + len(self._queue.small))):
            self._hire()
        try:
            while not self._is_over() and any(worker.is_alive() for worker in self._workers):
                self._wait(_TICK_S)
                self._look_after()
                self._batches.publish_due()
                if self.settings.deadline_s is not None and self.clock() - begun > self.settings.deadline_s:
                    self._over.set()
        finally:
            if any(worker.is_alive() for worker in self._workers):
                self._over.set()
            self._wind_down()
            self._batches.close()
        if self._crash is not None:
            raise self._crash

    def _hire(self) -> None:
        worker = threading.Thread(
            target=self._work, args=(len(self._workers),), name=f"fetcher-{len(self._workers)}", daemon=True
        )
        self._workers.append(worker)
        worker.start()

    def _look_after(self) -> None:
        for line in self._open_lines():
            line.look()
        with self._changed:
            now = self.clock()
            is_many = len(self._queue.small) > 2 * self.settings.connections
            is_busy = self._load.is_high(now, time.process_time())
            is_wanted = self._is_wanted() and not is_busy
            for link in self._links.all():
                link.look(now, is_wanted=is_wanted, is_many=is_many)
            wanted = self._missing_hands()
            shown, self._shown = self._shown, self._links.connections
            self._changed.notify_all()
        if shown != self._shown:
            self.events.connections(self._shown)
        for _ in range(wanted):
            self._hire()

    def _is_wanted(self) -> bool:
        return bool(self._queue) or any(fetch.wants_help() for fetch in self._fetches)

    def _missing_hands(self) -> int:
        """How many more workers would have a connection and something to do."""
        if self._idle or not any(fetch.wants_help() for fetch in self._fetches):
            return 0
        most = self.settings.jobs + self.settings.connections * len(self._links.all()) - len(self._workers)
        room = sum(max(0, link.allowed - link.at_work) for link in self._links.all())
        return max(0, min(most, room))

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for worker in self._workers:
            if (left := end - time.monotonic()) > 0:
                worker.join(left)

    def _wind_down(self) -> None:
        """Let the workers save and end; replies that keep one waiting are closed."""
        end = time.monotonic() + _GRACE_S
        while any(worker.is_alive() for worker in self._workers) and time.monotonic() < end:
            with self._changed:
                self._changed.notify_all()
            self._wait(_TICK_S)
            for line in self._open_lines():
                line.end()
            self._whole_files.wake()

    def _open_lines(self) -> list[Line]:
        with self._changed:
            return list(self._lines)

    def _is_over(self) -> bool:
        return self._over.is_set() or self._stop.is_set()

    # the workers

    def _work(self, index: int) -> None:
        try:
            while task := self._next(index):
                task()
        except BaseException as error:  # noqa: BLE001  handed to the calling thread, which raises it
            self._crash = error
            self._over.set()

    def _next(self, worker: int) -> Task | None:
        """What to do next; waits for it; None when there is nothing more to come."""
        with self._changed:
            while not self._is_over() and (self._queue or self._files):
                task = self._file(worker) or self._help()
                if task:
                    return task
                self._idle += 1
                self._changed.wait(_TICK_S)
                self._idle -= 1
        return None

    def _file(self, worker: int) -> Task | None:
        if self._files >= self.settings.jobs:
            return None
        for queue in filter(None, self._queue.in_turn(worker)):
            slot = Slot(self, waits=True)
            if self._reserve(slot, queue[0].request.candidates):
                jobs = self._queue.take(queue, self._run_of(queue, slot))
                self._files += 1
                return lambda: self._do_all(jobs, slot)
        return None

    def _run_of(self, queue: deque[Job], slot: Slot) -> int:
        """How many files one worker takes at once: several small ones, where each round trip costs more than a file."""
        link = slot.link
        if queue is not self._queue.small or link is None or not link.is_far:
            return 1
        return min(_AHEAD, len(queue) // (2 * link.allowed))

    def _help(self) -> Task | None:
        for fetch in sorted(self._fetches, key=lambda fetch: fetch.workers):
            if not fetch.wants_help():
                continue
            slot = Slot(self, waits=False)
            best = fetch.best()
            if best and self._reserve(slot, [best]):
                return lambda: self._assist(fetch, slot)
        return None

    def _reserve(self, slot: Slot, candidates: Sequence[Candidate]) -> bool:
        if not candidates:
            return True
        link = self._links.of(candidates[0])
        if not link.has_room(self.clock()):
            return False
        slot.given(link)
        return True

    def _assist(self, fetch: Fetch, slot: Slot) -> None:
        try:
            fetch.work(slot)
        except InterruptedRun:
            return
        finally:
            slot.release()

    def _do_all(self, jobs: Sequence[Job], slot: Slot) -> None:
        try:
            with asked_ahead(jobs):
                for job in jobs:
                    self._do(job, slot)
                    slot.is_ahead = True
        finally:
            slot.release()
            with self._changed:
                self._files -= 1
                self._wake()

    def _do(self, job: Job, slot: Slot) -> None:
        try:
            sha256 = self._fetch(job, slot)
        except InterruptedRun:
            return
        except FetcherError as error:
            self._failed(job, error)
        else:
            if not self._batches.takes(job, sha256):
                self._named(job, sha256, None)

    def _named(self, job: Job, sha256: Sha256, error: FetcherError | None) -> None:
        """An object has its name, or the disk refused it."""
        if error is not None:
            self._failed(job, error)
            return
        self.found[job.key] = sha256
        self.errors[job.key] = None
        self.events.file_done(job.request)

    def _failed(self, job: Job, error: FetcherError) -> None:
        self.errors[job.key] = error
        self.events.file_failed(job.request, error)
        if not self.settings.keep_going:
            self._over.set()

    def _fetch(self, job: Job, slot: Slot) -> Sha256:
        """Bring an object into its store; returns its sha256."""
        while True:
            try:
                return self._fetch_once(job, slot)
            except TakenOver:
                continue  # to wait for whoever took over, or to go on after that one

    def _fetch_once(self, job: Job, slot: Slot) -> Sha256:
        request, store = job.request, job.store
        if request.sha256 is not None and job.is_here():
            return request.sha256
        if request.size == 0:
            try:
                Whole.of(request.expected).proven()
            except IntegrityError as error:
                raise wrong_bytes_of("An empty file", request, error) from None
            return store.add_bytes(b"")
        if request.size < SMALL_BELOW:
            found = self._whole_files.fetch(request, slot, slot.link, self._batches.keep(job))
            if found is not None:
                return found
        sink = self._sink(job)
        if isinstance(sink, str):
            return sink
        fetch = Fetch(self, request, sink)
        try:
            self.events.file_started(request, have=sink.have)
            with self._changed:
                self._fetches.append(fetch)
            return fetch.lead(slot)
        finally:
            with self._changed:
                if fetch in self._fetches:
                    self._fetches.remove(fetch)
            sink.close()

    def _sink(self, job: Job) -> Sink | Sha256:
        """Where the bytes go; the object's sha256 if another fetcher has brought it meanwhile."""
        request, size, hashing = job.request, self.settings.buffer_size, self.settings.hashing
        if request.size < SMALL_BELOW:
            keep = self._batches.keep(job)
            return MemorySink(keep, expected=request.expected, buffer_size=size, hashing=hashing)
        partial = self._partial(job)
        if isinstance(partial, str):
            return partial
        if request.size >= self.settings.behind_from and self._has_cores_to_spare(job):
            return BehindSink(partial, buffer_size=size)
        return InlineSink(partial, buffer_size=size)

    def _has_cores_to_spare(self, job: Job) -> bool:
        """Whether threads of its own make a file faster: it is the only large one, or there are processors enough."""
        sizes = [other.request.size for other in self._large if other.key not in self.errors]
        with self._changed:
            allowed = [self._links.of(candidate).allowed for candidate in job.request.candidates[:1]]
        abreast = min([self.settings.jobs, as_large_as(job.request.size, sizes), *allowed])
        return abreast <= 1 or 2 * abreast <= self.settings.cores

    def _partial(self, job: Job) -> Partial | Sha256:
        """Claim the partial, waiting for another fetcher as long as that one makes progress."""
        request, store = job.request, job.store
        latest, since = 0.0, self.clock()
        most_s = self.settings.claim_wait_most_s
        end = None if most_s is None else since + most_s
        while True:
            self.check_stop()
            if request.sha256 is not None and job.is_here():
                return request.sha256
            try:
                partial = store.partial(request.expected, stop=self._is_over, hashing=self.settings.hashing)
                if request.sha256 is None or not job.is_here():
                    return partial
                partial.discard()  # its last holder ended between our look and our claim
            except BusyError:
                if end is not None and self.clock() >= end:
                    raise
                written = last_write(store.partial_folder(request.name))
                if written != latest:
                    latest, since = written, self.clock()
                elif self.clock() - since > self.settings.claim_wait_s:
                    raise
            self._sleep(_CLAIM_POLL_S)

    # what a fetch needs

    def check_stop(self) -> None:
        if self._is_over():
            raise InterruptedRun("Interrupted; what was received is kept.")

    def pause(self, seconds: float) -> None:
        if seconds > 0:
            self._sleep(seconds)
        self.check_stop()

    def link(self, candidate: Candidate) -> Link:
        with self._changed:
            return self._links.of(candidate)

    def give(self, slot: Slot, link: Link, *, waits: bool) -> bool:
        """Get a connection of a link for a slot."""
        while True:
            self.check_stop()
            with self._changed:
                silence = link.silent_until_s - self.clock()
                if silence <= 0 and link.at_work < link.allowed:
                    slot.given(link)
                    return True
                if not waits:
                    return False
                if silence <= 0:
                    self._changed.wait(_TICK_S)
            if silence > 0:
                self.pause(silence)

    def take_back(self, slot: Slot) -> None:
        """Give a slot's connection back."""
        if slot.link is not None:
            with self._changed:
                slot.returned()
                self._wake()

    def _wake(self) -> None:
        """Wake who waits; while small files are queued, whoever ends one takes the next itself."""
        if not self._queue.small:
            self._changed.notify_all()

    def came(self, slot: Slot, link: Link, count: int) -> None:
        """Take note of bytes that came over a slot's connection."""
        with self._changed:
            link.came(count)
            slot.flows(link)

    def keep_waiting(self, link: Link) -> None:
        """Take note that bytes of a connection wait for the disk and the hash."""
        with self._changed:
            link.keep_waiting(self.clock())

    def let_go(self, link: Link) -> None:
        """Take note that they were taken."""
        with self._changed:
            link.let_go(self.clock())

    def be_silent(self, link: Link, seconds: float) -> None:
        with self._changed:
            link.be_silent(self.clock() + seconds)

    def answered(self, link: Link, seconds: float | None) -> None:
        """Take note of an answer, and of the time since its request where that was sent in its turn."""
        with self._changed:
            link.answered(seconds)

    def grain(self, count: int) -> int:
        return min(count, self._pace.grain) if self._pace else count

    def spend(self, line: Line, count: int) -> None:
        if self._pace is None:
            return
        with self._pace_lock:
            wait_s = self._pace.spend(count, self.clock())
        if wait_s > 0:
            line.rest(self.pause, wait_s)

    def watch(self, line: Line) -> None:
        with self._changed:
            self._lines.add(line)

    def unwatch(self, line: Line) -> None:
        with self._changed:
            self._lines.discard(line)

    def _connections(self) -> Connections:
        return Connections(most=self.settings.connections, first=self._first)
