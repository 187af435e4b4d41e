"""Small files that are complete and wait for their names, so that one sync serves many.

Not in here: the sync itself (disk/batch.py).
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.pointer import is_pointer, pointer_error
from fetcher.disk.batch import Batch
from fetcher.disk.leftovers import remove_leftovers
from fetcher.disk.store import SMALL_BELOW
from fetcher.errors import DiskError
from fetcher.transfer.jobs import Job

_WORTH_FROM = 16  # small files in a run
_MOST = 512  # that wait
_LONGEST_S = 0.5  # that one waits


@dataclass(slots=True)
class _Waiting:
    """Files of one store."""

    batch: Batch
    jobs: list[tuple[Job, Sha256]] = field(default_factory=list)
    since_s: float = 0.0


class Batches:
    """The small files of one run.  Used by several threads at once.

    Args:
        done: Told of each file that got its name, or why it did not.
    """

    def __init__(
        self, jobs: Sequence[Job], *, clock: Callable[[], float], done: Callable[[Job, Sha256, DiskError | None], None]
    ) -> None:
        self._is_worth_it = sum(job.request.size < SMALL_BELOW for job in jobs) >= _WORTH_FROM
        self._clock = clock
        self._done = done
        self._lock = threading.Lock()
        self._waiting: dict[Path, _Waiting] = {}
        for store in {str(job.store.root): job.store for job in jobs}.values():
            remove_leftovers(store)

    def keep(self, job: Job) -> Callable[[Sha256, bytes], object]:
        """How the bytes of a small file are kept; raises a PointerError for those that only stand for a large one."""
        return _no_pointer(self._keep(job), job.request.label)

    def _keep(self, job: Job) -> Callable[[Sha256, bytes], object]:
        store = job.store
        # Two jobs of which nothing is known may turn out to be the same object, and write one file.
        if not self._is_worth_it or not (job.request.sha256 or job.request.git_blob):
            return lambda sha256, data: store.add_bytes(data)
        with self._lock:
            if store.root not in self._waiting:
                self._waiting[store.root] = _Waiting(Batch(store))
            return self._waiting[store.root].batch.add

    def takes(self, job: Job, sha256: Sha256) -> bool:
        """Let a complete file wait for its name; False if it has it already."""
        with self._lock:
            waiting = self._waiting.get(job.store.root)
            if waiting is None or job.request.size >= SMALL_BELOW or job.store.has(sha256, job.request.size):
                return False
            waiting.since_s = waiting.since_s if waiting.jobs else self._clock()
            waiting.jobs.append((job, sha256))
            return True

    def publish_due(self) -> None:
        """Give names to what has waited for long, or is much."""
        now = self._clock()
        self._publish(lambda waiting: len(waiting.jobs) >= _MOST or now - waiting.since_s >= _LONGEST_S)

    def close(self) -> None:
        """Give names to all that wait, and remove the rest."""
        self._publish(lambda waiting: True)
        for waiting in self._waiting.values():
            waiting.batch.close()

    def _publish(self, is_due: Callable[[_Waiting], bool]) -> None:
        with self._lock:
            due = []
            for waiting in self._waiting.values():
                if waiting.jobs and is_due(waiting):
                    due.append((waiting.batch, waiting.jobs))
                    waiting.jobs = []
        for batch, jobs in due:
            error: DiskError | None = None
            try:
                batch.publish([sha256 for _, sha256 in jobs])
            except DiskError as refused:
                error = refused
            for job, sha256 in jobs:
                self._done(job, sha256, error)


def _no_pointer(keep: Callable[[Sha256, bytes], object], label: str) -> Callable[[Sha256, bytes], object]:
    """Keeps the bytes of a small file, unless they only stand for a large one.

    Here, because all bytes come this way, when a model is locked and when it is synced: a
    listing with hashes tells no pointer from a file.
    """

    def keep_files(sha256: Sha256, data: bytes) -> None:
        if is_pointer(data):
            raise pointer_error(label, data)
        keep(sha256, data)

    return keep_files
