"""A limit on bytes a second, with time that is handed in."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.pace import Pace


@given(rate=st.integers(1, 10**9), readers=st.integers(1, 16), share=st.floats(0.01, 1.0))
def test_the_rate_is_kept_within_a_tenth_over_ten_seconds(rate: int, readers: int, share: float) -> None:
    """`--limit-rate 20M`: neither more, nor much less, however many connections share it."""
    pace = Pace(rate)
    piece = max(1, int(pace.grain * share))
    free_at = [0.0] * readers
    spent = 0
    end_s = max(10.0, 100 * readers * piece / rate)
    steps = 0
    while min(free_at) < end_s and steps < 20_000:
        reader = free_at.index(min(free_at))
        free_at[reader] += pace.spend(piece, free_at[reader]) or piece / rate / 100
        spent += piece
        steps += 1
    elapsed = min(free_at)
    assert spent <= 1.1 * rate * elapsed + readers * piece + pace.grain
    assert spent >= 0.9 * rate * elapsed - readers * piece


def test_a_pause_does_not_save_up_more_than_a_moment() -> None:
    """After a stall nobody may make up for it."""
    pace = Pace(1000)
    assert pace.spend(100, 0.0) == 0.1
    assert pace.spend(100, 1000.0) == 0.05
