"""Who fetches which bytes of a file, and over how many connections.  Pure: no clock, no lock, no socket.

A *part* is what one connection is busy with.  Parts are handed out in file order, so that
the hash can follow; when nothing is left to hand out, the largest part on its way is split,
so that no connection is idle while another one has minutes to go.  The callers see to it
that one thread at a time asks.

Not in here: what a reply means (download.py), whom to ask (retry.py).

Promises (tests/core/test_parts.py):
  * every missing byte is in exactly one of: free, one open part, come;
  * a byte that was promised to a reader is not given to another part;
  * connections never exceed the limit, and end at no more than twice what the link rewards.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fetcher.core.download import Span

RANGES_FROM = 64 << 20  # bytes; below, a second connection costs more than it brings (performance.md)
PART = 16 << 20  # bytes; a chunk of the journal
_LEAST = 8 << 20
_MOST = 64 << 20
_SPLIT_AT = 1 << 20  # a split lies on a multiple of this, so that writes stay aligned
_SPLIT_LEAST = 4 << 20  # bytes; less is over before another connection has asked for it


def part_size(*, left: int, connections: int, rate: float, round_trip_s: float) -> int:
    """Bytes of the next part: a multiple of 8 MiB from 8 to 64 MiB.

    Args:
        left: Bytes of the file that are still to come.
        connections: That share them.
        rate: Of one connection, in bytes a second; 0 when unknown.
        round_trip_s: Seconds from a request to its answer.
    """
    usual = _LEAST if left < 2 * PART * connections else PART
    wanted = max(usual, 10 * round_trip_s * rate)  # asking then costs a tenth at most
    return min(_MOST, math.ceil(wanted / _LEAST) * _LEAST)


@dataclass(slots=True, eq=False)
class Part:
    """Bytes that one connection is busy with.

    Attributes:
        at: First byte that has not come yet.
        promised: First byte that no reader has been promised.
        stop: End, excluded; moves when the part follows on or is split.
    """

    start: int
    at: int
    promised: int
    stop: int


class Parts:
    """The missing bytes of one file.

    Args:
        missing: Disjoint, in file order.
    """

    def __init__(self, missing: Iterable[Span]) -> None:
        self._free = list(missing)
        self._open: list[Part] = []

    @property
    def left(self) -> int:
        """Bytes that have not come."""
        return sum(span.size for span in self._free) + sum(part.stop - part.at for part in self._open)

    @property
    def open_count(self) -> int:
        """Parts on their way."""
        return len(self._open)

    def has_work(self, *, least: int = _SPLIT_LEAST) -> bool:
        """Whether `take` would give something."""
        return bool(self._free) or self._largest(least) is not None

    def is_idle(self) -> bool:
        """Whether bytes are free and no part is on its way."""
        return bool(self._free) and not self._open

    def take(self, size: int, *, least: int = _SPLIT_LEAST) -> Part | None:
        """The first free bytes, up to the next multiple of `size`; else the end of the largest part.

        Args:
            least: Bytes that either side of a split has at least.
        """
        if self._free:
            gap = self._free[0]
            part = Part(gap.start, gap.start, gap.start, min(gap.stop, _next_multiple(gap.start, size)))
            self._use(part.stop)
            self._open.append(part)
            return part
        largest = self._largest(least)
        return self._split(largest) if largest else None

    def follow(self, part: Part, size: int) -> bool:
        """Let a part that is at its end go on with the bytes after it, if they are free."""
        if not self._free or self._free[0].start != part.stop:
            return False
        part.stop = min(self._free[0].stop, _next_multiple(part.stop, size))
        self._use(part.stop)
        return True

    def reach(self, part: Part) -> int:
        """How far a part could go if nobody else took anything: the end of the free bytes after it."""
        return self._free[0].stop if self._free and self._free[0].start == part.stop else part.stop

    def jump(self, part: Part) -> int | None:
        """Let a part that is at its end go on at the next free bytes; returns their start, if there are any."""
        if not self._free:
            return None
        gap = self._free.pop(0)
        part.at = part.promised = gap.start
        part.stop = gap.stop
        return gap.start

    def promise(self, part: Part, count: int) -> int:
        """How many of the next `count` bytes a part may receive; nobody else is given them."""
        allowed = min(count, part.stop - part.at)
        part.promised = max(part.promised, part.at + allowed)
        return allowed

    def came(self, part: Part, count: int) -> None:
        """Take note of `count` promised bytes."""
        if part.at + count > part.promised:
            raise ValueError(f"{count} bytes at {part.at} were not promised")
        part.at += count

    def give_back(self, part: Part) -> None:
        """End a part; what has not come of it is free again."""
        self._open.remove(part)
        if part.at == part.stop:
            return
        self._free.append(Span(start=part.at, stop=part.stop))
        self._free.sort(key=lambda span: span.start)
        self._join()

    def _use(self, stop: int) -> None:
        gap = self._free[0]
        self._free[:1] = [Span(start=stop, stop=gap.stop)] if stop < gap.stop else []

    def _join(self) -> None:
        joined: list[Span] = []
        for span in self._free:
            if joined and joined[-1].stop == span.start:
                joined[-1] = Span(start=joined[-1].start, stop=span.stop)
            else:
                joined.append(span)
        self._free = joined

    def _largest(self, least: int) -> Part | None:
        largest = max(self._open, key=lambda part: part.stop - part.promised, default=None)
        return largest if largest and largest.stop - largest.promised >= 2 * max(least, _SPLIT_AT) else None

    def _split(self, part: Part) -> Part:
        middle = _next_multiple((part.promised + part.stop) // 2 - 1, _SPLIT_AT)
        stolen = Part(middle, middle, middle, part.stop)
        part.stop = middle
        self._open.append(stolen)
        return stolen


def _next_multiple(offset: int, size: int) -> int:
    """The first multiple of `size` after `offset`."""
    return (offset // size + 1) * size
