"""What a transfer is handed, and what it hands back."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from fetcher.core.digest import Sha256
from fetcher.core.interfaces import FetchRequest
from fetcher.core.parts import RANGES_FROM
from fetcher.core.retry import RetrySchedule
from fetcher.disk.hashing import HASHING, Hashing
from fetcher.disk.store import SMALL_BELOW, Store
from fetcher.errors import FetcherError


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A digest to be fetched and the store that takes it."""

    request: FetchRequest
    store: Store

    @property
    def key(self) -> tuple[Sha256, str]:
        """What makes two jobs the same."""
        return self.request.name, self.store.name

    @property
    def on_disk(self) -> int:
        """Bytes that are here already, unproven."""
        request, store = self.request, self.store
        if self.is_here():
            return request.size
        return 0 if request.size < SMALL_BELOW else store.partial_size(request.name)

    @property
    def reserved(self) -> int:
        """Bytes of disk that its partial has already; small files have none."""
        request = self.request
        return 0 if request.size < SMALL_BELOW else self.store.partial_room(request.name)

    def is_here(self) -> bool:
        """Whether the store has the object; never while nobody knows its sha256."""
        sha256 = self.request.sha256
        return sha256 is not None and self.store.has(sha256, self.request.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended; without an error the object is in the store, named `sha256`."""

    request: FetchRequest
    sha256: Sha256 | None = None
    error: FetcherError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSettings:
    """How to transfer.

    Attributes:
        jobs: Files at a time.
        connections: Connections to one host, at most.
        limit_rate: Bytes a second over all connections, at most; None for no limit.
        deadline_s: Seconds that the whole may take; None for no limit.
        buffer_size: Bytes received and written at once (performance.md, "Disk").
        ranges_from: Size in bytes from which a file is fetched in parts.
        behind_from: Size in bytes from which a file may be hashed by a thread of its own.
        idle_timeout_s: Seconds without a byte after which a reply is given up.
        low_speed_bytes_s: Least speed, measured over `low_speed_time_s`; 0 allows any.
        claim_wait_s: Seconds to wait for another fetcher that makes no progress.
        claim_wait_most_s: Seconds to wait for another fetcher in all; None for no limit.
        cores: Processors; decides who hashes.
        keep_going: Whether the other files go on when one fails.
        hashing: What hashes; only measurements hand in something else.
    """

    jobs: int = 16
    connections: int = 16
    limit_rate: int | None = None
    deadline_s: float | None = None
    buffer_size: int = 1 << 20
    ranges_from: int = RANGES_FROM
    behind_from: int = 64 << 20
    idle_timeout_s: float = 60.0
    low_speed_bytes_s: int = 256
    low_speed_time_s: float = 60.0
    claim_wait_s: float = 120.0
    claim_wait_most_s: float | None = None
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    keep_going: bool = True
    retry: RetrySchedule = field(default_factory=RetrySchedule)
    hashing: Hashing = HASHING


def unique(jobs: Sequence[Job]) -> list[Job]:
    """Each digest once for each store, in the order of `jobs`."""
    found: dict[tuple[Sha256, str], Job] = {}
    for job in jobs:
        found.setdefault(job.key, job)
    return list(found.values())
