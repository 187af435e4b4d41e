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

from fetcher.core.digest import Expected, GitBlob, Sha256
from fetcher.disk.opened import opened
from fetcher.errors import IntegrityError


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


def git_blob_hasher(size: int) -> Hasher:
    """Makes the id of a git blob (git's hash-object): sha1 over `blob <size>\\0` and the content."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Whole:
    """Hashes all bytes of an object, in order, and says at their end whether they are right."""

    _expected: Expected
    _sha256: Hasher
    _blob: Hasher | None

    @classmethod
    def of(cls, expected: Expected, hashing: Hashing = HASHING) -> Self:
        """Begin."""
        blob = git_blob_hasher(expected.size) if expected.git_blob else None
        return cls(expected, hashing.whole(expected.name), blob)

    def update(self, data: memoryview) -> None:
        """Take bytes in."""
        self._sha256.update(data)
        if self._blob is not None:
            self._blob.update(data)

    def copy(self) -> "Whole":
        """One in the same state."""
        return Whole(self._expected, self._sha256.copy(), self._blob.copy() if self._blob is not None else None)

    def proven(self) -> Sha256:
        """The sha256 of all bytes.

        Raises:
            IntegrityError: They are not what was expected.
        """
        found, expected = Sha256(self._sha256.hexdigest()), self._expected
        if expected.sha256 is not None and found != expected.sha256:
            raise wrong_bytes(expected.sha256, found)
        if self._blob is not None and self._blob.hexdigest() != expected.git_blob:
            raise IntegrityError(
                "The bytes received are not those of the listing.",
                facts=[f"listed: git blob {expected.git_blob}", f"received: git blob {self._blob.hexdigest()}"],
            )
        return found


def wrong_bytes(locked: Sha256, received: Sha256) -> IntegrityError:
    """The error of a whole with another sha256."""
    return IntegrityError(
        "The bytes received are not those of the lock.",
        facts=[f"locked: sha256 {locked}", f"received: sha256 {received}"],
    )


_PIECE = 1 << 20  # bytes; performance.md: page cache reads are fastest at 1 MiB


def _nobody(count: int) -> None:
    """Is told how many bytes were hashed, and does nothing."""


def sha256_of(path: Path, *, hashed: Callable[[int], object] = _nobody) -> Sha256:
    """Hash a regular file.

    Args:
        hashed: Told the bytes of each piece; what it raises ends the hashing.

    Raises:
        OSError: As for `opened`, or it cannot be read.
    """
    with opened(path) as descriptor:
        return Sha256(_hexdigest(descriptor, hashlib.sha256(), hashed))


def git_blob_of(path: Path, size: int) -> GitBlob:
    """The git blob id of a regular file of `size` bytes.

    Raises:
        OSError: As for `sha256_of`.
    """
    with opened(path) as descriptor:
        return GitBlob(_hexdigest(descriptor, git_blob_hasher(size)))


def sha256_of_descriptor(descriptor: int) -> Sha256:
    """Hash what an open descriptor reads from here to its end."""
    return Sha256(_hexdigest(descriptor, hashlib.sha256()))


def _hexdigest(descriptor: int, hasher: Hasher, hashed: Callable[[int], object] = _nobody) -> str:
    buffer = memoryview(bytearray(_PIECE))
    with os.fdopen(os.dup(descriptor), "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hasher.update(buffer[:count])
            hashed(count)
    return hasher.hexdigest()
