"""Where the bytes of a file go: into memory, or into its partial, hashed by whom the processors allow.

Not in here: the sinks themselves (disk/sink.py, disk/behind.py).
"""

from collections.abc import Callable, Sequence

from fetcher.core.connections import as_large_as
from fetcher.core.digest import Sha256
from fetcher.disk.behind import BehindSink
from fetcher.disk.claim import last_write
from fetcher.disk.partial import Partial
from fetcher.disk.sink import InlineSink, MemorySink, Sink
from fetcher.disk.store import SMALL_BELOW
from fetcher.errors import BusyError
from fetcher.transfer.batches import Batches
from fetcher.transfer.jobs import Job
from fetcher.transfer.pool import Pool

_CLAIM_POLL_S = 0.1


class Sinks:
    """Makes the sinks of a run.

    Args:
        large: All large files of the run.
        has_ended: Whether a file is done, or has failed.
    """

    def __init__(self, pool: Pool, batches: Batches, large: Sequence[Job], *, has_ended: Callable[[Job], bool]) -> None:
        self._pool = pool
        self._settings = pool.settings
        self._batches = batches
        self._large = large
        self._has_ended = has_ended

    def sink(self, job: Job) -> Sink | Sha256:
        """Where the bytes go; the object's sha256 if another fetcher has brought it meanwhile."""
        request, size, hashing = job.request, self._settings.buffer_size, self._settings.hashing
        if request.size < SMALL_BELOW:
            keep = self._batches.keep(job)
            return MemorySink(keep, expected=request.expected, buffer_size=size, hashing=hashing)
        partial = self._partial(job)
        if isinstance(partial, str):
            return partial
        if request.size >= self._settings.behind_from and self._has_cores_to_spare(job):
            return BehindSink(partial, buffer_size=size)
        return InlineSink(partial, buffer_size=size)

    def _has_cores_to_spare(self, job: Job) -> bool:
        """Whether threads of its own make a file faster: it is the only large one, or there are processors enough."""
        sizes = [other.request.size for other in self._large if not self._has_ended(other)]
        with self._pool.changed:
            allowed = [self._pool.links.of(candidate).allowed for candidate in job.request.candidates[:1]]
        abreast = min([self._settings.jobs, as_large_as(job.request.size, sizes), *allowed])
        return abreast <= 1 or 2 * abreast <= self._settings.cores

    def _partial(self, job: Job) -> Partial | Sha256:
        """Claim the partial, waiting for another fetcher as long as that one makes progress."""
        request, store = job.request, job.store
        latest, since = 0.0, self._pool.clock()
        most_s = self._settings.claim_wait_most_s
        end = None if most_s is None else since + most_s
        while True:
            self._pool.check_stop()
            if request.sha256 is not None and job.is_here():
                return request.sha256
            try:
                partial = store.partial(request.expected, stop=self._pool.is_over, hashing=self._settings.hashing)
                if request.sha256 is None or not job.is_here():
                    return partial
                partial.discard()  # its last holder ended between our look and our claim
            except BusyError:
                if end is not None and self._pool.clock() >= end:
                    raise
                written = last_write(store.partial_folder(request.name))
                if written != latest:
                    latest, since = written, self._pool.clock()
                elif self._pool.clock() - since > self._settings.claim_wait_s:
                    raise
            self._pool.sleep(_CLAIM_POLL_S)
