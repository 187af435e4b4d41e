"""Files whose sha256 nobody has told: into the store, proven by what else is known, and named.

Not in here: which files those are (unhashed.py beside resolve.py).
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fetcher.core.digest import GitBlob, Sha256
from fetcher.core.interfaces import Events, FetchRequest, OnThisMachine
from fetcher.disk.atomic import disk_errors
from fetcher.disk.hashing import sha256_of
from fetcher.disk.store import Store
from fetcher.errors import IntegrityError, InterruptedRun
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
        """The sha256 of each request, in their order; files of this machine are hashed where they are."""
        near = {place: request for place, request in enumerate(requests) if _path_of(request) is not None}
        far = [request for place, request in enumerate(requests) if place not in near]
        here = dict(zip(near, self._hash_all(list(near.values())), strict=True)) if near else {}
        there = iter(self._fetch(far) if far else ())
        return [here[place] if place in here else next(there) for place in range(len(requests))]

    def _hash_all(self, requests: Sequence[FetchRequest]) -> list[Sha256]:
        self._events.hashing_started(files=len(requests), size=sum(request.size for request in requests))
        try:
            with ThreadPoolExecutor(max_workers=self._settings.cores) as pool:
                return list(pool.map(self._hash, requests))
        finally:
            self._events.hashing_done()

    def _hashed(self, count: int) -> None:
        """Take note of some bytes, unless the run is to stop."""
        self._require_going()
        self._events.bytes_hashed(count)

    def _require_going(self) -> None:
        if self._stop.is_set():
            raise InterruptedRun("Interrupted while files were hashed.", fix="run the command again")

    def _hash(self, request: FetchRequest) -> Sha256:
        self._require_going()
        path = _path_of(request) or Path()
        self._events.hashing(request.label, request.size)
        with disk_errors(path):
            before = path.stat()
            sha256 = sha256_of(path, hashed=self._hashed)
            after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or after.st_size != request.size:
            raise IntegrityError(
                f"{request.label} has changed while it was being locked.",
                facts=[f"file: {path}"],
                fix="run `fetcher lock` again when nobody writes there",
            )
        return sha256

    def _fetch(self, requests: Sequence[FetchRequest]) -> list[Sha256]:
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


def _path_of(request: FetchRequest) -> Path | None:
    """Where a file is that need not be fetched to be hashed."""
    first = request.candidates[0]
    return first.source.path_of(first.address) if isinstance(first.source, OnThisMachine) else None
