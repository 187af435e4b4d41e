"""Which tags of a repository are newer than what is pinned.  Pure.

Hubs tell little: ModelScope when a tag was made but not its commit, Hugging Face and git its commit
but not when.  So tags are compared by their dates where both have one, else by the numbers in names
that are alike (`v1.2` and `v1.10`, not `v1.2` and `2024-05-01`).

Promises (tests/core/test_tags.py):
  * a tag that nothing says to be newer is not told;
  * what is newer by number or date is told, oldest first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fetcher.core.digest import Commit

_NUMBERED = re.compile(r"(?P<before>\D*)(?P<numbers>[0-9]{1,9}(?:\.[0-9]{1,9})*)(?P<after>[^0-9.].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag as its source tells it.

    Attributes:
        commit: None where the source does not tell it.
        made_s: When it was made, in seconds since 1970; None where the source does not tell.
    """

    name: str
    commit: Commit | None = None
    made_s: int | None = None


def newer_tags(tags: Sequence[Tag], *, revision: str | None, commit: Commit) -> tuple[Tag, ...]:
    """The tags that are newer than the pinned one, oldest first; none where no tag is pinned.

    Args:
        revision: What the manifest asks for; a tag of that name is pinned, or those at the commit.
        commit: What is pinned.
    """
    pinned = [tag for tag in tags if tag.name == revision] or [tag for tag in tags if tag.commit == commit]
    newer = [tag for tag in tags if pinned and tag not in pinned and all(_is_newer(tag, than=one) for one in pinned)]
    return tuple(sorted(newer, key=lambda tag: (tag.made_s or 0, _numbers(tag), tag.name)))


def _is_newer(tag: Tag, *, than: Tag) -> bool:
    if tag.commit is not None and tag.commit == than.commit:
        return False
    if tag.made_s is not None and than.made_s is not None:
        return tag.made_s > than.made_s
    return _kind(tag) == _kind(than) is not None and _numbers(tag) > _numbers(than)


def _kind(tag: Tag) -> tuple[str, str] | None:
    """What stands around the numbers of a name; None where it has none."""
    found = _NUMBERED.fullmatch(tag.name)
    return (found["before"], found["after"] or "") if found else None


def _numbers(tag: Tag) -> tuple[int, ...]:
    """Zeros at the end count for nothing."""
    found = _NUMBERED.fullmatch(tag.name)
    numbers = [int(number) for number in found["numbers"].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
