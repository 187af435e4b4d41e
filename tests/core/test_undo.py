"""The promises of the undo's decisions, over every combination."""

from itertools import product

import pytest

from fetcher.core.change import Act
from fetcher.core.undo import Seen, Way, way_back

_ALL = list(product(Act, Seen, Seen, [True, False]))
_MOVES = {Way.TAKE, Way.RESTORE, Way.SWAP, Way.BACK}


@pytest.mark.parametrize(("act", "here", "before", "kept"), _ALL)
def test_what_is_the_user_s_is_never_touched(act: Act, here: Seen, before: Seen, kept: bool) -> None:
    """Something else at the spot to which a file would come, or from which one would be taken."""
    if act is not Act.MOVE:
        before = here
    way = way_back(act, here=here, before=before, kept=kept)
    if before is Seen.OTHER:
        assert way not in _MOVES
    if here is Seen.OTHER:
        assert way not in {Way.TAKE, Way.SWAP, Way.BACK}


@pytest.mark.parametrize(("act", "here", "before", "kept"), _ALL)
def test_nothing_is_restored_that_is_not_kept(act: Act, here: Seen, before: Seen, kept: bool) -> None:
    """A way that needs the trash is chosen only if the trash has it."""
    way = way_back(act, here=here, before=before, kept=kept)
    assert kept or way not in {Way.RESTORE, Way.SWAP}


@pytest.mark.parametrize(
    ("act", "here", "before"),
    [
        (Act.PLACE, Seen.ABSENT, Seen.ABSENT),
        (Act.REPLACE, Seen.FORMER, Seen.FORMER),
        (Act.REMOVE, Seen.FORMER, Seen.FORMER),
        (Act.MOVE, Seen.ABSENT, Seen.FORMER),
    ],
)
def test_a_step_not_taken_or_taken_back_asks_for_nothing(act: Act, here: Seen, before: Seen) -> None:
    """So that a killed undo can be run again."""
    assert way_back(act, here=here, before=before, kept=False) is Way.NOTHING


@pytest.mark.parametrize(
    ("act", "here", "before", "kept", "way"),
    [
        (Act.PLACE, Seen.NEW, Seen.NEW, False, Way.TAKE),
        (Act.REPLACE, Seen.NEW, Seen.NEW, True, Way.SWAP),
        (Act.REPLACE, Seen.ABSENT, Seen.ABSENT, True, Way.RESTORE),
        (Act.REPLACE, Seen.NEW, Seen.NEW, False, Way.LOST),
        (Act.REMOVE, Seen.ABSENT, Seen.ABSENT, True, Way.RESTORE),
        (Act.MOVE, Seen.NEW, Seen.ABSENT, False, Way.BACK),
        (Act.MOVE, Seen.NEW, Seen.FORMER, False, Way.TAKE),
        (Act.MOVE, Seen.ABSENT, Seen.ABSENT, False, Way.LOST),
        (Act.ASIDE, Seen.ABSENT, Seen.ABSENT, True, Way.RESTORE),
        (Act.ASIDE, Seen.OTHER, Seen.OTHER, True, Way.BLOCKED),
    ],
)
def test_the_way_back(act: Act, here: Seen, before: Seen, kept: bool, way: Way) -> None:
    """Each act as it is found after a sync that came to its end."""
    assert way_back(act, here=here, before=before, kept=kept) is way
