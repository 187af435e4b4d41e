"""The schedule of waits: grows, is capped, respects the server, ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import EMPTY_SHA256
from fetcher.core.interfaces import Candidate
from fetcher.core.retry import ENOUGH_TO_GO_ON, Given, RetrySchedule, Tries
from fetcher.errors import FetcherError, IntegrityError, NotFoundError, SourceError
from tests.scripted import ScriptedSource

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


# candidates


def candidates(count: int) -> list[Candidate]:
    data = ScriptedSource(files={})
    return [data.candidate(f"f{i}", size=1, sha256=EMPTY_SHA256) for i in range(count)]


def cut(**more: float) -> SourceError:
    return SourceError("cut.", transient=True, **more)


def test_a_candidate_is_asked_again_until_its_tries_are_used_up() -> None:
    """With one source there is no choice but patience, and it must end."""
    (only,) = candidates(1)
    tries = Tries([only], RetrySchedule(attempts=3, base_s=1.0))
    waits = []
    while tries.best() is not None:
        waits.append(tries.failed(only, cut(), progress=0, jitter=1.0))
    assert waits == [1.0, 2.0, 0.0]
    assert tries.error("m/f").what == "cut."


def test_progress_starts_the_count_anew() -> None:
    """A link that is cut every megabyte has as many tries as it needs; a little progress still waits."""
    (only,) = candidates(1)
    tries = Tries([only], RetrySchedule(attempts=2, base_s=1.0))
    assert [tries.failed(only, cut(), progress=512, jitter=1.0) for _ in range(50)] == [1.0] * 50
    assert [tries.failed(only, cut(), progress=ENOUGH_TO_GO_ON, jitter=1.0) for _ in range(50)] == [0.0] * 50
    assert tries.best() is only


def test_retry_after_is_honoured_even_after_progress() -> None:
    """The server asked for quiet; that the last try brought bytes does not matter."""
    (only,) = candidates(1)
    tries = Tries([only], RetrySchedule())
    assert tries.failed(only, cut(retry_after_s=9.0), progress=1 << 30, jitter=0.0) == 9.0


def test_after_two_failures_in_a_row_the_next_candidate_is_asked_at_once() -> None:
    """A mirror that is up must not wait for the schedule of one that is down."""
    first, second = candidates(2)
    tries = Tries([first, second], RetrySchedule(base_s=1.0))
    assert tries.failed(first, cut(), progress=0, jitter=1.0) == 1.0
    assert tries.best() is first
    assert tries.failed(first, cut(), progress=0, jitter=1.0) == 0.0
    assert tries.best() is second


def test_connections_that_fail_together_are_one_failure() -> None:
    """A server that restarts cuts all connections at once; sixteen cuts are not sixteen tries."""
    (only,) = candidates(1)
    tries = Tries([only], RetrySchedule(attempts=3, base_s=1.0))
    since = tries.incidents(only)
    assert [tries.failed(only, cut(), progress=0, jitter=1.0, since=since) for _ in range(16)] == [1.0] * 16
    assert tries.best() is only
    since = tries.incidents(only)
    assert tries.failed(only, cut(), progress=0, jitter=1.0, since=since) == 2.0


def test_a_connection_that_brings_bytes_speaks_for_its_host() -> None:
    """Of sixteen connections some may fail many times in a row, while the others get on."""
    (only,) = candidates(1)
    tries = Tries([only], RetrySchedule(attempts=3, base_s=1.0))
    for _ in range(20):
        since = tries.incidents(only)
        tries.failed(only, cut(), progress=0, jitter=1.0, since=since)
        tries.failed(only, cut(), progress=ENOUGH_TO_GO_ON, jitter=1.0, since=since)
    for _ in range(20):
        tries.failed(only, cut(), progress=0, jitter=1.0)
        tries.succeeded(only)
    assert tries.best() is only


def test_a_fault_that_will_not_pass_counts_whenever_it_comes() -> None:
    """Another connection's cut must not hide that the file is gone."""
    (only,) = candidates(1)
    tries = Tries([only], RetrySchedule())
    tries.failed(only, cut(), progress=0, jitter=1.0, since=0)
    tries.failed(only, NotFoundError("gone."), progress=0, jitter=1.0, since=0)
    assert tries.best() is None


def test_the_giver_of_all_wrong_bytes_is_guilty() -> None:
    """Nobody else can be."""
    first, second = candidates(2)
    tries = Tries([first, second], RetrySchedule())
    given = [Given(candidate=first, size=10)]
    assert tries.blame(given, IntegrityError("wrong.")) == given
    assert tries.best() is second


def test_bytes_of_an_earlier_run_are_blamed_before_a_giver() -> None:
    """Who gave them is not known any more; fetching them again costs least trust."""
    (first,) = candidates(1)
    tries = Tries([first], RetrySchedule())
    earlier = Given(candidate=None, size=99)
    assert tries.blame([Given(candidate=first, size=1), earlier], IntegrityError("wrong.")) == [earlier]
    assert tries.best() is first


def test_of_two_givers_the_lesser_is_asked_last_until_the_guilty_one_is_found() -> None:
    """Its bytes come again from the other: right means that it lied, wrong means that the other did."""
    first, second = candidates(2)
    tries = Tries([first, second], RetrySchedule())
    wrong = IntegrityError("wrong.")
    both = [Given(candidate=first, size=3), Given(candidate=second, size=5)]
    assert tries.blame(both, wrong) == [both[0]]
    assert tries.best() is second
    tries.blame([Given(candidate=second, size=8)], wrong)
    assert tries.best() is first
    tries.blame([Given(candidate=first, size=8)], wrong)
    assert tries.best() is None


@given(
    count=st.integers(1, 4),
    events=st.lists(
        st.tuples(st.sampled_from(["cut", "gone", "wrong", "suspect"]), st.integers(0, 3)), min_size=100, max_size=100
    ),
)
def test_without_progress_the_tries_end(count: int, events: list[tuple[str, int]]) -> None:
    """Whatever fails in whatever order, every candidate is given up after finitely many tries."""
    known = candidates(count)
    tries = Tries(known, RetrySchedule(attempts=5))
    for kind, also in events:
        best = tries.best()
        if best is None:
            break
        if kind == "suspect":
            givers = list({id(c): c for c in (best, known[also % count])}.values())
            given = [Given(candidate=giver, size=5 + at) for at, giver in enumerate(givers)]
            tries.blame(given, IntegrityError("wrong."))
        else:
            error = {"cut": cut(), "gone": NotFoundError("gone."), "wrong": IntegrityError("wrong.")}[kind]
            tries.failed(best, error, progress=0, jitter=0.5)
    assert tries.best() is None
    assert isinstance(tries.error("m/f"), FetcherError)


def test_a_byte_a_try_is_no_progress() -> None:
    """A hostile server could hold a run for ever with it."""
    (only,) = candidates(1)
    tries = Tries([only], RetrySchedule(attempts=3, base_s=1.0))
    for _ in range(20):
        tries.failed(only, cut(), progress=1, jitter=1.0)
    assert tries.best() is None
