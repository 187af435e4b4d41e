"""The bytes of an object under a temporary name beside their spot: shared where that can be, else copied.

Promise (tests/disk/test_place.py):
  * what is copied is hashed on its way; damaged bytes are an IntegrityError.
"""

import hashlib
import os
import sys
from collections.abc import Callable

from fetcher.core.plan import Wanted
from fetcher.disk.atomic import backdate
from fetcher.disk.folder import NO_SHARING, Folder, StrPath
from fetcher.disk.share import clone
from fetcher.errors import IntegrityError

COPY_BELOW = 1 << 20  # bytes; an edit of a small file in place must not reach the store
_PIECE = 1 << 20  # bytes
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)


def bring(source: StrPath, folder: Folder, temporary: str, wanted: Wanted) -> None:
    """Make the temporary name hold the object's bytes, durably.

    Raises:
        IntegrityError: They are not the locked ones.
    """
    if wanted.size >= COPY_BELOW:
        if _clone(source, folder, temporary):
            return
        try:
            folder.link_here(source, temporary)
        except OSError as error:
            if error.errno not in NO_SHARING:
                raise
        else:
            return
    copy(source, folder, temporary, wanted)


def write_name(folder: Folder, temporary: str, wanted: Wanted) -> None:
    """Make the temporary name lead where a wanted name is to."""
    text = wanted.text or ""
    if wanted.is_link:
        folder.link_to_name(text, temporary)
        return
    with os.fdopen(folder.create(temporary), "wb", buffering=0) as write:
        write.write(text.encode())
        backdate(write.fileno())
        os.fsync(write.fileno())


def later(descriptor: int) -> None:
    """For `copy`: leave it to `make_durable`."""


def copy(
    source: StrPath, folder: Folder, temporary: str, wanted: Wanted, *, sync: Callable[[int], object] = os.fsync
) -> None:
    """Copy the object's bytes to a new name.

    Args:
        sync: Makes what an open file holds durable.

    Raises:
        IntegrityError: They are not the locked ones.
    """
    read = os.open(source, _READ)  # descriptors: two file objects cost more than to copy a small file
    try:
        write = folder.create(temporary)
        try:
            found = _copy(read, write, min(_PIECE, wanted.size + 1))
            backdate(write)
            sync(write)
        finally:
            os.close(write)
    finally:
        os.close(read)
    if found != wanted.sha256:
        raise IntegrityError(
            f"The store's object of {wanted.label} is damaged.",
            facts=[f"locked: sha256 {wanted.sha256}", f"found:  sha256 {found}"],
            fix="run `fetcher sync` again; the object is fetched anew",
        )


def _copy(read: int, write: int, most: int) -> str:
    """Copy to the end, `most` bytes at once; returns the sha256."""
    digest = hashlib.sha256()
    while piece := os.read(read, most):
        digest.update(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(write, view) :]
    return digest.hexdigest()


def _clone(source: StrPath, folder: Folder, temporary: str) -> bool:
    """Reflink (btrfs, xfs); False where the file system cannot."""
    if sys.platform != "linux":
        return False
    descriptor = folder.create(temporary)
    try:
        with open(source, "rb") as file:
            if not clone(file.fileno(), descriptor):
                folder.unlink(temporary)
                return False
        os.fchmod(descriptor, 0o444)
        backdate(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True
