"""How many connections one host is worth.  Pure: times and totals are handed in.

Begins with few, adds while doubling gains more than a tenth, takes back when it does not
(performance.md: at full speed a second connection costs 7 to 12 %, four cost 20 %; on a
link with a limit per connection they are everything).  Where the round trip is long, the
first step is a long one, because each step costs round trips.

Not in here: who gets the connections (transfer/), the parts (parts.py).

Promises (tests/core/test_connections.py):
  * never more than the limit, never less than one;
  * a link that rewards n connections ends between n / 2 and 2 n, unless the disk or the hash is what they wait for;
  * a link that rewards only one ends at one, whatever it tried.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_GAIN = 1.1  # for a doubling; performance.md
FAR_S = 0.02  # a round trip from which a step at a time takes too long
_FAST = 64e6  # bytes a second; one connection that is so fast has no limit of its own
_FAR_STEP = 16  # connections; what a host is asked for at most, unless more is told
_FIRST_LARGE = 4  # a host nearby gains nothing from more, and one far away shows soon that it does
_LIKE = 4  # times its size; a file that has less is over long before
_FIRST_SMALL = 2  # performance.md, "2,000 files"
_WINDOW_S = 0.15
_BUSY = 0.5  # of all processors; the kernel, and a server on the same machine, have the rest
_HELD = 0.25  # of a connection's time that the disk and the hash may take; beyond, they are what it waits for
_SETTLE_S = 0.3  # besides round trips: how long new connections may take to bring bytes
_REST_S = 5.0  # before the next trial; doubles up to a minute
_REST_CAP_S = 60.0


def as_large_as(size: int, sizes: Sequence[int]) -> int:
    """How many of `sizes` are about as large or larger, so that it would be on its way as long as they."""
    return sum(_LIKE * other >= size for other in sizes)


def to_begin_with(large: Sequence[int], small: int, *, cores: int) -> int:
    """Connections to begin with.

    A large file that is alone is received, written and hashed by threads of its own; of several
    each is one thread's, and as many at once as keep all processors busy while one waits for its disk.

    Args:
        large: Sizes of the large files, in bytes.
        small: The number of small ones.
    """
    like_the_largest = as_large_as(max(large, default=0), large)
    if like_the_largest > 1:
        return min(like_the_largest, cores + 1, _FIRST_LARGE)
    return _FIRST_SMALL if small > 1 else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is seen of a host's connections.

    Attributes:
        now_s: Any clock that only goes forward.
        received: Bytes in all, since the beginning; what small files cost beyond their bytes may be added.
        flowing: Connections that have brought bytes.
        round_trip_s: Seconds from a request to its answer; 0 when unknown.
        is_wanted: Whether one more connection would have something to do.
        is_many: Whether many small files wait: round trips count then, and each connection saves some.
        held_s: Seconds that connections have waited in all until their bytes were taken by the disk and the hash.
    """

    now_s: float
    received: float
    flowing: int
    round_trip_s: float
    is_wanted: bool
    is_many: bool = False
    held_s: float = 0.0


class Load:
    """Whether the processors are what a run waits for: more connections would only cost them more."""

    def __init__(self, *, cores: int) -> None:
        self._most = _BUSY * cores
        self._then: tuple[float, float] | None = None
        self._is_high = False

    def is_high(self, now_s: float, used_s: float) -> bool:
        """Take a look.

        Args:
            now_s: Any clock that only goes forward.
            used_s: Processor time of this process so far.
        """
        then_s, before_s = self._then or (now_s, used_s)
        if self._then is None or now_s - then_s >= _WINDOW_S:
            self._is_high = used_s - before_s > self._most * (now_s - then_s)
            self._then = now_s, used_s
        return self._is_high


@dataclass(slots=True)
class _Window:
    begun_s: float
    received: float
    held_s: float

    @classmethod
    def at(cls, look: Look) -> "_Window":
        return cls(look.now_s, look.received, look.held_s)


class Connections:
    """The number of connections that a host may have.

    Args:
        most: Limit, at least 1.
        first: To begin with.
    """

    def __init__(self, *, most: int, first: int = 1) -> None:
        self.allowed = max(1, min(first, most))
        self.rate = 0.0  # bytes a second of all, when last measured
        self._most = max(1, most)
        self._before: tuple[int, float] | None = None  # connections and rate before the trial under way
        self._window: _Window | None = None
        self._settled_by_s: float | None = None
        self._next_trial_s = 0.0
        self._rest_s = _REST_S
        self._down_next = False
        self._leapt = False
        self._is_held = False

    def look(self, look: Look) -> None:
        """Take a look; changes `allowed` when it has seen enough."""
        if look.flowing == 0:
            self._window = None
            return
        if not self._has_settled(look):
            return
        if self._window is None:
            self._window = _Window.at(look)
            return
        elapsed = look.now_s - self._window.begun_s
        if elapsed <= 0:
            return
        self._is_held = look.held_s - self._window.held_s > _HELD * look.flowing * elapsed
        if self._leaps(look, elapsed):
            return
        if elapsed < max(_WINDOW_S, 2 * look.round_trip_s):
            return
        self.rate = (look.received - self._window.received) / elapsed
        self._window = _Window.at(look)
        self._judge(look)

    def _leaps(self, look: Look, elapsed_s: float) -> bool:
        """Where the host is far away and one connection slow, the first step is a long one."""
        begun, self._leapt = self._leapt, True
        if begun or self._window is None or look.round_trip_s < FAR_S or not look.is_wanted or self._is_held:
            return False
        rate = (look.received - self._window.received) / elapsed_s
        if rate >= _FAST * self.allowed or self.allowed >= _FAR_STEP:
            return False
        self._change(self._most if look.is_many else min(_FAR_STEP, self._most), look)
        if self.allowed == self._most:
            self._rest(look)
        return True

    def _has_settled(self, look: Look) -> bool:
        """Whether all connections bring bytes, or have had the time to."""
        if self._settled_by_s is None or look.flowing >= self.allowed or look.now_s >= self._settled_by_s:
            self._settled_by_s = None
            return True
        return False

    def _judge(self, look: Look) -> None:
        if self._before is None:
            self._maybe_try(look)
            return
        (count, rate), self._before = self._before, None
        expected = rate * _GAIN ** math.log2(self.allowed / count)
        if self.allowed > count:
            if self.rate >= expected and self._grow(look):
                return
            if self.rate < expected:
                self._change(count, look)
        elif self.rate < expected:  # fewer were slower
            self._change(count, look)
        elif self.allowed > 1:
            self._shrink(look)
            return
        self._rest(look)

    def _maybe_try(self, look: Look) -> None:
        if look.now_s < self._next_trial_s:
            return
        if self._down_next and self.allowed > 1:
            self._down_next = False
            self._shrink(look)
        else:
            self._down_next = True
            if not self._grow(look) and self.allowed > 1:
                self._rest(look)  # what it began with was chosen, so fewer are not tried at once

    def _grow(self, look: Look) -> bool:
        """Try more; False if there may be no more, or they would have nothing to do, or to wait for what these wait."""
        if self.allowed >= self._most or not look.is_wanted or self._is_held:
            return False
        self._before = (self.allowed, self.rate)
        self._change(min(2 * self.allowed, self._most), look)
        return True

    def _shrink(self, look: Look) -> None:
        self._before = (self.allowed, self.rate)
        self._change(self.allowed // 2, look)

    def _change(self, count: int, look: Look) -> None:
        self.allowed = count
        self._window = None
        self._settled_by_s = look.now_s + _SETTLE_S + 4 * look.round_trip_s

    def _rest(self, look: Look) -> None:
        self._next_trial_s = look.now_s + self._rest_s
        self._rest_s = min(2 * self._rest_s, _REST_CAP_S)
