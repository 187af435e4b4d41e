"""The number of connections, on links that are simulated by a formula."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.core.connections import Connections, Load, Look, to_begin_with

MB = 1e6


def drive(
    connections: Connections,
    rate_of: Callable[[int], float],
    *,
    seconds: float,
    round_trip_s: float = 0.0,
    is_wanted: bool = True,
    start_s: float = 0.0,
    held: float = 0.0,
) -> list[tuple[float, int]]:
    """Let the link run; new connections bring bytes after two round trips.  Returns the changes."""
    now, received, seen = start_s, start_s * 1e9, []
    flowing, flows_from = 0, start_s + 2 * round_trip_s
    while now < start_s + seconds:
        allowed = connections.allowed
        if not seen or seen[-1][1] != allowed:
            seen.append((now, allowed))
            flows_from = now + 2 * round_trip_s
        if allowed < flowing or now >= flows_from:
            flowing = allowed
        received += rate_of(flowing) * 0.05 if flowing else 0
        now += 0.05
        connections.look(
            Look(
                now_s=now,
                received=received,
                flowing=flowing,
                round_trip_s=round_trip_s,
                is_wanted=is_wanted,
                held_s=held * allowed * now,
            )
        )
    return seen


def test_a_disk_that_does_not_follow_gets_no_more_connections() -> None:
    """A trial would only show noise, and parts that come out of order are read back to be hashed."""
    rewarding = Connections(most=16)
    drive(rewarding, lambda count: 20 * MB * count, seconds=5, held=0.2)
    assert rewarding.allowed == 16
    held = Connections(most=16)
    assert drive(held, lambda count: 20 * MB * count, seconds=30, held=0.3) == [(0.0, 1)]
    far = Connections(most=16)
    assert drive(far, lambda count: 20 * MB * count, seconds=30, round_trip_s=0.05, held=0.3) == [(0.0, 1)]


@pytest.mark.parametrize(
    ("large", "small", "cores", "first"),
    [
        ([], 0, 2, 1),
        ([9], 1, 2, 1),
        ([9], 2, 2, 2),
        ([], 9, 2, 2),
        ([900, 11], 0, 2, 1),
        ([900, 400], 9, 2, 2),
        ([900] * 8, 0, 1, 2),
        ([900] * 8, 0, 2, 3),
        ([900] * 8, 0, 16, 4),
    ],
)
def test_several_files_begin_with_several_connections(large: list[int], small: int, cores: int, first: int) -> None:
    """A large file that is alone, or beside much smaller ones, has threads of its own."""
    assert to_begin_with(large, small, cores=cores) == first


def test_busy_processors_are_seen_after_a_while() -> None:
    """Receiving, writing and hashing of two files can fill two of them."""
    load = Load(cores=2)
    looks = [(0.0, 5.0), (0.1, 5.2), (0.2, 5.3), (0.3, 5.3), (0.4, 5.4), (0.6, 5.5)]
    assert [load.is_high(now_s, used_s) for now_s, used_s in looks] == [False, False, True, True, False, False]


def test_a_link_with_a_limit_a_connection_gets_all_that_are_allowed() -> None:
    """There every connection brings its share (performance.md: 16 are ten times one)."""
    connections = Connections(most=16)
    seen = drive(connections, lambda n: n * 20 * MB, seconds=3)
    assert [count for _, count in seen] == [1, 2, 4, 8, 16]
    assert seen[-1][0] < 2.0


def test_far_away_the_first_step_is_a_long_one() -> None:
    """At 50 ms a round trip, four steps of doubling would take as long as the file."""
    connections = Connections(most=64)
    seen = drive(connections, lambda n: n * 20 * MB, seconds=3, round_trip_s=0.05)
    assert [count for _, count in seen] == [1, 16, 32, 64]
    assert seen[1][0] < 0.3


def test_many_small_files_far_away_get_all_connections_at_once() -> None:
    """Each file costs a round trip, whatever the bytes; who allows 64 connections means it."""
    connections = Connections(most=64)
    for number in range(4):
        connections.look(
            Look(
                now_s=0.05 * number,
                received=0.2e6 * number,
                flowing=2,
                round_trip_s=0.05,
                is_wanted=True,
                is_many=True,
            )
        )
    assert connections.allowed == 64


def test_a_slow_answer_of_a_fast_host_is_no_reason_for_a_leap() -> None:
    """The first answer takes long on a busy machine too."""
    connections = Connections(most=16)
    seen = drive(connections, lambda n: 500 * MB, seconds=3, round_trip_s=0.05)
    assert max(count for _, count in seen) == 2


def test_at_full_speed_a_second_connection_is_taken_back() -> None:
    """On loopback it brings nothing and costs a tenth."""
    connections = Connections(most=16)
    seen = drive(connections, lambda n: 1000 * MB * (0.93 if n > 1 else 1), seconds=4)
    assert [count for _, count in seen] == [1, 2, 1]


def test_trials_are_rare_once_the_link_is_known() -> None:
    """Each costs a tenth for a moment."""
    connections = Connections(most=16)
    seen = drive(connections, lambda n: 1000 * MB, seconds=100)
    assert len(seen) <= 12
    assert connections.allowed <= 2


def test_a_link_that_gets_better_gets_more_after_a_while() -> None:
    """Somebody else's download has ended."""
    connections = Connections(most=16)
    drive(connections, lambda n: 10 * MB, seconds=3)
    assert connections.allowed == 1
    drive(connections, lambda n: n * 10 * MB, seconds=30, start_s=3)
    assert connections.allowed == 16


def test_nothing_is_added_that_would_have_nothing_to_do() -> None:
    """One small file needs one connection, however the link rewards more."""
    connections = Connections(most=16)
    drive(connections, lambda n: n * 20 * MB, seconds=5, is_wanted=False, round_trip_s=0.05)
    assert connections.allowed == 1


def test_fewer_than_it_began_with_are_not_tried_at_once() -> None:
    """Three files are over before one connection at a time would have shown anything."""
    connections = Connections(most=16, first=3)
    seen = drive(connections, lambda n: 1000 * MB, seconds=30, held=0.3)
    assert seen[:2] == [(0.0, 3), (pytest.approx(5.35, abs=0.3), 1)]


@pytest.mark.parametrize(("most", "first", "allowed"), [(16, 4, 4), (2, 4, 2), (0, 0, 1)])
def test_it_begins_within_its_limit(most: int, first: int, allowed: int) -> None:
    """`--connections 1` means one."""
    assert Connections(most=most, first=first).allowed == allowed


@settings(max_examples=200, deadline=None)
@given(
    most=st.integers(1, 64),
    first=st.integers(1, 8),
    enough=st.integers(1, 64),
    round_trip_s=st.sampled_from([0.0, 0.001, 0.05, 0.3]),
)
def test_the_count_ends_near_what_the_link_rewards(most: int, first: int, enough: int, round_trip_s: float) -> None:
    """Up to `enough` connections each brings its share; more bring nothing, and cost a little."""
    connections = Connections(most=most, first=first)
    seen = drive(
        connections,
        lambda n: min(n, enough) * 20 * MB * (1 - 0.01 * max(0, n - enough)),
        seconds=60,
        round_trip_s=round_trip_s,
    )
    assert all(1 <= count <= most for _, count in seen)
    assert connections.allowed >= min(most, enough) / 2
    time_above = sum(
        later[0] - now[0] for now, later in zip(seen, [*seen[1:], (60.0, 0)], strict=True) if now[1] > 2 * enough
    )
    assert time_above < 20
