"""The chunks of an object: 16 MiB each, with their blake3; and the text that keeps them.

    fetcher-chunks 1 <size of the object> <size of a chunk>
    <blake3 of the first chunk, 64 hex>
    …

Not in here: where the text is kept (store.py), the journal of a partial (partial.py).
"""

from dataclasses import dataclass
from typing import Self

from blake3 import blake3

from fetcher.core.chunk import CHUNK

_FORMAT = "fetcher-chunks 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkList:
    """The blake3 of each chunk, in order; `size` is the object's, in bytes."""

    size: int
    digests: tuple[str, ...]

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Of bytes in memory."""
        pieces = range(0, len(data), CHUNK)
        view = memoryview(data)
        return cls(size=len(data), digests=tuple(blake3(view[i : i + CHUNK]).hexdigest() for i in pieces))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises:
            ValueError: Another format or version, or a list that does not fit the size.
        """
        head, *digests = text.split("\n")
        fields = head.rsplit(" ", 2)
        if len(fields) != 3 or fields[0] != _FORMAT or fields[2] != str(CHUNK):
            raise ValueError(f"expected `{_FORMAT} <size> {CHUNK}`, got {text[:80]!r}")
        size = int(fields[1])
        if not digests or digests.pop():
            raise ValueError("the list is cut off")
        if len(digests) != -(-size // CHUNK) or any(len(digest) != 64 for digest in digests):
            raise ValueError(f"expected {-(-size // CHUNK)} digests of 64 hex digits, got {len(digests)} lines")
        return cls(size=size, digests=tuple(digests))

    def __str__(self) -> str:
        return "\n".join([f"{_FORMAT} {self.size} {CHUNK}", *self.digests, ""])
