"""Names that lead to a snapshot, on the disk: what they say, and what stands in their place.

What a name is to say is core/cache.py's; placing it is place.py's.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from fetcher.core.cache import CachePlace, cache_places
from fetcher.core.choice import targets_of
from fetcher.core.digest import Sha256
from fetcher.core.lock import Lock
from fetcher.core.manifest import Layout
from fetcher.core.moves import Wanted
from fetcher.core.paths import ModelName
from fetcher.disk.hashing import sha256_of


def settled(places: Mapping[str, CachePlace], targets: Mapping[str, str], root: Path) -> dict[str, CachePlace]:
    """Where snapshots go, now that it is seen which names are folders that the official client made."""
    return {
        name: place.in_folder_of_link() if _is_real_folder(root / targets[name], place) else place
        for name, place in places.items()
    }


def snapshot_folder(lock: Lock, layout: Layout, root: Path, name: ModelName) -> Path:
    """Where the files of a locked model go."""
    targets = targets_of(lock, layout, root)
    place = settled(cache_places(lock, layout), targets, root).get(name)
    return root / targets[name] / (place.folder if place else "")


def _is_real_folder(cache: Path, place: CachePlace) -> bool:
    if not place.link:
        return False
    path = cache / place.repository / place.link
    return path.is_dir() and not path.is_symlink()


def blob_behind(wanted: Wanted, root: Path) -> Path | None:
    """The file that huggingface_hub has put behind a symlink at a spot; None where it is no such symlink."""
    repository = wanted.inner.split("/snapshots/")[0]
    if not wanted.inner or wanted.is_name:
        return None
    spot = root / wanted.spot
    path = Path(os.path.normpath(spot.parent / os.readlink(spot)))
    return path if path.parent == root / f"{wanted.base}{repository}/blobs" else None


def content_sha256(path: Path, mode: int) -> Sha256:
    """The sha256 of a file, or of what a symlink says.

    Args:
        mode: Of its lstat.

    Raises:
        OSError: It cannot be read.
    """
    if stat.S_ISLNK(mode):
        return Sha256(hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest())
    return sha256_of(path)


def is_content(mode: int) -> bool:
    """Whether it is of a kind that fetcher writes."""
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
