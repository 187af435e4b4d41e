"""sha256 of files on disk, and what hashes bytes on their way.

The one place that reads a file only to hash it.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from blake3 import blake3

from fetcher.core.digest import Sha256


class Hasher(Protocol):
    """As of hashlib."""

    def update(self, data: memoryview, /) -> object:
        """Take bytes in."""
        ...

    def hexdigest(self) -> str:
        """Of all bytes so far."""
        ...

    def copy(self) -> Self:
        """One in the same state."""
        ...


def _sha256(locked: Sha256) -> Hasher:
    return hashlib.sha256()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashing:
    """What hashes received bytes; a measurement may hand in hashers that do nothing.

    Attributes:
        whole: Makes the hasher of an object, given the sha256 that it should have.
        piece: Makes the hasher of a piece of it, for the journal and the chunk list.
    """

    whole: Callable[[Sha256], Hasher] = _sha256
    piece: Callable[[], Hasher] = blake3


HASHING = Hashing()

_PIECE = 1 << 20  # bytes; performance.md: page cache reads are fastest at 1 MiB


def sha256_of(path: Path) -> Sha256:
    """Hash a regular file.

    Raises:
        OSError: It cannot be opened or read, or is a symlink.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        return sha256_of_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_descriptor(descriptor: int) -> Sha256:
    """Hash what an open descriptor reads from here to its end."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    with os.fdopen(os.dup(descriptor), "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return Sha256(digest.hexdigest())
