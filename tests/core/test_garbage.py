"""What a store may lose."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.garbage import ABANDONED_S, Stored, unneeded_objects, unneeded_partials

_SECONDS = st.integers(0, 1000).map(float)  # whole ones, so that sums and differences are exact
_THINGS = st.lists(
    st.builds(Stored, name=st.sampled_from("abcdef"), size=st.just(1), changed_s=_SECONDS),
    unique_by=lambda item: item.name,
)


@given(things=_THINGS, named=st.sets(st.sampled_from("abcdef")), grace=_SECONDS)
def test_exactly_what_is_old_and_unnamed_goes(things: list[Stored], named: set[str], grace: float) -> None:
    """And nothing is left for a second time."""
    goes = unneeded_objects(things, named, now_s=1000.0, grace_s=grace)
    for item in things:
        assert (item in goes) == (item.name not in named and item.changed_s + grace <= 1000.0)
    rest = [item for item in things if item not in goes]
    assert unneeded_objects(rest, named, now_s=1000.0, grace_s=grace) == []


def test_a_partial_that_is_named_waits_longer() -> None:
    """Somebody wants it still; but not for ever."""
    fresh, old = (Stored(name="a", size=1, changed_s=-age) for age in (ABANDONED_S - 1, ABANDONED_S))
    assert unneeded_partials([fresh, old], {"a"}, now_s=0.0, grace_s=10.0) == [old]
    assert unneeded_partials([fresh, old], set(), now_s=0.0, grace_s=10.0) == [fresh, old]
    assert unneeded_partials([fresh, old], set(), now_s=0.0, grace_s=2 * ABANDONED_S) == []
