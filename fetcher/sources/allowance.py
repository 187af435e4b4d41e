"""What all listings of one repository may cost together, however few each of them holds.

Promise (tests/sources/test_allowance.py, test_huggingface.py): a hub that lists for ever, in many small replies, is
given up before the memory or the patience of the machine is.
"""

import time
from collections.abc import Callable, Iterable

MOST_ENTRIES = 500_000  # about 1 KB of memory each
MOST_CHARACTERS = 64 << 20  # of all names; 500,000 names of 134 characters
MOST_SECONDS = 1800.0  # 20,000 listings at 90 ms each, the walk of a very large model


class Allowance:
    """Is spent by the listings of one snapshot."""

    def __init__(
        self,
        *,
        entries: int = MOST_ENTRIES,
        characters: int = MOST_CHARACTERS,
        seconds: float = MOST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = entries
        self._characters = characters
        self._seconds = seconds
        self._clock = clock
        self._end_s = clock() + seconds
        self._left = (entries, characters)

    def spend(self, names: Iterable[str]) -> None:
        """Pay for one listing.

        Raises:
            ValueError: There is nothing left; says of what.
        """
        lengths = [len(name) for name in names]
        self._left = (self._left[0] - len(lengths), self._left[1] - sum(lengths))
        if self._left[0] < 0:
            raise ValueError(f"it lists more than {self._entries} entries")
        if self._left[1] < 0:
            raise ValueError(f"its names have more than {self._characters} characters")
        if self._clock() > self._end_s:
            raise ValueError(f"its listings took longer than {self._seconds:g} s")
