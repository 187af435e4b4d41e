"""Three versions of models.lock to one, as git asks for it: model by model, without models.toml and offline.

What cannot be merged is left between git's markers, a whole section on each side, for
`fetcher lock` (conflict.py).  A version that is not exactly as `fetcher lock` writes one is not
merged here at all: git's own merge of lines loses nothing of it.

Promises (tests/formats/test_lock_threeway.py; under real git, tests/test_git_merge.py):
  * each section of the result is one that a side wrote, byte for byte;
  * without the markers, each side's text is there again in full;
  * models that only one side touched are never a conflict.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fetcher.core.threeway import Piece, merge_pieces
from fetcher.errors import FetcherError
from fetcher.formats.conflict import read_side, sides_of
from fetcher.formats.lock_lines import END

_MARKERS = re.compile(r"^([<|=>])\1{6,}(?= |$)", re.MULTILINE)
_SHORT = 7  # characters of a marker; more of them in a merge of bases (gitattributes, conflict-marker-size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The text to go on with.

    Attributes:
        conflicts: Models that are left between markers, then what else is.
    """

    text: str
    conflicts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pieces:
    """A lock in pieces, in their order in the text; `unsure` names those of which two versions are known."""

    head: str = ""
    sections: Mapping[str, str] = field(default_factory=dict)
    foreign: str = ""
    unsure: frozenset[str] = frozenset()


def merge_locks(base: str, ours: str, theirs: str, *, marker_size: int = _SHORT) -> Merged | None:
    """Merge two versions of a lock that both come from `base`; None where git has to merge the lines.

    Args:
        base: Empty where both sides added the file; may hold the markers of a merge of bases.
        marker_size: Characters of a marker.
    """
    began, mine, other = _base(_plain(base)), _pieces(_plain(ours)), _pieces(_plain(theirs))
    if began is None or mine is None or other is None:
        return None
    sections = merge_pieces(began.sections, mine.sections, other.sections, unsure=began.unsure)
    around = merge_pieces(_around(began), _around(mine), _around(other), unsure=began.unsure)
    head, foreign = around
    text = "".join(_written(piece, marker_size) for piece in (head, *sections, foreign))
    conflicts = tuple(piece.name for piece in (*sections, *around) if piece.is_conflict)
    return Merged(text=f"{text}{END}\n", conflicts=conflicts)


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


_HEAD, _FOREIGN = "its first lines", "what is below its models"  # sort in this order


def _around(pieces: _Pieces) -> dict[str, str]:
    """What is not a model."""
    return {_HEAD: pieces.head, _FOREIGN: pieces.foreign}


def _pieces(text: str) -> _Pieces | None:
    """The text in pieces that give exactly it again; None where there are none such."""
    if _MARKERS.search(text):
        return None
    try:
        side = read_side(text, file="models.lock")
    except FetcherError:  # a newer version
        return None
    found = _Pieces(head=side.head, sections=side.sections, foreign=side.foreign)
    units = [side.head, *(side.sections[name] for name in sorted(side.sections)), side.foreign]
    end = f"\n{END}\n" if END in text else ""  # an older fetcher writes none
    return found if text == "\n\n".join(filter(None, units)) + f"\n{end}" else None


def _base(text: str) -> _Pieces | None:
    """The base in pieces; where it is itself a merge with conflicts, those pieces are unsure."""
    if not text:
        return _Pieces()
    if not _MARKERS.search(text):
        return _pieces(text)
    try:
        sides = sides_of(_MARKERS.sub(lambda found: found[1] * _SHORT, text), file="base")
    except FetcherError:  # they do not pair
        return None
    one, two = map(_pieces, sides)
    if one is None or two is None:
        return None
    unsure = _differing(one.sections, two.sections) | _differing(_around(one), _around(two))
    return _Pieces(head=one.head, sections=one.sections, foreign=one.foreign, unsure=unsure)


def _differing(one: Mapping[str, str], two: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def _written(piece: Piece, marker_size: int) -> str:
    if not piece.is_conflict:
        return _unit(piece.ours)
    begin, middle, end = (mark * marker_size for mark in "<=>")
    return f"{begin} ours\n{_unit(piece.ours)}{middle}\n{_unit(piece.theirs)}{end} theirs\n"


def _unit(text: str | None) -> str:
    return f"{text}\n\n" if text else ""
