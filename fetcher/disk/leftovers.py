"""What killed runs left in a store and nobody will ask for again.

Not in here: partials of objects that are still to come, from which the next run goes on;
objects that nobody wants any more.

Promises (tests/disk/test_leftovers.py, tests/crash):
  * what a living writer holds is not touched;
  * what a killed run left of its batches goes, and of partials whose object is there.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.disk.adopt import has_data
from fetcher.disk.atomic import disk_errors
from fetcher.disk.claim import Claim
from fetcher.disk.store import Store
from fetcher.disk.writer import sweep


def remove_leftovers(store: Store) -> None:
    """Remove what killed runs left behind.

    Raises:
        DiskError: It may not be removed.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for folder in list(folders_below(store.root / "partial")):
            if _is_of_no_use(store, folder):
                _remove(folder)


def folders_below(parent: Path) -> Iterator[Path]:
    """The folders in a folder; never through a symlink, which may have come with somebody's project.

    Raises:
        FileNotFoundError, NotADirectoryError: There is no such folder.
    """
    if not parent.is_symlink():
        yield from (folder for folder in parent.iterdir() if folder.is_dir() and not folder.is_symlink())


def _is_of_no_use(store: Store, folder: Path) -> bool:
    """Whether it is a batch, or a partial whose object is there or of which no bytes are left."""
    if folder.name.startswith("batch-"):
        return True
    try:
        return store.object_path(Sha256(folder.name)).is_file() or not has_data(folder)
    except ValueError:
        return False


def _remove(folder: Path) -> None:
    with disk_errors(folder), contextlib.suppress(FileNotFoundError):
        claim = Claim.take(folder)
        if claim is not None:
            empty(folder)
            claim.end()


def empty(folder: Path) -> None:
    """Remove the files of a claimed folder, but for those of the claim."""
    sweep(folder)
    for path in folder.iterdir():
        if path.name not in ("claim", "owner"):
            path.unlink(missing_ok=True)
