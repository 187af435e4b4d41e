"""A project's disk in miniature: wanted files, an index kept by hand, a scanner, a placer."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.interfaces import NoEvents
from fetcher.core.paths import RepoPath
from fetcher.core.plan import Look, Wanted
from fetcher.disk.index import Row
from fetcher.disk.place import Placer
from fetcher.disk.scan import Scan, Scanner
from fetcher.disk.shelf import Shelf


def sha(data: bytes) -> Sha256:
    """The digest of some bytes, by hashlib alone."""
    return Sha256(hashlib.sha256(data).hexdigest())


def wanted(path: str, data: bytes, *, base: str = "models/m/") -> Wanted:
    """A file of model `m` with this content."""
    return Wanted(model="m", path=RepoPath(path), spot=f"{base}{path}", sha256=sha(data), size=len(data))


class Hashings(NoEvents):
    """Remembers which files were hashed."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def hashing(self, label: str, size: int) -> None:
        self.labels.append(label)


@dataclass
class World:
    """A project folder, a store folder and the rows of its index."""

    root: Path
    objects: Path
    rows: dict[str, Row] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def object(self, data: bytes) -> Path:
        """An object of the store, read-only as the store makes it."""
        path = self.objects / sha(data)
        if not path.exists():
            path.write_bytes(data)
            path.chmod(0o444)
        return path

    def shelf(self) -> Shelf:
        return Shelf(root=self.root, folder=self.root / ".fetcher" / "trash", label="1")

    def placer(self) -> Placer:
        return Placer(root=self.root, shelf=self.shelf(), folders=self.folders)

    def place(self, item: Wanted, data: bytes, *, known: Row | None = None) -> Path:
        """Place and remember, as a sync does; the file's time is made old enough to be trusted."""
        placer = self.placer()
        row = placer.place(item, self.object(data), known)
        self.folders = placer.folders
        path = self.root / item.spot
        old = row.looked_ns - 3_600_000_000_000
        os.utime(path, ns=(old, old))
        self.rows[item.spot] = Row(
            spot=row.spot,
            model=row.model,
            sha256=row.sha256,
            size=row.size,
            mtime_ns=old,
            inode=row.inode,
            looked_ns=row.looked_ns,
            wrote=row.wrote,
        )
        return path

    def scan(self, *items: Wanted, closely: bool = False, events: NoEvents | None = None) -> Scan:
        trusted = {} if closely else self.rows
        scanner = Scanner(root=self.root, rows=self.rows, trusted=trusted, events=events or NoEvents())
        return scanner.scan(items, models=None)

    def look(self, item: Wanted, *, closely: bool = False) -> Look:
        return self.scan(item, closely=closely).local.looks[item.spot]
