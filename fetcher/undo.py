"""Put a sync back: look at what it left, decide (core/undo.py), rename the kept files back.

Promises (tests/test_undo.py):
  * what the sync replaced, removed, moved or moved aside is as it was, byte for byte;
  * nothing is changed if the user changed anything of it since: BlockedError (exit 9);
  * killed at any instant, undoing again goes on from there.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.change import Act, Former, Step
from fetcher.core.digest import Sha256
from fetcher.core.paths import RepoPath
from fetcher.core.plan import Leftover, State, Wanted
from fetcher.core.undo import Seen, Way, way_back
from fetcher.disk.folder import walk_to
from fetcher.disk.index import Index, Intent, Row
from fetcher.disk.kinds import kind_of
from fetcher.disk.names import content_sha256, is_content
from fetcher.disk.place import Placer
from fetcher.disk.scan import is_racy
from fetcher.disk.staging import Staging
from fetcher.disk.trash import Change
from fetcher.errors import BlockedError, DiskError


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What an undo did, by spots.

    Attributes:
        restored: What was put back.
        taken: What was taken away.
        began_s: When the sync that was put back began, in seconds since the epoch.
        lost: What was there before and is nowhere any more, because the trash let it go.
    """

    began_s: float
    restored: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A step and how it is taken back.

    Attributes:
        here: The sync's file at the spot, if it is there; a row made from the look.
        kept: Where what was there before is.
    """

    step: Step
    way: Way
    here: Row | None = None
    kept: Path | None = None
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class _Done:
    restored: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Undoer:
    """Puts changes of one project back.

    Args:
        root: The project's folder.
        index: Its index.
        staging: For bytes that the trash has let go and a store still has.
    """

    def __init__(self, *, root: Path, index: Index, staging: Staging) -> None:
        self._root = root
        self._index = index
        self._staging = staging

    def put_back(self, change: Change) -> Undone:
        """Take every step back, or none.

        Raises:
            BlockedError: Something was changed since, with the list.
            DiskError: Read-only, no permission.
            IntegrityError: The record of the change is not one that fetcher wrote here.
        """
        change.read()
        rows = self._index.rows()
        found = self._look(change, rows)
        _require_free_way(found)
        placer = Placer(root=self._root, shelf=change.taken, folders=self._index.folders())
        self._announce(found, rows, placer)
        done = _Done()
        try:
            for item in found:
                self._take_back(item, placer, rows, done)
        except BaseException:
            with contextlib.suppress(DiskError):  # the first error is the one to tell
                self._conclude(change, placer, rows)
            raise
        self._conclude(change, placer, rows)
        change.end("undone")
        return Undone(
            began_s=change.began_s, restored=tuple(done.restored), taken=tuple(done.taken), lost=tuple(done.lost)
        )

    def _look(self, change: Change, rows: Mapping[str, Row]) -> list[_Found]:
        """The steps, last first, each with what its spot holds now."""
        found = []
        for step in reversed(change.steps()):
            if step.act is not Act.ASIDE:
                found.append(self._look_at(step, change, rows))
        taken = {item.step.spot for item in found if item.way in (Way.TAKE, Way.BACK)}
        for step in reversed(change.steps()):
            if step.act is Act.ASIDE:
                found.append(self._look_at_obstacle(step, change, taken))
        return found

    def _look_at(self, step: Step, change: Change, rows: Mapping[str, Row]) -> _Found:
        here, row, reason = self._see(step.spot, step, None if step.origin else step.former, rows)
        before = here
        if step.origin:
            before, _, why = self._see(step.origin, None, step.former, rows)
            reason = why or reason
        kept = change.kept.find(step.home)
        return _Found(
            step=step,
            way=way_back(step.act, here=here, before=before, kept=kept is not None),
            here=row,
            kept=kept,
            reason=reason,
        )

    def _look_at_obstacle(self, step: Step, change: Change, taken: Iterable[str]) -> _Found:
        kept = change.kept.find(step.spot)
        free = kept is None or not _remains(self._root / step.spot, {self._root / spot for spot in taken})
        way = way_back(Act.ASIDE, here=Seen.ABSENT if free else Seen.OTHER, before=Seen.ABSENT, kept=kept is not None)
        return _Found(step=step, way=way, kept=kept, reason="" if free else "something else is there now")

    def _see(
        self, spot: str, new: Step | None, former: Former | None, rows: Mapping[str, Row]
    ) -> tuple[Seen, Row | None, str]:
        """What stands at a spot; for the sync's file a row of it, for the user's why it is that."""
        try:
            found = self._lstat(spot)
        except NotADirectoryError as error:
            return Seen.OTHER, None, kind_of(os.lstat(str(error.filename)).st_mode)
        if found is None:
            return Seen.ABSENT, None, ""
        if not is_content(found.st_mode):
            return Seen.OTHER, None, kind_of(found.st_mode)
        if former is not None and _identity(found) == (former.size, former.mtime_ns, former.inode):
            return Seen.FORMER, None, ""
        sha256 = self._sha256(spot, found, rows)
        if new is not None and sha256 == new.sha256:
            row = Row.of(spot, found, model=new.model, sha256=sha256, looked_ns=time.time_ns(), wrote=True)
            return Seen.NEW, row, ""
        if former is not None and sha256 == former.sha256:
            return Seen.FORMER, None, ""
        return Seen.OTHER, None, "changed since the sync" if stat.S_ISREG(found.st_mode) else kind_of(found.st_mode)

    def _lstat(self, spot: str) -> os.stat_result | None:
        """What stands at a spot, seen without following a symlink below the project.

        Raises:
            NotADirectoryError: Something else is where one of its folders is due.
        """
        *parts, name = spot.split("/")
        if os.path.isabs(spot):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return os.lstat(spot)
            return None
        try:
            with walk_to(self._root, parts, made=None) as folder:
                return folder.lstat(name)
        except FileNotFoundError:
            return None

    def _sha256(self, spot: str, found: os.stat_result, rows: Mapping[str, Row]) -> Sha256:
        row = rows.get(spot)
        if row is not None and not row.damaged and row.is_unchanged(found) and not is_racy(row, found):
            return row.sha256
        return content_sha256(self._root / spot, found.st_mode)

    def _announce(self, found: Iterable[_Found], rows: Mapping[str, Row], placer: Placer) -> None:
        """Say in the index whose the files are that come back: a kill must not make them the user's."""
        ours = {
            item.step.home: Intent(spot=item.step.home, model=item.step.former.model, sha256=item.step.former.sha256)
            for item in found
            if item.step.former is not None
        }
        others = (intent for intent in self._index.intents().values() if intent.spot not in ours)
        folders = placer.folders | placer.missing_folders(ours)
        self._index.save(rows, folders, intents=[*others, *ours.values()])

    def _take_back(self, item: _Found, placer: Placer, rows: dict[str, Row], done: _Done) -> None:
        step, here = item.step, item.here
        if item.way is Way.LOST:
            self._fill(item, placer, rows, done)
        if item.way in (Way.RESTORE, Way.SWAP) and item.kept is not None:
            placer.restore(step.home, item.kept, here if item.way is Way.SWAP else None)
            done.restored.append(step.home)
        if item.way is Way.BACK and here is not None and placer.move(step.spot, step.origin, here):
            done.restored.append(step.home)
        if here is not None and (item.way is Way.TAKE or (item.way is Way.RESTORE and step.act is Act.MOVE)):
            placer.remove(Leftover(model=step.model, spot=step.spot, state=State.OURS), here)
            done.taken.append(step.spot)
        if step.act is Act.PLACE or step.origin:
            placer.remove_empty_above(step.spot)  # also those that a killed undo left
        if item.way is not Way.LOST:
            self._remember(step, rows)

    def _fill(self, item: _Found, placer: Placer, rows: dict[str, Row], done: _Done) -> None:
        """What the trash has let go may still be in a store; else it is said to be lost."""
        wanted = _wanted(item.step)
        if wanted is None or not self._staging.holder(wanted).prove(wanted.sha256):
            done.lost.append(item.step.home)
            return
        rows[wanted.spot] = placer.place(wanted, self._staging.object_name(wanted), item.here)
        done.restored.append(wanted.spot)

    def _remember(self, step: Step, rows: dict[str, Row]) -> None:
        """Bring the index's rows to what now stands at the step's spots."""
        if step.act is Act.ASIDE:
            return
        rows.pop(step.spot, None)
        found = None
        if step.former is not None:
            with contextlib.suppress(NotADirectoryError):
                found = self._lstat(step.home)
        if step.former is None or found is None or not is_content(found.st_mode):
            return
        former = step.former
        same = _identity(found) == (former.size, former.mtime_ns, former.inode)
        looked_ns = former.looked_ns if same else 0  # never trusted: hashed at the next look
        sha256 = Sha256(former.sha256)
        rows[step.home] = Row.of(step.home, found, model=former.model, sha256=sha256, looked_ns=looked_ns, wrote=True)

    def _conclude(self, change: Change, placer: Placer, rows: Mapping[str, Row]) -> None:
        try:
            placer.flush()
        finally:
            spots = {each for step in change.steps() for each in (step.spot, step.home)}
            open_intents = [intent for intent in self._index.intents().values() if intent.spot not in spots]
            self._index.save(rows, placer.folders, intents=open_intents)


def _wanted(step: Step) -> Wanted | None:
    """The file that was there before, as one to be placed."""
    if step.former is None:
        return None
    return Wanted(
        model=step.former.model,
        path=RepoPath(step.home.rpartition("/")[2]),
        spot=step.home,
        sha256=Sha256(step.former.sha256),
        size=step.former.size,
    )


def _remains(path: Path, taken: set[Path]) -> bool:
    """Whether something would still stand at a path when the taken files are gone."""
    if path in taken or not os.path.lexists(path):
        return False
    if path.is_symlink() or not path.is_dir():
        return True
    return any(below not in taken for below in _files_below(path))


def _files_below(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        for name in (*files, *(each for each in folders if os.path.islink(os.path.join(where, each)))):
            yield Path(where, name)


def _require_free_way(found: Iterable[_Found]) -> None:
    facts = sorted({f"{item.step.spot}: {item.reason}" for item in found if item.way is Way.BLOCKED})
    if not facts:
        return
    verb, it = ("thing was", "it") if len(facts) == 1 else ("things were", "them")
    raise BlockedError(
        f"{len(facts)} {verb} changed since the sync, and an undo would run over {it}.",
        facts=facts,
        fix=f"move {it} away and run `fetcher undo` again; nothing was changed",
    )


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino
