"""Which of some files are of the models of a project: what `fetcher no-weights` asks before a commit.

Reads the lock, and the files that have the size of a model's; asks no network and no index.
"""

import os
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from fetcher.core.weights import Weight, Weights
from fetcher.disk.hashing import sha256_of
from fetcher.disk.names import snapshot_folder
from fetcher.pins import Pins
from fetcher.sources.caches import own_caches


def weights_among(pins: Pins, places: Iterable[str]) -> list[Weight]:
    """Those of the files that are of a locked model, in their order; none without a lock.

    Args:
        places: Relative to the current folder, as git and pre-commit name them.

    Raises:
        ConfigError: models.toml or models.lock cannot be used.
        OSError: A file cannot be read.
    """
    if not pins.lock_path.exists():
        return []
    lock = pins.frozen_lock()
    layout = pins.layout.with_own_caches(own_caches(pins.settings.environment, pins.settings.home))
    folders = {name: _normal(snapshot_folder(lock, layout, pins.root, name)) for name in lock.models}
    weights = Weights(lock.models.values(), folders)
    found = (_weight(weights, place) for place in places)
    return [each for each in found if each]


def _weight(weights: Weights, place: str) -> Weight | None:
    path = Path(place).absolute()
    return weights.find(place, _normal(path), _size(path), partial(sha256_of, path))


def _normal(path: Path) -> str:
    """Without `..`, and with the links above it followed: a project may be reached by two ways."""
    folder, name = os.path.split(os.path.normpath(path))
    return os.path.join(os.path.realpath(folder), name).replace(os.sep, "/")


def _size(path: Path) -> int | None:
    """Bytes of a regular file; of nothing else."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
