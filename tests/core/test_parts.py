"""Parts of one file: nobody fetches a byte twice, and none is forgotten."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.core.download import Span
from fetcher.core.parts import PART, Part, Parts, part_size

MIB = 1 << 20
GAPS = st.lists(st.integers(1, 40 * MIB), min_size=1, max_size=8).map(
    lambda sizes: [Span(start=sum(sizes[:i]), stop=sum(sizes[: i + 1])) for i in range(0, len(sizes), 2)]
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "promise", "follow", "jump", "give back"]), st.integers(0, 9)), max_size=60
)


@pytest.mark.parametrize(
    ("left", "connections", "rate", "round_trip_s", "expected"),
    [
        (1 << 32, 1, 0, 0, 16 * MIB),
        (100 * MIB, 16, 0, 0, 8 * MIB),
        (1 << 32, 16, 100e6, 0.02, 24 * MIB),
        (1 << 32, 16, 1e9, 1.0, 64 * MIB),
    ],
    ids=["usual", "end of a file", "a long way", "limit"],
)
def test_a_part_fits_the_link_and_the_file(
    left: int, connections: int, rate: float, round_trip_s: float, expected: int
) -> None:
    """Asking costs a tenth at most, a kill 64 MiB at most, and the last parts keep all busy."""
    assert part_size(left=left, connections=connections, rate=rate, round_trip_s=round_trip_s) == expected


def test_parts_come_in_file_order_and_end_with_chunks() -> None:
    """In order the hash can follow; at the end of a chunk the journal needs one line."""
    parts = Parts([Span(start=5, stop=PART + 9), Span(start=3 * PART, stop=4 * PART)])
    taken = [parts.take(PART) for _ in range(3)]
    assert [(part.start, part.stop) for part in taken if part] == [(5, PART), (PART, PART + 9), (3 * PART, 4 * PART)]


def test_the_largest_part_is_split_when_nothing_else_is_left() -> None:
    """Fifteen idle connections must not watch the sixteenth; what is promised stays with its reader."""
    parts = Parts([Span(start=0, stop=64 * MIB)])
    first = parts.take(64 * MIB)
    assert first is not None
    parts.promise(first, 10 * MIB)
    second = parts.take(PART)
    assert second is not None
    assert (first.stop, second.start, second.stop) == (37 * MIB, 37 * MIB, 64 * MIB)
    assert parts.take(PART, least=16 * MIB) is None


def test_a_part_follows_on_into_free_bytes_only() -> None:
    """One long reply serves several parts, until it meets another connection's."""
    parts = Parts([Span(start=0, stop=3 * PART)])
    first, second = parts.take(PART), parts.take(PART)
    assert first is not None
    assert second is not None
    assert not parts.follow(first, PART)
    assert parts.reach(second) == 3 * PART
    assert parts.follow(second, PART)
    assert (second.stop, parts.take(PART, least=2 * PART)) == (3 * PART, None)


def test_bytes_that_were_not_promised_are_a_bug() -> None:
    """They may be another part's by now."""
    parts = Parts([Span(start=0, stop=100)])
    part = parts.take(PART)
    assert part is not None
    parts.promise(part, 10)
    with pytest.raises(ValueError, match="11 bytes at 0 were not promised"):
        parts.came(part, 11)


def _step(parts: Parts, part: Part, kind: str, number: int, came: list[tuple[int, int]]) -> None:
    if kind == "promise":
        count = parts.promise(part, number * MIB)
        came.append((part.at, part.at + count))
        parts.came(part, count)
    elif part.at == part.stop and kind == "follow":
        parts.follow(part, PART)
    elif part.at == part.stop and kind == "jump":
        parts.jump(part)
    elif kind == "give back":
        parts.give_back(part)


@settings(max_examples=300, deadline=None)
@given(gaps=GAPS, steps=STEPS)
def test_every_byte_comes_once_whatever_happens(gaps: list[Span], steps: list[tuple[str, int]]) -> None:
    """Taken, split, followed, given back in any order."""
    parts = Parts(gaps)
    held: list[Part] = []
    came: list[tuple[int, int]] = []
    size = sum(gap.size for gap in gaps)
    for kind, number in [*steps, *[("give back", 0)] * 60]:
        if kind == "take":
            part = parts.take(PART)
            held.extend([part] if part else [])
        elif held:
            part = held[number % len(held)]
            _step(parts, part, kind, number, came)
            if kind == "give back":
                held.remove(part)
        assert parts.left == size - sum(stop - start for start, stop in came)
        assert parts.open_count == len(held)
    while part := parts.take(PART):
        while count := parts.promise(part, PART):
            came.append((part.at, part.at + count))
            parts.came(part, count)
        parts.give_back(part)
    assert not parts.has_work()
    edges = sorted(span for span in came if span[0] < span[1])
    assert all(first[1] <= second[0] for first, second in pairwise(edges))
    assert sum(stop - start for start, stop in edges) == size
    assert all(any(gap.start <= start and stop <= gap.stop for gap in gaps) for start, stop in edges)
