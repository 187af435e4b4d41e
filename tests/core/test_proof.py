"""How closely to look, and where chunks differ."""

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.download import Span
from fetcher.core.proof import Depth, spans_that_differ
from fetcher.core.units import parse_percent


def _pick(count: int, share: int) -> Sequence[int]:
    return random.Random(7).sample(range(count), share)


@given(count=st.integers(1, 500), percent=st.floats(0.01, 100))
def test_a_sample_holds_at_least_one_chunk_and_none_twice(count: int, percent: float) -> None:
    """A file of which nothing is read would be called right for nothing."""
    chosen = list(Depth(percent=percent).chunks(count, _pick))
    assert chosen == sorted(set(chosen))
    assert all(0 <= number < count for number in chosen)
    assert 1 <= len(chosen) <= count
    assert len(chosen) >= count * percent / 100


def test_all_is_all() -> None:
    """Without --sample nothing is left to chance."""
    assert list(Depth().chunks(5, lambda count, share: pytest.fail("picked"))) == [0, 1, 2, 3, 4]
    assert Depth().takes(0.999999)
    assert not Depth(percent=5).takes(0.05)
    assert Depth(percent=5).takes(0.0499)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 10))
def test_spans_cover_the_chunks_that_differ_and_no_other(differ: list[bool], last: int) -> None:
    """They are what a repair fetches."""
    size = (len(differ) - 1) * 10 + last
    spans = spans_that_differ(["a"] * len(differ), ["b" if d else "a" for d in differ], chunk=10, size=size)
    covered = {byte for span in spans for byte in range(span.start, span.stop)}
    assert covered == {byte for byte in range(size) if differ[byte // 10]}
    assert all(one.stop < two.start for one, two in itertools.pairwise(spans))


def test_the_last_span_ends_with_the_file() -> None:
    """The last chunk is shorter."""
    assert spans_that_differ(["a", "a"], ["a", "b"], chunk=10, size=13) == (Span(start=10, stop=13),)


@pytest.mark.parametrize(("text", "percent"), [("5%", 5.0), ("0.5", 0.5), (" 100 % ", 100.0)])
def test_a_share_is_read(text: str, percent: float) -> None:
    """With or without the sign."""
    assert parse_percent(text) == percent


@pytest.mark.parametrize("text", ["", "0", "101", "5%%", "-1", "half", "1e1"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """Rather than read as something else."""
    with pytest.raises(ValueError, match=r"expected a share such as 5% \(above 0, up to 100\), got "):
        parse_percent(text)
