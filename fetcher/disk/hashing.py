"""sha256 of files on disk; the one place that reads a file only to hash it."""

import hashlib
import os
from pathlib import Path

from fetcher.core.digest import Sha256

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
