"""Decide how one step of a sync is taken back.  Pure: what is seen in, what to do out.

What is seen is enough to know how far the sync came and how far an earlier, killed
`undo` came, so that undoing again after a kill goes on from there.

Promises, held over all combinations by tests/core/test_undo.py:
  * a file that is not as the sync left it is never moved and never replaced;
  * a step that was not taken, or that was taken back already, asks for nothing more.
"""

from enum import Enum

from fetcher.core.change import Act


class Seen(Enum):
    """What stands at a spot, in the eyes of `undo`."""

    ABSENT = "absent"
    NEW = "new"  # the file that the sync put there, unchanged
    FORMER = "former"  # the very file that was there before the sync
    OTHER = "other"  # anything else: the user's


class Way(Enum):
    """How a step is taken back."""

    NOTHING = "nothing"  # not taken, or taken back already
    TAKE = "take"  # the sync's file away
    RESTORE = "restore"  # what was kept, to its empty spot
    SWAP = "swap"  # what was kept, over the sync's file
    BACK = "back"  # a moved file to where it was
    BLOCKED = "blocked"  # something of the user's is in the way
    LOST = "lost"  # what was there before is nowhere any more


def way_back(act: Act, *, here: Seen, before: Seen, kept: bool) -> Way:
    """How to take one step back.

    Args:
        here: At the step's spot.
        before: At its `origin`, for MOVE; else the same as `here`.
        kept: Whether what was there before is in the trash.
    """
    if act is Act.PLACE:
        return {Seen.NEW: Way.TAKE, Seen.OTHER: Way.BLOCKED}.get(here, Way.NOTHING)
    if act is Act.ASIDE:
        return _obstacle_back(here, kept=kept)
    if act is Act.MOVE:
        return _move_back(here, before, kept=kept)
    if here is Seen.FORMER:
        return Way.NOTHING
    if here is Seen.OTHER:
        return Way.BLOCKED
    if not kept:
        return Way.LOST
    return Way.SWAP if here is Seen.NEW else Way.RESTORE


def _obstacle_back(here: Seen, *, kept: bool) -> Way:
    """`here` is what remains at the spot once the sync's files are away."""
    if not kept:
        return Way.NOTHING  # never moved, or put back, or emptied from the trash by the user
    return Way.RESTORE if here is Seen.ABSENT else Way.BLOCKED


def _move_back(here: Seen, before: Seen, *, kept: bool) -> Way:
    if before is Seen.OTHER:
        return Way.BLOCKED
    if before is Seen.FORMER:
        return Way.TAKE if here is Seen.NEW else Way.NOTHING
    if kept:
        return Way.RESTORE  # between two file systems it was copied, not renamed
    if here is Seen.NEW:
        return Way.BACK
    return Way.BLOCKED if here is Seen.OTHER else Way.LOST
