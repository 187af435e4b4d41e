"""Files whose sha256 nobody has told: into the store, proven by what else is known, and named.

Not in here: which files those are (unhashed.py beside resolve.py).
"""

import threading
from collections.abc import Sequence

from fetcher.core.digest import GitBlob, Sha256
from fetcher.core.interfaces import Events, FetchRequest
from fetcher.disk.store import Store
from fetcher.transfer.jobs import Job, TransferSettings
from fetcher.transfer.run import run_transfer
from fetcher.transfer.space import require_space


class StoreHasher:
    """Fetches into one store and tells the sha256 of what came (`unhashed.Hasher`).

    Args:
        settings: Should not keep going: a lock needs every file.
    """

    def __init__(self, store: Store, *, settings: TransferSettings, events: Events, stop: threading.Event) -> None:
        self._store = store
        self._settings = settings
        self._events = events
        self._stop = stop

    def fetch(self, requests: Sequence[FetchRequest]) -> list[Sha256]:
        """The sha256 of each request, in their order."""
        jobs = [Job(request=request, store=self._store) for request in requests]
        require_space(jobs)
        outcomes = run_transfer(jobs, settings=self._settings, events=self._events, stop=self._stop)
        found = []
        for outcome in outcomes:
            if outcome.sha256 is None:
                raise outcome.error or AssertionError("an outcome without an error has a sha256")
            found.append(outcome.sha256)
        return found

    def holds(self, sha256: Sha256, size: int, git_blob: GitBlob) -> bool:
        """Whether the store has an object that is that git blob."""
        return self._store.holds_blob(sha256, size, git_blob)
