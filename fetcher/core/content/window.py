"""A file of which only a few KiB are read.

Promise (tests/core/content/test_judge.py): never more than `MOST` bytes of a file, nor more than `MOST_READS` reads.
"""

from collections.abc import Callable

MOST = 64 << 10  # bytes that are read of one file
MOST_READS = 12
_LEAST = 1 << 10  # bytes of one read, where the file has them

Read = Callable[[int, int], bytes]


class SpentError(Exception):
    """What is still to be read is more than may be read."""


class Window:
    """One file.

    Args:
        size: Of the whole file, in bytes.
        read: Gives the bytes `start` (included) to `stop` (excluded).
    """

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read
        self._pieces: list[tuple[int, bytes]] = []
        self._left = MOST
        self._reads = 0

    def take(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, fewer only at the end of the file.

        Raises:
            SpentError: They are more than may still be read.
        """
        start, stop = min(start, self.size), min(stop, self.size)
        known = self._from(start)
        missing = stop - start - len(known)
        if missing <= 0:
            return known[: stop - start]
        if missing > self._left or self._reads == MOST_READS:
            raise SpentError
        at = start + len(known)
        more = self._read(at, min(at + max(missing, min(_LEAST, self._left)), self.size))
        self._left -= len(more)
        self._reads += 1
        self._pieces.append((start, known + more))
        return (known + more)[: stop - start]

    def upto(self, start: int, stop: int) -> bytes:
        """As `take`, or as much as may still be read; may be empty."""
        known = len(self._from(min(start, self.size)))
        try:
            return self.take(start, min(stop, start + known + self._left))
        except SpentError:
            return self._from(start)[: max(0, stop - start)]

    @property
    def left(self) -> int:
        """Bytes that may still be read."""
        return self._left

    def _from(self, start: int) -> bytes:
        """What is known from `start` on, without a gap."""
        fitting = [piece[start - at :] for at, piece in self._pieces if at <= start < at + len(piece)]
        return max(fitting, key=len, default=b"")
