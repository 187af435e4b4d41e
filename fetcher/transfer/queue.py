"""Files of a run that nobody has begun."""

from collections import deque
from collections.abc import Sequence

from fetcher.disk.store import SMALL_BELOW
from fetcher.transfer.jobs import Job


class Queue:
    """Jobs not begun yet.  The caller holds the run's lock."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        by_size = sorted(jobs, key=lambda job: -job.request.size)
        self.large = deque(job for job in by_size if job.request.size >= SMALL_BELOW)
        self.small = deque(job for job in jobs if job.request.size < SMALL_BELOW)

    def __bool__(self) -> bool:
        return bool(self.large or self.small)

    def in_turn(self, worker: int) -> tuple[deque[Job], deque[Job]]:
        """The queues in the order in which a worker looks at them."""
        return (self.large, self.small) if worker % 2 == 0 else (self.small, self.large)
