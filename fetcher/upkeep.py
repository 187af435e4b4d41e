"""What `fetcher store` does: look at the store, prove it, remove what nobody needs.  Needs no project.

Promises (tests/cli/test_store.py):
  * what a known project's lock or index names is never removed;
  * a damaged object is told, and removed only when asked.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

from fetcher.core.digest import Sha256
from fetcher.core.garbage import GRACE_S, Stored
from fetcher.disk.partial import never
from fetcher.disk.registry import Registry
from fetcher.disk.staging import staging_stores
from fetcher.disk.store import Store
from fetcher.disk.sweep import Swept, digests_named, objects_of, partials_of, sweep, together
from fetcher.errors import InterruptedRun
from fetcher.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a store holds; sizes in bytes."""

    objects: int
    size: int
    shared: int  # of the size: bytes that placed files hold too (hard links)
    partials: int
    partial_size: int
    projects: int


class Upkeep:
    """The user's store.

    Args:
        settings: Say where it is.
        stop: Asked before each object is hashed.
    """

    def __init__(self, settings: Settings, *, stop: Callable[[], bool] = never) -> None:
        self._store = Store(settings.store)
        self._registry = Registry(settings.store / "projects")
        self._stop = stop

    def holding(self) -> Holding:
        """Count and add up."""
        objects, partials = objects_of(self._store), partials_of(self._store)
        size = sum(self._store.object_path(Sha256(item.name)).stat().st_size for item in objects)
        return Holding(
            objects=len(objects),
            size=size,
            shared=size - sum(item.size for item in objects),
            partials=len(partials),
            partial_size=sum(item.size for item in partials),
            projects=len(self._registry.all()),
        )

    def gc(self, *, grace_s: float = GRACE_S, dry_run: bool = False) -> Swept:
        """Remove what no known project names, what is old and nobody claims; from their staging stores as well.

        Raises:
            DiskError: Something may not be read or removed; nothing that is named is.
        """
        if not dry_run:
            self._registry.forget_gone()
        projects = self._registry.all()
        named = digests_named(projects)
        stores = [self._store, *(store for store in staging_stores(projects) if store.root != self._store.root)]
        now_s = time.time()
        return together([sweep(store, named, now_s=now_s, grace_s=grace_s, dry_run=dry_run) for store in stores])

    def damaged(self, *, discard: bool = False) -> tuple[int, list[str]]:
        """Hash every object; how many there are, and the names of those that are damaged."""
        objects = objects_of(self._store)
        with ThreadPoolExecutor(max_workers=cpu_count() or 1) as pool:
            sound = list(pool.map(self._is_sound, objects))
        bad = [item.name for item, is_sound in zip(objects, sound, strict=True) if not is_sound]
        if discard:
            for name in bad:
                self._store.drop(Sha256(name))
        return len(objects), bad

    def _is_sound(self, item: Stored) -> bool:
        if self._stop():
            raise InterruptedRun("Interrupted while objects were being hashed.")
        return self._store.prove(Sha256(item.name))
