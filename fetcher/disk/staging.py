"""Which store takes an object on its way to a spot.

A store shares bytes with a target only on the same file system.  Elsewhere the object
goes into a small store of its own on the target's file system, and leaves it again when
it is placed, so that there are never two copies (design 4, rule 6).

Promises (tests/disk/test_staging.py):
  * an object on the user's store is not copied into another one first;
  * what nobody needs any more is found in all of them by `store gc`;
  * after `release` no staging store holds an object that a target holds; its chunk list stays, for `verify`.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.plan import Wanted
from fetcher.disk.chunks import ChunkList
from fetcher.disk.leftovers import remove_leftovers
from fetcher.disk.registry import KnownProject
from fetcher.disk.state import STAGING, links_in
from fetcher.disk.store import Store
from fetcher.errors import DiskError


class Staging:
    """The stores of one project.

    Args:
        root: The project's folder.
        state: Its `.fetcher` folder, the staging store of its file system.
        store: The user's shared store.
    """

    def __init__(self, *, root: Path, state: Path, store: Store) -> None:
        self._root = root
        self._state = state
        self._shared = store
        self._chosen: dict[str, Store] = {}  # by folder; hashing a Path costs ten times as much
        self._stores: dict[Path, Store] = {store.root: store}

    def store_for(self, wanted: Wanted) -> Store:
        """The store on the file system of the wanted file's target."""
        folder = wanted.spot[: wanted.spot.rfind("/") + 1]
        if folder not in self._chosen:
            base = self._root if not wanted.spot.startswith("/") else Path(wanted.base)
            self._chosen[folder] = self._choose(base, self._root / folder)
        return self._chosen[folder]

    def object_name(self, wanted: Wanted) -> str:
        """Path of the bytes: in the spot's own store, else in any other."""
        return self.holder(wanted).object_name(wanted.sha256)

    def tidy(self) -> None:
        """Remove what killed runs left in the stores that are in use.

        Raises:
            DiskError: It may not be removed.
        """
        for store in self._stores.values():
            remove_leftovers(store)

    def holder(self, wanted: Wanted) -> Store:
        """The store that has a file's object, else the one that would take it."""
        return self.found(wanted) or self.store_for(wanted)

    def found(self, wanted: Wanted) -> Store | None:
        """The store that has a file's object, the spot's own one first; None if none has it."""
        own = self.store_for(wanted)
        if own.has(wanted.sha256, wanted.size):
            return own
        if len(self._stores) == 1:
            return None
        others = (store for store in self._stores.values() if store is not own)
        return next((store for store in others if store.has(wanted.sha256, wanted.size)), None)

    def stored(self, wanted: Iterable[Wanted]) -> set[Sha256]:
        """Digests that one of the stores holds."""
        return {item.sha256 for item in wanted if self.found(item)}

    def chunks(self, wanted: Wanted) -> ChunkList | None:
        """The blake3 of each 16 MiB of a file, if one of the stores keeps it."""
        own = self.store_for(wanted)
        stores = (own, *(store for store in self._stores.values() if store is not own))
        return next(filter(None, (store.chunks(wanted.sha256) for store in stores)), None)

    def keep_chunks(self, wanted: Wanted, chunks: ChunkList) -> None:
        """Keep the chunk list of a proven file for the next time; where there is no store none is made."""
        store = self.store_for(wanted)
        if store.root.is_dir():
            with contextlib.suppress(DiskError):  # a help for later runs only
                store.keep_chunks(wanted.sha256, chunks)

    def release(self, placed: Iterable[Wanted]) -> None:
        """Drop what staging stores still hold of files that are placed."""
        for item in placed:
            for store in self._stores.values():
                if store is not self._shared and store.has(item.sha256, item.size):
                    store.drop(item.sha256)

    def _choose(self, base: Path, parent: Path) -> Store:
        device = _device(parent)
        if device == _device(self._shared.root):
            return self._shared
        if device == _device(self._state):
            root = self._state
        else:
            root = (base if _device(base) == device else _mount_point(parent)) / ".fetcher"
        return self._stores.setdefault(root, Store(root))


def staging_stores(projects: Iterable[KnownProject]) -> list[Store]:
    """The stores of projects on other file systems than the user's: in `.fetcher`, and at or above absolute targets.

    Left out: one of another user's, and one that leads elsewhere, as it may if it came with somebody's project.
    """
    states: dict[Path, None] = {}
    for project in projects:
        states[project.index.parent] = None
        for folder in {Path(row.spot).parent for row in project.rows() if os.path.isabs(row.spot)}:
            states.update((above / ".fetcher", None) for above in (folder, *folder.parents))
    return [Store(state) for state in states if _is_staging(state)]


def _is_staging(state: Path) -> bool:
    if not any((state / name).is_dir() for name in STAGING):
        return False
    is_own = os.name != "posix" or state.stat().st_uid == os.geteuid()
    return is_own and next(links_in(state), None) is None


def _mount_point(path: Path) -> Path:
    """The highest folder above a path, or itself, on the same file system."""
    device, highest = _device(path), path
    for candidate in path.parents:
        if _device(candidate) != device:
            break
        highest = candidate
    return highest


def _device(path: Path) -> int:
    """The file system on which a path is or would be made."""
    for candidate in (path, *path.parents):
        try:
            return candidate.stat().st_dev
        except (FileNotFoundError, NotADirectoryError):
            continue
    return -1
