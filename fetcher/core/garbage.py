"""What a store may lose.  Pure: what is there and what is named in, what goes out.

Promises (tests/core/test_garbage.py):
  * what a known project names stays, whatever its age;
  * what is younger than the grace stays, whoever names it;
  * planning again after the removal gives nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

GRACE_S = 24 * 3600.0  # a project that has not synced yet may be about to
ABANDONED_S = 30 * 24 * 3600.0  # a partial that nobody continued for so long is not waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Something of a store.

    Attributes:
        name: The sha256 of an object, or the name of a partial.
        size: Bytes of disk that its removal frees.
        changed_s: When it was last written or linked, in seconds since the epoch.
    """

    name: str
    size: int
    changed_s: float


def unneeded_objects(
    objects: Iterable[Stored], named: Collection[str], *, now_s: float, grace_s: float
) -> list[Stored]:
    """Objects that no known project names and that are older than the grace."""
    return [item for item in objects if item.name not in named and now_s - item.changed_s >= grace_s]


def unneeded_partials(
    partials: Iterable[Stored], named: Collection[str], *, now_s: float, grace_s: float
) -> list[Stored]:
    """Partials of such objects, and those that nobody continued for long; the caller leaves the claimed ones."""
    return [
        item
        for item in partials
        if now_s - item.changed_s >= (max(grace_s, ABANDONED_S) if item.name in named else grace_s)
    ]
