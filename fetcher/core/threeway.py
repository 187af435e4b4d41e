"""Merge what two branches made of the pieces of one text, piece by piece.  Pure.

A piece is a section of models.lock, its head, or what stands beside the models.  It is taken
as one side wrote it, or it is a conflict: nothing is ever mixed within a piece.

Promises (tests/core/test_threeway.py):
  * a piece that one side left alone is as the other side has it, removed too;
  * a piece that both sides changed, and not to the same, is a conflict.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece after the merge; where both sides are the same, that is what it became.

    Attributes:
        ours: Its text; None where it is not there.
        theirs: The same of the other side.
    """

    name: str
    ours: str | None
    theirs: str | None

    @property
    def is_conflict(self) -> bool:
        """Whether somebody has to decide."""
        return self.ours != self.theirs


def merge_pieces(
    base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str], *, unsure: Collection[str] = ()
) -> list[Piece]:
    """Every piece that one of the sides has, sorted by name; one that is to go has None for both.

    Args:
        base: What both sides began with.
        unsure: Names of which it is not known what the base was.
    """
    found = []
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name), theirs.get(name)
        if name not in unsure:
            mine, other = _settled(base.get(name), mine, other)
        found.append(Piece(name=name, ours=mine, theirs=other))
    return found


def _settled(base: str | None, ours: str | None, theirs: str | None) -> tuple[str | None, str | None]:
    """Both sides, the same where only one of them has changed the base."""
    if ours == base:
        return theirs, theirs
    return (ours, ours) if theirs == base else (ours, theirs)
