"""One run: its workers, and who does what next.

A worker takes a file, as long as fewer than `jobs` are on their way, or else helps with the
parts of a large one; either needs a connection that its host has to give.  Workers with an
even number take the largest file first, those with an odd one a small one, so that the
configs of a model are here long before its weights.

Not in here: one object's way (fetch.py), the connections (pool.py), where bytes go (sinks.py).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from fetcher.core.connections import Connections, to_begin_with
from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Candidate, Events
from fetcher.core.units import count_text, size_text
from fetcher.disk.hashing import Whole
from fetcher.disk.partial import TakenOver
from fetcher.disk.store import SMALL_BELOW
from fetcher.errors import FetcherError, IntegrityError, InterruptedRun, SourceError
from fetcher.transfer.batches import Batches
from fetcher.transfer.fetch import Fetch, wrong_bytes_of
from fetcher.transfer.jobs import Job, Outcome, TransferSettings, unique
from fetcher.transfer.links import Links
from fetcher.transfer.pool import TICK_S, Pool, Sleep
from fetcher.transfer.queue import Queue, asked_ahead
from fetcher.transfer.sinks import Sinks
from fetcher.transfer.slot import Slot
from fetcher.transfer.whole import WholeFiles

_GRACE_S = 0.9  # after a stop, how long a worker may take to end; then it is left to its timeout
_AHEAD = 8  # small files that are asked for at once over one connection

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
    """One call of `run_transfer`."""

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
        self._events = events
        self._queue = Queue(jobs)
        large = list(self._queue.large)
        first = to_begin_with([job.request.size for job in large], len(self._queue.small), cores=settings.cores)
        self._pool = Pool(
            Links(lambda: Connections(most=settings.connections, first=min(settings.jobs, first))),
            settings=settings,
            events=events,
            stop=stop,
            clock=clock,
            sleep=sleep,
            wakes=lambda: not self._queue.small,  # whoever ends a small file takes the next itself
        )
        self._changed = self._pool.changed  # guards the queue, and the next three
        self._files = 0  # on their way
        self._fetches: list[Fetch] = []
        self._idle = 0
        self._workers: list[threading.Thread] = []
        self._crash: BaseException | None = None
        self._batches = Batches(jobs, clock=clock, done=self._named)
        self._sinks = Sinks(self._pool, self._batches, large, has_ended=lambda job: job.key in self.errors)
        self._whole_files = WholeFiles(self._pool)

    # the calling thread

    def carry_out(self) -> None:
        """Start the workers and look after them until they end."""
        begun, deadline_s = self._pool.clock(), self.settings.deadline_s
        for _ in range(min(self.settings.jobs, len(self._queue.large) + len(self._queue.small))):
            self._hire()
        try:
            while not self._pool.is_over() and any(worker.is_alive() for worker in self._workers):
                self._wait(TICK_S)
                self._look_after()
                self._batches.publish_due()
                if deadline_s is not None and self._pool.clock() - begun > deadline_s:
                    self._pool.end()
        finally:
            if any(worker.is_alive() for worker in self._workers):
                self._pool.end()
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
        self._pool.end_stalled()
        with self._changed:
            is_many = len(self._queue.small) > 2 * self.settings.connections
            self._pool.look(is_wanted=self._is_wanted(), is_many=is_many)
            wanted = self._missing_hands()
            self._changed.notify_all()
        self._pool.show()
        for _ in range(wanted):
            self._hire()

    def _is_wanted(self) -> bool:
        return bool(self._queue) or any(fetch.wants_help() for fetch in self._fetches)

    def _missing_hands(self) -> int:
        """How many more workers would have a connection and something to do."""
        if self._idle or not any(fetch.wants_help() for fetch in self._fetches):
            return 0
        links = self._pool.links.all()
        most = self.settings.jobs + self.settings.connections * len(links) - len(self._workers)
        room = sum(max(0, link.allowed - link.at_work) for link in links)
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
            self._wait(TICK_S)
            self._pool.end_all()
            self._whole_files.wake()

    # the workers

    def _work(self, index: int) -> None:
        try:
            while task := self._next(index):
                task()
        except BaseException as error:  # noqa: BLE001  handed to the calling thread, which raises it
            self._crash = error
            self._pool.end()

    def _next(self, worker: int) -> Task | None:
        """What to do next; waits for it; None when there is nothing more to come."""
        with self._changed:
            while not self._pool.is_over() and (self._queue or self._files):
                task = self._file(worker) or self._help()
                if task:
                    return task
                self._idle += 1
                self._changed.wait(TICK_S)
                self._idle -= 1
        return None

    def _file(self, worker: int) -> Task | None:
        if self._files >= self.settings.jobs:
            return None
        for queue in filter(None, self._queue.in_turn(worker)):
            slot = Slot(self._pool, waits=True)
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
            slot = Slot(self._pool, waits=False)
            best = fetch.best()
            if best and self._reserve(slot, [best]):
                return lambda: self._assist(fetch, slot)
        return None

    def _reserve(self, slot: Slot, candidates: Sequence[Candidate]) -> bool:
        """Whether a slot has a connection to begin with; without candidates none is needed."""
        return not candidates or self._pool.reserve(slot, candidates[0])

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
                self._pool.wake()

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
        self._events.file_done(job.request)

    def _failed(self, job: Job, error: FetcherError) -> None:
        self.errors[job.key] = error
        self._events.file_failed(job.request, error)
        if not self.settings.keep_going:
            self._pool.end()

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
        sink = self._sinks.sink(job)
        if isinstance(sink, str):
            return sink
        fetch = Fetch(self._pool, request, sink)
        try:
            self._events.file_started(request, have=sink.have)
            with self._changed:
                self._fetches.append(fetch)
            return fetch.lead(slot)
        finally:
            with self._changed:
                if fetch in self._fetches:
                    self._fetches.remove(fetch)
            sink.close()
