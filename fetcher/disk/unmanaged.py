"""What lies beside the files of the lock and is neither wanted nor fetcher's.  Looks, changes nothing.

As `git status` tells what is untracked: of each folder in which something is wanted the entries are
listed once, and a folder of which nothing is wanted is one entry.  Not looked at: the project's own
folder and those above it, caches of the official libraries, and what is behind a symlink.

Promises (tests/disk/test_unmanaged.py):
  * nothing that is wanted, or that fetcher wrote, is told;
  * as long as the stamps of the folders stay, so does the answer.
"""

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fetcher.core.plan import Wanted
from fetcher.disk.ready import around_stamp
from fetcher.disk.writer import is_temporary

_APART = (".fetcher", ".git", ".gitattributes", ".gitignore", ".gitkeep")  # of fetcher and of git


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What lies beside the files of the lock.

    Attributes:
        stamp: Of the folders that were listed, from before that (disk/ready.py).
        spots: What is neither wanted nor fetcher's, sorted; with `/` at its end where it is a folder.
    """

    stamp: str
    spots: tuple[str, ...]


def look_beside(root: Path, wanted: Sequence[Wanted], known: Collection[str]) -> Beside:
    """List the folders of the wanted files.

    Args:
        known: Spots of all files of the lock, and of what fetcher wrote.
    """
    folders = _folders(root, wanted)
    stamp = around_stamp(str(root / folder) for folder in folders)
    above = {folder for spot in known for folder in _folders_above(spot)}
    found = []
    for folder in folders:
        with suppress(OSError), os.scandir(root / folder) as entries:  # what is not there or in the way, the plan says
            for entry in entries:
                spot = f"{folder}/{entry.name}"
                if spot not in known and spot not in above and not _is_apart(entry.name):
                    found.append(f"{spot}/" if entry.is_dir(follow_symlinks=False) else spot)
    return Beside(stamp=stamp, spots=tuple(sorted(found)))


def _folders(root: Path, wanted: Sequence[Wanted]) -> list[str]:
    """The folders in which files of the lock are, and those between them and their targets."""
    found: dict[str, str] = {}  # the target of each
    for item in wanted:
        if item.inner or item.is_name:
            continue
        base, folder = item.base.rstrip("/"), item.spot.rpartition("/")[0]
        while len(folder) >= max(len(base), 1) and found.get(folder) != base:
            found[folder] = base
            folder = folder.rpartition("/")[0]
    return [folder for folder, base in found.items() if _is_own(root, folder, base)]


def _is_own(root: Path, folder: str, base: str) -> bool:
    """Whether it is not the project's own folder, and no symlink leads to it, but for those of an absolute target."""
    path = root / folder
    start = root / base if os.path.isabs(folder) else root
    straight = os.path.normpath(os.path.join(os.path.realpath(start), os.path.relpath(path, start)))
    return not root.is_relative_to(path) and os.path.realpath(path) == straight


def _folders_above(spot: str) -> list[str]:
    parts = spot.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _is_apart(name: str) -> bool:
    return name in _APART or is_temporary(name)
