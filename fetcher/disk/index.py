"""What fetcher knew about each placed file when it last looked.

A cache with one duty beyond speed: it says which files fetcher wrote, and nothing else
may be replaced or removed.  Losing it therefore deletes nothing; the files are hashed
again and those that are right are kept.

Promises (tests/disk/test_index.py):
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

from fetcher.core.digest import Sha256
from fetcher.disk.atomic import disk_errors
from fetcher.errors import DiskError

_log = logging.getLogger(__name__)

_FORMAT = 2  # PRAGMA user_version
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    spot TEXT PRIMARY KEY, model TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, looked_ns INTEGER NOT NULL,
    wrote INTEGER NOT NULL, damaged INTEGER NOT NULL
) WITHOUT ROWID;
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

    def rows(self) -> dict[str, Row]:
        """All rows by spot; empty where there is no index that can be read."""
        found = self._read("SELECT spot, model, sha256, size, mtime_ns, inode, looked_ns, wrote, damaged FROM files")
        try:
            return {str(values[0]): _row(values) for values in found}
        except (ValueError, TypeError) as error:
            _log.warning("index %s holds a row that cannot be read: %s", self._path, error)
            return {}

    def folders(self) -> set[str]:
        """Spots of the folders that fetcher made."""
        return {str(values[0]) for values in self._read("SELECT spot FROM folders")}

    def intents(self) -> dict[str, Intent]:
        """By spot, what runs were about to write and did not live to tell."""
        found = self._read("SELECT spot, model, sha256 FROM intents")
        return {str(spot): Intent(spot=str(spot), model=str(model), sha256=str(sha)) for spot, model, sha in found}

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
            db.execute("DELETE FROM folders")
            db.execute("DELETE FROM intents")
            db.executemany("INSERT INTO intents VALUES (?,?,?)", ((i.spot, i.model, i.sha256) for i in intents))
            db.executemany("INSERT INTO files VALUES (?,?,?,?,?,?,?,?,?)", map(_values, rows.values()))
            db.executemany("INSERT INTO folders VALUES (?)", ((spot,) for spot in sorted(set(folders))))
            db.execute(f"PRAGMA user_version = {_FORMAT}")
            db.execute("COMMIT")


def _values(row: Row) -> tuple[object, ...]:
    return (
        row.spot,
        row.model,
        str(row.sha256),
        row.size,
        row.mtime_ns,
        row.inode - (1 << 64) if row.inode >= 1 << 63 else row.inode,  # SQLite integers are signed
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
