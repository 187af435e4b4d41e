"""What hashing placed files means: how closely to look, and what was found.  Pure.

Not in here: hashing (disk/prove.py), what a file that differs is (disk/scan.py).

Promises (tests/core/test_proof.py):
  * a sample holds at least one chunk, none twice, and all of them at 100 %;
  * the spans that differ cover each chunk that does, and touch no other.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fetcher.core.digest import Sha256
from fetcher.core.download import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What hashing a file has shown.

    Attributes:
        sha256: Of its bytes; None if only a sample was read and it is right.
        differs: The chunks that are not as locked, where that is known; touching ones are one span.
    """

    sha256: Sha256 | None
    differs: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How closely to look.

    Attributes:
        by_sha256: Believe the lock's own hash only.
        percent: Share of the chunks of large files, and of the other files, that is read.
    """

    by_sha256: bool = False
    percent: float = 100.0

    @property
    def is_sample(self) -> bool:
        """Whether something may be left out."""
        return self.percent < 100.0

    def takes(self, chance: float) -> bool:
        """Whether a file without chunks is read; `chance` is random, from 0 to below 1."""
        return chance * 100 < self.percent

    def chunks(self, count: int, pick: Callable[[int, int], Sequence[int]]) -> Sequence[int]:
        """Numbers of the chunks to read, in order.

        Args:
            count: How many there are.
            pick: `pick(count, share)` gives `share` different numbers below `count`.
        """
        share = min(count, max(1, math.ceil(count * self.percent / 100)))
        return range(count) if share == count else sorted(pick(count, share))


FULL = Depth()


def spans_that_differ(known: Sequence[str], found: Sequence[str], *, chunk: int, size: int) -> tuple[Span, ...]:
    """Where the digests of chunks differ, as spans of a file of `size` bytes; touching ones are one."""
    spans: list[Span] = []
    for number, (old, new) in enumerate(zip(known, found, strict=True)):
        start, stop = number * chunk, min((number + 1) * chunk, size)
        if old == new:
            continue
        if spans and spans[-1].stop == start:
            start = spans.pop().start
        spans.append(Span(start=start, stop=stop))
    return tuple(spans)
