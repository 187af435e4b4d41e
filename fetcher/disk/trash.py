"""`.fetcher/trash/`: what syncs took from the project, and the record by which `undo` puts it back.

    000003-20260131T101500Z/
        open.jsonl           the steps, written before the first is taken;
                             renamed to done.jsonl at the end, to undone.jsonl by `undo`,
                             to gone.jsonl when the trash lets it go (tidy.py)
        kept/                what was replaced, removed or moved aside (shelf.py)
        taken/               what `undo` took away

A project may come with records that somebody else wrote.  So the whole record is refused
if a step names a spot that leaves the project, or an absolute one that was not written in
this very folder.

Promises (tests/disk/test_trash.py, tests/test_hostile_state.py):
  * a change is on record, durable, before its first step;
  * what is no change of fetcher's is never removed, and neither is anything of the user's;
  * a record that cannot be read hides nothing else.
"""

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from fetcher.core.change import Act, Former, Step
from fetcher.core.digest import Sha256
from fetcher.core.paths import why_unsafe_spot
from fetcher.disk.atomic import disk_errors, make_folder, rename_durably, write_atomic
from fetcher.disk.hashing import sha256_of
from fetcher.disk.index import Row, folder_mark
from fetcher.disk.shelf import Shelf
from fetcher.errors import IntegrityError

_log = logging.getLogger(__name__)

_FORMAT = 1
_NAME = re.compile(r"([0-9]{6,})-[0-9]{8}T[0-9]{6}Z\Z")
_STEP = tuple(field.name for field in fields(Step))
_STATES = ("gone", "undone", "done", "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One sync that changed files.

    Attributes:
        index: The index (a manifest's) that the change belongs to.
        began_s: When, in seconds since the epoch.
        at_home: Whether the record was written in this very folder.
        state: `open` (it did not end), `done`, `undone`, or `gone` (the trash has let it go).
    """

    root: Path
    folder: Path
    number: int
    index: str
    began_s: float
    at_home: bool
    state: str

    @property
    def kept(self) -> Shelf:
        """What the change took from the project."""
        return Shelf(root=self.root, folder=self.folder / "kept", label=f"{self.number:06d}")

    @property
    def taken(self) -> Shelf:
        """What `undo` took away again."""
        return Shelf(root=self.root, folder=self.folder / "taken", label=f"{self.number:06d}u")

    @property
    def was_undone(self) -> bool:
        """Whether `undo` took something away; before it does, it makes the folder."""
        return os.path.lexists(self.folder / "taken")

    def steps(self) -> list[Step]:
        """The steps, in the order in which they were taken; empty if they cannot be read or believed."""
        try:
            return self.read()
        except IntegrityError as error:
            _log.warning("%s", error)
            return []

    def read(self) -> list[Step]:
        """The steps, in the order in which they were taken.

        Raises:
            IntegrityError: They cannot be read, or fetcher would not have written them here.
        """
        found: list[Step] = []
        try:
            with self.record.open(encoding="utf-8") as lines:
                next(lines)
                found.extend(_step(json.loads(line), absolute=self.at_home) for line in lines)
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise IntegrityError(
                "The record of a sync cannot be believed; nothing was changed.",
                facts=[f"record: {self.record}, line {len(found) + 2}", f"reason: {error}"],
                fix=f"if the folder came with the project, remove it: rm -r {self.folder}",
            ) from None
        return found

    def end(self, state: str) -> "Change":
        """Say that the change was carried out (`done`), taken back (`undone`), or let go (`gone`)."""
        ended = replace(self, state=state)
        with disk_errors(self.folder):
            rename_durably(self.record, ended.record)
        return ended

    @property
    def record(self) -> Path:
        """Its file of steps."""
        return self.folder / f"{self.state}.jsonl"


class Trash:
    """The changes of one project.

    Args:
        root: The project's folder.
        folder: Its `.fetcher/trash`; made by the first change.
        index: Name of the index whose changes are meant.
    """

    def __init__(self, *, root: Path, folder: Path, index: str) -> None:
        self._root = root
        self.folder = folder
        self._index = index

    def changes(self) -> list[Change]:
        """Those of this index, oldest first."""
        return [change for change in self.all() if change.index == self._index]

    def all(self) -> list[Change]:
        """Those of every manifest of the folder, oldest first."""
        found = (self._change(number, folder) for number, folder in self._folders())
        return [change for change in found if change]

    def last(self) -> list[Change]:
        """What an undo puts back, in this order: the last change, and those right before it that did not end."""
        found: list[Change] = []
        for change in reversed(self.changes()):
            if change.state in ("undone", "gone"):
                continue
            if found and change.state != "open":
                break
            found.append(change)
        return found

    def offers(self, digests: Collection[str]) -> dict[Sha256, str]:
        """Which of some digests a kept file of fetcher's own has, and its path."""
        found: dict[Sha256, str] = {}
        for change in self.all():
            for step in change.steps():
                sha256 = step.former.sha256 if step.former else step.sha256
                if sha256 not in digests:
                    continue
                path = change.kept.find(step.home) if step.former else change.taken.find(step.spot)
                if path is not None and not path.is_symlink() and path.is_file():
                    found[Sha256(sha256)] = str(path)
        return found

    def is_sound(self, sha256: Sha256, spot: str) -> bool:
        """Whether an offered file has the bytes that it offers; a file at its spot is judged by the look."""
        path = self._root / spot
        if not (path.is_relative_to(self.folder) or ".fetcher-kept-" in path.name):
            return True
        try:
            with disk_errors(path):
                return sha256_of(path) == sha256
        except FileNotFoundError:
            return False

    def begin(self, steps: Iterable[Step]) -> Change:
        """Put a change on record before it is carried out.

        Raises:
            DiskError: It cannot be written.
        """
        began_s = time.time()
        number = 1 + max((number for number, _ in self._folders()), default=0)
        folder = self.folder / f"{number:06d}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(began_s))}"
        make_folder(self.folder)
        with disk_errors(folder):
            folder.mkdir()
        home = folder_mark(self.folder.parent)
        head = {"version": _FORMAT, "index": self._index, "began_s": began_s, "home": home}
        lines = [json.dumps(line, separators=(",", ":")) for line in (head, *map(_line, steps))]
        write_atomic(folder / "open.jsonl", "".join(f"{line}\n" for line in lines).encode("ascii"))
        return Change(
            root=self._root,
            folder=folder,
            number=number,
            index=self._index,
            began_s=began_s,
            at_home=True,
            state="open",
        )

    def _folders(self) -> list[tuple[int, Path]]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            named = [(_NAME.match(name), name) for name in os.listdir(self.folder)]
            folders = ((int(found[1]), self.folder / name) for found, name in named if found)
            return sorted((number, folder) for number, folder in folders if not folder.is_symlink())
        return []

    def _change(self, number: int, folder: Path) -> Change | None:
        for state in _STATES:
            try:
                with (folder / f"{state}.jsonl").open(encoding="utf-8") as lines:
                    head = _head(next(lines, ""))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("the record in %s cannot be read: %s", folder, error)
                return None
            index, began_s, home = head
            return Change(
                root=self._root,
                folder=folder,
                number=number,
                index=index,
                began_s=began_s,
                at_home=home == folder_mark(self.folder.parent),
                state=state,
            )
        return None


def _head(line: str) -> tuple[str, float, object]:
    """A record's first line: whose it is, when it began, and the mark of the folder in which it was written."""
    head = json.loads(line)
    if head["version"] != _FORMAT:
        raise ValueError(f"version {head['version']!r}")
    return str(head["index"]), float(head["began_s"]), head.get("home")


def former_of(row: Row) -> Former:
    """A row of the index as a change remembers it."""
    return Former(
        model=row.model,
        sha256=row.sha256,
        size=row.size,
        mtime_ns=row.mtime_ns,
        inode=row.inode,
        looked_ns=row.looked_ns,
    )


def _line(step: Step) -> dict[str, object]:
    """A step without what is empty."""
    line = {name: value for name in _STEP if (value := getattr(step, name)) not in ("", 0, None)}
    return line if step.former is None else {**line, "former": asdict(step.former)}


def _step(line: dict[str, object], *, absolute: bool) -> Step:
    """A step as it was written.

    Args:
        absolute: Whether absolute spots may be believed.

    Raises:
        ValueError, KeyError, TypeError: fetcher would not have written it.
    """
    former = line.pop("former", None)
    for spot in filter(None, (str(line["spot"]), str(line.get("origin", "")))):
        reason = why_unsafe_spot(spot, absolute=absolute)
        if reason:
            raise ValueError(f"unsafe spot {spot[:200]!r}: {reason}")
    return Step(
        act=Act(str(line["act"])),
        spot=str(line["spot"]),
        model=str(line.get("model", "")),
        sha256=str(line.get("sha256", "")),
        size=int(str(line.get("size", 0))),
        origin=str(line.get("origin", "")),
        former=Former(**former) if isinstance(former, dict) else None,
    )
