"""A limit on bytes a second: a token bucket.  Pure; the clock is the caller's.

Promises (tests/core/test_pace.py):
  * over any time from one second on, no more than the rate and a tenth of it pass;
  * whoever always has bytes gets the rate, whatever the pieces.
"""

_BURST_S = 0.05  # what may pass at once, as a share of a second


class Pace:
    """Shared by all connections; the caller sees to it that one thread at a time asks.

    Args:
        rate: Bytes a second, above 0.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = rate * _BURST_S
        self._level = 0.0  # bytes that may pass now; below 0, what passed too early
        self._then_s: float | None = None

    @property
    def grain(self) -> int:
        """Bytes that one reader should ask for at once, so that waits stay short."""
        return max(1, int(self._burst))

    def spend(self, count: int, now_s: float) -> float:
        """Take note of `count` bytes; returns seconds to wait before the next ones."""
        if self._then_s is not None:
            self._level = min(self._burst, self._level + (now_s - self._then_s) * self._rate)
        self._then_s = now_s
        self._level -= count
        return max(0.0, -self._level / self._rate)
