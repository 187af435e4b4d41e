"""What listings may cost together."""

import pytest

from fetcher.sources.allowance import Allowance


def test_many_small_listings_end_where_a_large_one_would() -> None:
    """Each alone is harmless."""
    allowance = Allowance(entries=10)
    for _ in range(5):
        allowance.spend(["a", "b"])
    with pytest.raises(ValueError, match=r"^it lists more than 10 entries$"):
        allowance.spend(["a"])


def test_long_names_count() -> None:
    """A reply may hold 64 MiB of them."""
    allowance = Allowance(characters=10)
    allowance.spend(["12345", "12345"])
    with pytest.raises(ValueError, match=r"^its names have more than 10 characters$"):
        allowance.spend(["1"])


def test_so_does_time() -> None:
    """A reply that is late, but never too late."""
    now = [0.0]
    allowance = Allowance(seconds=60, clock=lambda: now[0])
    now[0] = 60.0
    allowance.spend(["a"])
    now[0] = 60.1
    with pytest.raises(ValueError, match=r"^its listings took longer than 60 s$"):
        allowance.spend([])
