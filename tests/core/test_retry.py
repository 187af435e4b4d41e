"""The schedule of waits: grows, is capped, respects the server, ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.retry import NEVER_AGAIN, RetrySchedule

SCHEDULE = RetrySchedule(attempts=6, base_s=1.0, factor=2.0, cap_s=5.0, retry_after_cap_s=60.0)


def test_waits_double_up_to_the_cap_and_then_end() -> None:
    """A server that is down is asked less and less often, but a wait stays bearable."""
    waits = [SCHEDULE.delay_s(attempt, retry_after_s=None, jitter=1.0) for attempt in range(1, 8)]
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0, None, None]


def test_jitter_spreads_the_upper_half_of_a_wait() -> None:
    """Equal jitter: without it, all clients of a server that restarts return at the same moment."""
    assert SCHEDULE.delay_s(2, retry_after_s=None, jitter=0.0) == 1.0
    assert SCHEDULE.delay_s(2, retry_after_s=None, jitter=0.5) == 1.5


def test_retry_after_is_waited_for_in_full() -> None:
    """Coming back before the time that the server named is a wasted request and may lengthen a ban."""
    assert SCHEDULE.delay_s(1, retry_after_s=7.0, jitter=0.0) == 7.0
    assert SCHEDULE.delay_s(1, retry_after_s=7.0, jitter=1.0) == pytest.approx(7.7)


def test_retry_after_is_capped() -> None:
    """A server that names an hour (or lies) must not freeze a run."""
    assert SCHEDULE.delay_s(1, retry_after_s=3600.0, jitter=0.0) == 60.0


def test_retry_after_never_shortens_the_own_wait() -> None:
    """`Retry-After: 0` would else turn the schedule into a busy loop."""
    assert SCHEDULE.delay_s(3, retry_after_s=0.0, jitter=1.0) == 4.0
    assert SCHEDULE.delay_s(3, retry_after_s=-5.0, jitter=1.0) == 4.0


def test_retry_after_does_not_prolong_the_tries() -> None:
    """A server that answers 429 for ever must end in an error all the same."""
    assert SCHEDULE.delay_s(6, retry_after_s=1.0, jitter=0.0) is None


def test_a_schedule_of_one_attempt_never_tries_again() -> None:
    """Used where another try is somebody else's decision."""
    assert NEVER_AGAIN.delay_s(1, retry_after_s=None, jitter=0.5) is None


@given(
    attempt=st.integers(1, 10_000),
    jitter=st.floats(0, 1),
    asked=st.none() | st.floats(-10, 1e12),
)
def test_a_wait_is_always_between_zero_and_the_caps(attempt: int, jitter: float, asked: float | None) -> None:
    """No input, however odd, gives a negative or an endless wait (or an overflow)."""
    schedule = RetrySchedule(attempts=1_000_000)
    wait = schedule.delay_s(attempt, retry_after_s=asked, jitter=jitter)
    assert wait is not None
    assert 0 < wait <= max(schedule.cap_s, 1.1 * schedule.retry_after_cap_s)
