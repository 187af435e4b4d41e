"""Small objects on their way into a store together: written one by one, made durable by one sync, then named.

    partial/batch-<token>/<sha256>   an object without its name yet

A sync for each of 2,000 files costs five times what all else costs (performance.md, "Disk").
The names are not made durable: after a power cut some may be missing, and are fetched again.

Not in here: when to sync (transfer/run.py), larger objects (partial.py), what killed runs left (leftovers.py).

Promises (tests/disk/test_batch.py):
  * a name appears only after the bytes behind it are durable;
  * a disk that fails costs the batch, never an object that has its name.
"""

import ctypes
import os
import secrets
from collections.abc import Callable, Sequence

from fetcher.core.digest import Sha256
from fetcher.disk.atomic import disk_errors
from fetcher.disk.claim import Claim
from fetcher.disk.leftovers import empty
from fetcher.disk.store import Store

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
TOGETHER_FROM = 16  # files; for fewer, a sync of each costs less than one of all that the file system holds


class Batch:
    """Objects of one store that wait for their names.  Used by several threads at once.

    Args:
        store: Takes them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        claim = None
        while claim is None:  # another run may take the folder for a dead one before we have claimed it
            self._folder = store.root / "partial" / f"batch-{secrets.token_hex(8)}"
            claim = Claim.take(self._folder)
        self._claim = claim
        self._prefix = os.path.join(self._folder, "")

    def add(self, sha256: Sha256, data: bytes) -> None:
        """Write an object that was proven; it gets its name at `publish`.

        Raises:
            DiskError: No space, quota, read-only, I/O error.
        """
        path = f"{self._prefix}{sha256}"
        with disk_errors(self._folder):
            descriptor = _new_file(path)
            try:
                os.fchmod(descriptor, 0o444)
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            finally:
                os.close(descriptor)

    def publish(self, digests: Sequence[Sha256]) -> None:
        """Make objects that were added durable, then give them their names.

        Raises:
            DiskError: They could not be made durable or renamed.
        """
        paths = {sha256: f"{self._prefix}{sha256}" for sha256 in digests}
        with disk_errors(self._folder):
            make_durable(list(paths.values()))
            for sha256, path in paths.items():
                name = self._store.object_name(sha256)
                try:
                    os.replace(path, name)
                except FileNotFoundError:
                    os.makedirs(os.path.dirname(name), exist_ok=True)
                    os.replace(path, name)

    def close(self) -> None:
        """Remove what has no name yet."""
        with disk_errors(self._folder):
            empty(self._folder)
            self._claim.end()


def _new_file(path: str) -> int:
    try:
        return os.open(path, _NEW, 0o600)
    except FileExistsError:  # another job had the same bytes
        os.unlink(path)
        return os.open(path, _NEW, 0o600)


def make_durable(paths: Sequence[str]) -> None:
    """One sync of the file system for many files, one of each for a few, or where there is no other."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if os.name == "posix" else None
    by_device: dict[int, list[str]] = {}
    for path in paths:
        by_device.setdefault(os.lstat(path).st_dev, []).append(path)
    for some in by_device.values():
        if syncfs is None or len(some) < TOGETHER_FROM:
            for path in some:
                _sync(path, os.fsync)
        else:
            _sync(some[0], lambda descriptor: _checked(syncfs(descriptor)))


def _sync(path: str, sync: Callable[[int], object]) -> None:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
