"""Remove from a store what nobody needs.

Not in here: what that is (core/garbage.py), which projects there are (registry.py).

Promises (tests/disk/test_sweep.py):
  * nothing that a running process claims is removed;
  * a dry run removes nothing and says the same;
  * files that share an object's bytes stay as they are.
"""

import contextlib
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.garbage import Stored, unneeded_objects, unneeded_partials
from fetcher.disk import writer
from fetcher.disk.atomic import disk_errors
from fetcher.disk.claim import Claim, last_write
from fetcher.disk.leftovers import empty, folders_below
from fetcher.disk.registry import KnownProject
from fetcher.disk.store import Store

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was removed, or would be."""

    objects: tuple[Stored, ...]
    partials: tuple[Stored, ...]
    kept: int  # objects

    @property
    def size(self) -> int:
        """Bytes that it frees."""
        return sum(item.size for item in (*self.objects, *self.partials))


def digests_named(projects: Iterable[KnownProject]) -> set[str]:
    """Every sha256 in the locks and indexes of projects; also in a lock that has conflict markers or is too new."""
    named: set[str] = set()
    for project in projects:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), disk_errors(project.lock):
            named.update(_DIGEST.findall(project.lock.read_text(encoding="utf-8", errors="replace")))
        named.update(row.sha256 for row in project.rows())
    return named


def objects_of(store: Store) -> list[Stored]:
    """All objects of a store, by name."""
    return sorted(_objects(store), key=lambda item: item.name)


def partials_of(store: Store) -> list[Stored]:
    """All partials and batches, by name."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for folder in sorted(folders_below(store.root / "partial")):
            size = sum(_room(path) for path in folder.iterdir())
            found.append(Stored(name=folder.name, size=size, changed_s=last_write(folder)))
    return found


def sweep(store: Store, named: set[str], *, now_s: float, grace_s: float, dry_run: bool) -> Swept:
    """Remove what is unneeded; with `dry_run` only say it.

    Raises:
        DiskError: Something may not be removed.
    """
    objects = objects_of(store)
    goes = unneeded_objects(objects, named, now_s=now_s, grace_s=grace_s)
    partials = [
        item
        for item in unneeded_partials(partials_of(store), named, now_s=now_s, grace_s=grace_s)
        if _remove_partial(store.root / "partial" / item.name, dry_run=dry_run)
    ]
    if not dry_run:
        for item in goes:
            store.discard(Sha256(item.name))
        _remove_litter(store)
        _remove_lists(store, named, now_s - grace_s)
    return Swept(objects=tuple(goes), partials=tuple(partials), kept=len(objects) - len(goes))


def together(swept: Sequence[Swept]) -> Swept:
    """What was removed from several stores."""
    return Swept(
        objects=tuple(item for each in swept for item in each.objects),
        partials=tuple(item for each in swept for item in each.partials),
        kept=sum(each.kept for each in swept),
    )


def _objects(store: Store) -> Iterator[Stored]:
    for path in (store.root / "objects" / "sha256").glob("??/*"):
        name = path.parent.name + path.name
        if not _DIGEST.fullmatch(name):
            continue
        with contextlib.suppress(FileNotFoundError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                size = found.st_size if found.st_nlink == 1 else 0
                yield Stored(name=name, size=size, changed_s=max(found.st_mtime, found.st_ctime))


def _room(path: Path) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return int(getattr(found, "st_blocks", 0)) * 512 or found.st_size


def _remove_partial(folder: Path, *, dry_run: bool) -> bool:
    """Whether nobody claims it; it is gone then, unless this is a dry run."""
    with disk_errors(folder):
        claim = Claim.take(folder)
        if claim is None:
            return False
        if dry_run:
            claim.release()
            return True
        empty(folder)
        claim.end()
    return True


def _remove_lists(store: Store, named: set[str], until_s: float) -> None:
    """Chunk lists of placed files that have no object here, once nobody names them."""
    for path in (store.root / "objects" / "blake3").glob("??/*.chunks"):
        name = path.parent.name + path.stem
        if _DIGEST.fullmatch(name) and name not in named and not store.object_path(Sha256(name)).exists():
            with disk_errors(path), contextlib.suppress(FileNotFoundError):
                if path.lstat().st_mtime <= until_s:
                    path.unlink()


def _remove_litter(store: Store) -> None:
    """Temporary files of writers that were killed."""
    for kind in ("sha256", "blake3"):
        for folder in (store.root / "objects" / kind).glob("??"):
            writer.sweep(folder)
