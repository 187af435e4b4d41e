"""What `Project.lock` and `Project.status` give back."""

from dataclasses import dataclass

from fetcher.core.lock import Lock, Staleness
from fetcher.core.lockdiff import ModelChange
from fetcher.core.lockmerge import Verdict
from fetcher.core.plan import Plan
from fetcher.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class LockChange:
    """What `lock` would write, how it differs from what is there, and how a conflict in that was settled.

    Attributes:
        lock: What is pinned.
        text: The whole file.
        changes: The models that differ.
        differs: Whether the file's bytes do.
        merged: Of a lock with conflict markers: whose section stays for each model.
    """

    lock: Lock
    text: str
    changes: tuple[ModelChange, ...]
    differs: bool
    merged: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the lock and the disk stand.

    Attributes:
        is_locked: Whether there is a lock.
        stale: Every field in which the lock differs from what the manifest asks for.
        survey: The look at the disk; None without a lock.
        unmanaged: What lies beside the files of the lock and is neither wanted nor fetcher's; a folder ends with `/`.
    """

    is_locked: bool
    stale: tuple[Staleness, ...]
    survey: Survey | None
    unmanaged: tuple[str, ...] = ()

    @property
    def plan(self) -> Plan:
        """What a sync with this lock would do; empty without one."""
        return self.survey.plan if self.survey else Plan()

    def is_synced(self) -> bool:
        """Whether the lock is what the manifest asks for, and the disk what the lock says."""
        return self.is_locked and not self.stale and self.plan.is_empty()
