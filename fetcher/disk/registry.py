"""Which projects use a store, so that what they need is kept and what they have is found.

    projects/<sha256 of the lock's path>.json     {"root": …, "lock": …, "index": …}

An entry is written when a project syncs.  A project whose folder is gone no longer counts.

Not in here: what to remove (core/garbage.py).

Promises (tests/disk/test_registry.py):
  * an entry that cannot be read is passed over, and no other suffers;
  * any name that the file system can have comes back as it was.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fetcher.disk.atomic import disk_errors, make_folder, write_atomic
from fetcher.disk.index import Index, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProject:
    """Where a project keeps what it knows.

    Attributes:
        root: Its folder.
        lock: models.lock, or that of another manifest.
        index: The SQLite file.
    """

    root: Path
    lock: Path
    index: Path

    def rows(self) -> list[Row]:
        """What its index says about its files."""
        return list(Index(self.index).rows().values())


class Registry:
    """The projects of one store.

    Args:
        folder: `projects` of the store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, project: KnownProject) -> None:
        """Remember a project.

        Raises:
            DiskError: The store cannot be written.
        """
        facts = {"root": str(project.root), "lock": str(project.lock), "index": str(project.index)}
        data = json.dumps(facts, indent=1).encode("ascii")
        path = self._folder / f"{hashlib.sha256(os.fsencode(project.lock)).hexdigest()[:32]}.json"
        with disk_errors(path):
            if path.is_file() and path.read_bytes() == data:
                return
        make_folder(self._folder)
        write_atomic(path, data)

    def all(self) -> list[KnownProject]:
        """Every project whose folder is still there."""
        return [project for _, project in self._entries() if project.root.is_dir()]

    def forget_gone(self) -> None:
        """Remove the entries of projects whose folder is gone.

        Raises:
            DiskError: They may not be removed.
        """
        for path, project in self._entries():
            if not project.root.is_dir():
                with disk_errors(path):
                    path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[tuple[Path, KnownProject]]:
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                facts = json.loads(path.read_bytes())
                yield path, KnownProject(**{name: Path(facts[name]) for name in ("root", "lock", "index")})
