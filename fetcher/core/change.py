"""What one sync does to the files of a project, as values: what `undo` goes by.  Pure.

A change is written down before its first step is taken (disk/trash.py), so that a run
that was killed can be put back as well; which steps were taken is seen on the disk.
"""

from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """What is done at a spot."""

    PLACE = "place"  # a file where nothing was, or where an obstacle was moved aside
    REPLACE = "replace"  # fetcher's own file by another one; the old one is kept
    REMOVE = "remove"  # fetcher's own file, no longer wanted; it is kept
    MOVE = "move"  # fetcher's own file, from `origin` to the spot
    ASIDE = "aside"  # something of the user's, out of the way; it is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """A file of fetcher's as it was before the change: a row of the index without its spot.

    Attributes:
        looked_ns: When fetcher looked last (wall clock).
    """

    model: str
    sha256: str
    size: int
    mtime_ns: int
    inode: int
    looked_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One file of a change.

    Attributes:
        model, sha256, size: Of the file that is at the spot afterwards; empty for REMOVE and ASIDE.
        origin: For MOVE: where the file was.
        former: What was there before, for REPLACE, REMOVE and MOVE (at `origin`).
    """

    act: Act
    spot: str
    model: str = ""
    sha256: str = ""
    size: int = 0
    origin: str = ""
    former: Former | None = None

    @property
    def home(self) -> str:
        """The spot at which something was before the change."""
        return self.origin or self.spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long and how much the trash keeps of fetcher's own files.

    Attributes:
        size: Bytes that are nowhere else.
    """

    age_s: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a trash holds.

    Attributes:
        changes: Syncs that can still be undone.
        own: fetcher's own files, and `own_size` the bytes of them that are nowhere else.
        beside: How many of them are kept beside their spots, on other file systems than the trash.
        users: Files of the user's, and `users_size` their bytes.
    """

    changes: int = 0
    own: int = 0
    own_size: int = 0
    beside: int = 0
    users: int = 0
    users_size: int = 0
