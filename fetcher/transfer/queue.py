"""Files of a run that nobody has begun."""

from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from fetcher.core.interfaces import AskedAhead
from fetcher.disk.store import SMALL_BELOW
from fetcher.transfer.jobs import Job


class Queue:
    """Jobs not begun yet.  The caller holds the run's lock."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        by_size = sorted(jobs, key=lambda job: -job.request.size)
        self.large = deque(job for job in by_size if job.request.size >= SMALL_BELOW)
        self.small = deque(job for job in jobs if job.request.size < SMALL_BELOW)

    def take(self, queue: deque[Job], most: int) -> list[Job]:
        """The next job, and up to `most` that its source may be asked for with it."""
        jobs = [queue.popleft()]
        source = _asked_ahead(jobs[0]) if most > 1 else None  # asking for a door costs as much as a file
        while source and queue and len(jobs) < most and _asked_ahead(queue[0]) is source:
            jobs.append(queue.popleft())
        return jobs

    def __bool__(self) -> bool:
        return bool(self.large or self.small)

    def in_turn(self, worker: int) -> tuple[deque[Job], deque[Job]]:
        """The queues in the order in which a worker looks at them."""
        return (self.large, self.small) if worker % 2 == 0 else (self.small, self.large)


def asked_ahead(jobs: Sequence[Job]) -> AbstractContextManager[None]:
    """In the block the calling thread fetches these jobs, in this order; their source may be asked for all at once."""
    source = _asked_ahead(jobs[0]) if len(jobs) > 1 else None
    if source is None:
        return nullcontext()
    return source.ahead([job.request.candidates[0].address for job in jobs if not job.is_here()])


def _asked_ahead(job: Job) -> AskedAhead | None:
    """The source that a job begins with, if it may be asked ahead."""
    best = job.request.candidates[:1]
    return best[0].source if best and isinstance(best[0].source, AskedAhead) else None
