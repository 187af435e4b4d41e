"""What fetcher knew about each placed file when it last looked.

A cache with one duty beyond speed: it says which files fetcher wrote, and nothing else
may be replaced or removed.  Losing it therefore deletes nothing; the files are hashed
again and those that are right are kept.

A project may come with an index that somebody else wrote.  So no spot is believed that
leaves the project, and an absolute one only in the very folder in which it was written.

Promises (tests/disk/test_index.py, tests/test_hostile_state.py):
  * a spot that fetcher would not have written there is as good as not in it;
  * an index that cannot be read is set aside and begun anew;
  * rows are written in one transaction a sync: all or none, wherever it is killed.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fetcher.core.digest import Sha256
from fetcher.core.paths import why_unsafe_spot
from fetcher.disk.atomic import disk_errors
from fetcher.errors import DiskError

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_FORMAT = 2  # PRAGMA user_version
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    spot TEXT PRIMARY KEY, model TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, looked_ns INTEGER NOT NULL,
    wrote INTEGER NOT NULL, damaged INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS home (folder INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS folders (spot TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intents (
    spot TEXT PRIMARY KEY, model TEXT NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was known about one placed file.

    Attributes:
        spot: Path with `/`: relative to the project, or absolute.
        sha256: Of the bytes that fetcher wrote or found there.
        looked_ns: When (wall clock); a file changed at or after that is not trusted.
        wrote: Whether fetcher wrote it; only then it may be replaced or removed.
        damaged: Whether its bytes were found changed though nobody touched it.
    """

    spot: str
    model: str
    sha256: Sha256
    size: int
    mtime_ns: int
    inode: int
    looked_ns: int
    wrote: bool
    damaged: bool = False

    @classmethod
    def of(cls, spot: str, found: os.stat_result, *, model: str, sha256: Sha256, looked_ns: int, wrote: bool) -> "Row":
        """The row of a file as it was just found."""
        return cls(
            spot=spot,
            model=model,
            sha256=sha256,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            inode=found.st_ino,
            looked_ns=looked_ns,
            wrote=wrote,
        )

    def is_unchanged(self, stat: os.stat_result) -> bool:
        """Whether the file still has the size, time and inode of the last look."""
        return (stat.st_size, stat.st_mtime_ns, stat.st_ino) == (self.size, self.mtime_ns, self.inode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A file that a run was about to write: if it did not live to tell, such a file is fetcher's."""

    spot: str
    model: str
    sha256: str


class Index:
    """The rows of one project.

    Args:
        path: The SQLite file; made by the first `save`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ready = path.with_name(path.stem.replace("index", "ready", 1))  # disk/ready.py: rests on this
        self._last: tuple[list[tuple[object, ...]], dict[str, Row]] = ([], {})

    def rows(self) -> dict[str, Row]:
        """All rows by spot; empty where there is no index that can be read.

        Rows that are what they were at the last call are the same objects: to read 100,000 takes a second.
        """
        found = self._read("SELECT spot, model, sha256, size, mtime_ns, inode, looked_ns, wrote, damaged FROM files")
        if found == self._last[0]:
            return dict(self._last[1])
        try:
            rows = self._believed({str(values[0]): _row(values) for values in found})
            self._last = (found, rows)
            return dict(rows)
        except (ValueError, TypeError) as error:
            _log.warning("index %s holds a row that cannot be read: %s", self._path, error)
            return {}

    def folders(self) -> set[str]:
        """Spots of the folders that fetcher made."""
        return set(self._believed({str(values[0]): None for values in self._read("SELECT spot FROM folders")}))

    def intents(self) -> dict[str, Intent]:
        """By spot, what runs were about to write and did not live to tell."""
        found = self._read("SELECT spot, model, sha256 FROM intents")
        return self._believed(
            {str(spot): Intent(spot=str(spot), model=str(model), sha256=str(sha)) for spot, model, sha in found}
        )

    def _believed(self, by_spot: dict[str, _T]) -> dict[str, _T]:
        """Without the spots that this project's fetcher did not write here."""
        at_home = any(os.path.isabs(spot) for spot in by_spot) and self._is_at_home()
        reasons = {spot: why_unsafe_spot(spot, absolute=at_home) for spot in by_spot}
        for spot, reason in reasons.items():
            if reason:
                _log.warning("index %s names %s, which is not believed: %s", self._path, spot, reason)
        return {spot: value for spot, value in by_spot.items() if not reasons[spot]}

    def _is_at_home(self) -> bool:
        """Whether the index was written in this very folder, and is no copy that came with the project."""
        return self._read("SELECT folder FROM home") == [(folder_mark(self._path.parent),)]

    def announce(self, intents: Iterable[Intent], folders: Iterable[str]) -> None:
        """Say what is about to be written, so that a kill does not make it the user's.

        Raises:
            DiskError: It cannot be written.
        """
        self.save(self.rows(), folders, intents=intents)

    def save(self, rows: Mapping[str, Row], folders: Iterable[str], *, intents: Iterable[Intent] = ()) -> None:
        """Replace the content of the index, in one transaction; intents that are not given are forgotten.

        Raises:
            DiskError: It cannot be written.
        """
        folders, intents = list(folders), list(intents)
        with disk_errors(self._ready):
            self._ready.unlink(missing_ok=True)
        try:
            self._write(rows, folders, intents)
        except sqlite3.OperationalError as error:
            raise self._refused(error) from None
        except sqlite3.DatabaseError as error:
            _log.warning("index %s cannot be written (%s); it is begun anew", self._path, error)
            with disk_errors(self._path):
                self._path.unlink(missing_ok=True)
            try:
                self._write(rows, folders, intents)
            except sqlite3.OperationalError as second:
                raise self._refused(second) from None

    def _refused(self, error: sqlite3.OperationalError) -> DiskError:
        return DiskError(
            "The index of the project cannot be written.",
            facts=[f"path: {self._path}", f"reason: {error}"],
            fix="free some space there and check the folder's owner and mode, then run the command again",
        )

    def _read(self, query: str) -> list[tuple[object, ...]]:
        if not self._path.exists():
            return []
        # What a run was killed in the middle of is undone by whoever opens the file next, if it may write.
        mode = "rw" if os.path.exists(f"{self._path}-journal") else "ro"
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)) as db:
                if db.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
                    return []
                return db.execute(query).fetchall()
        except sqlite3.DatabaseError as error:
            _log.warning("index %s cannot be read (%s); files are hashed again", self._path, error)
            return []

    def _write(self, rows: Mapping[str, Row], folders: Iterable[str], intents: Iterable[Intent]) -> None:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _FORMAT):
                raise sqlite3.DatabaseError("another format")
            db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute("DELETE FROM files")
            db.execute("DELETE FROM home")
            db.execute("DELETE FROM folders")
            db.execute("DELETE FROM intents")
            db.execute("INSERT INTO home VALUES (?)", (folder_mark(self._path.parent),))
            db.executemany("INSERT INTO intents VALUES (?,?,?)", ((i.spot, i.model, i.sha256) for i in intents))
            db.executemany("INSERT INTO files VALUES (?,?,?,?,?,?,?,?,?)", map(_values, rows.values()))
            db.executemany("INSERT INTO folders VALUES (?)", ((spot,) for spot in sorted(set(folders))))
            db.execute(f"PRAGMA user_version = {_FORMAT}")
            db.execute("COMMIT")


def folder_mark(folder: Path) -> int:
    """What tells a folder from a copy of it in which somebody else's files came here."""
    return _signed(folder.stat().st_ino)


def _signed(inode: int) -> int:
    return inode - (1 << 64) if inode >= 1 << 63 else inode  # SQLite integers are signed


def _values(row: Row) -> tuple[object, ...]:
    return (
        row.spot,
        row.model,
        str(row.sha256),
        row.size,
        row.mtime_ns,
        _signed(row.inode),
        row.looked_ns,
        row.wrote,
        row.damaged,
    )


def _row(values: tuple[object, ...]) -> Row:
    spot, model, sha256, size, mtime_ns, inode, looked_ns, wrote, damaged = values
    number = int(str(inode))
    return Row(
        spot=str(spot),
        model=str(model),
        sha256=Sha256(str(sha256)),
        size=int(str(size)),
        mtime_ns=int(str(mtime_ns)),
        inode=number + (1 << 64) if number < 0 else number,
        looked_ns=int(str(looked_ns)),
        wrote=bool(wrote),
        damaged=bool(damaged),
    )
