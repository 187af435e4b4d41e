"""Look at the disk: what stands at each wanted spot, and whose it is.

A file is trusted without hashing only if the index knows it and its size, time and
inode are as at the last look, and it was not changed so shortly before that look that
the clock could not have told (git's "racy" files).  Everything else is hashed.

Decides nothing: core/plan.py does.  Changes nothing but the rows that it returns.

Promises (tests/disk/test_scan.py):
  * a look never follows a symlink below the project or an absolute target;
  * an edit that keeps the size is seen;
  * what fetcher did not write, or what was edited since, comes out as FOREIGN.
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.download import Span
from fetcher.core.interfaces import Events
from fetcher.core.plan import Leftover, LocalState, Look, State, Wanted
from fetcher.core.proof import Proof
from fetcher.disk.aliases import under_wanted_names
from fetcher.disk.atomic import disk_errors
from fetcher.disk.hashing import sha256_of
from fetcher.disk.index import Intent, Row
from fetcher.disk.kinds import kind_of
from fetcher.disk.names import blob_behind, content_sha256, is_content

_CLOCK_GRAIN_NS = 20_000_000  # coarsest kernel tick in use is 10 ms (CONFIG_HZ=100); twice that


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The result of a look.

    Attributes:
        local: For the plan.
        rows: The index as it is to be after the look; rows of files that went are gone.
        before: The index as it was.
        open_intents: Those of files that were not looked at; to be kept.
        intended: Spots that killed runs were about to write, whether looked at or not.
        bad: Spots whose bytes are not the index's although size, time and inode are.
        differs: By spot, the spans that are not as locked, where that is known.
    """

    local: LocalState
    rows: dict[str, Row]
    before: dict[str, Row]
    open_intents: tuple[Intent, ...]
    intended: tuple[str, ...]
    bad: tuple[str, ...]
    differs: Mapping[str, tuple[Span, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    look: Look
    row: Row | None
    differs: tuple[Span, ...] = ()
    is_sampled: bool = False


Prove = Callable[[Wanted, Path], Proof]


def prove_by_sha256(wanted: Wanted, path: Path) -> Proof:
    """One file by one thread."""
    return Proof(sha256=sha256_of(path))


_ABSENT = _Seen(look=Look(state=State.ABSENT), row=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """What a look may call a leftover.

    Attributes:
        models: Of these; None for every model.
        others: Never of these.
        elsewhere: Never these spots, which other models want.
    """

    models: frozenset[str] | None
    others: Collection[str]
    elsewhere: Collection[str]

    def has(self, spot: str, model: str) -> bool:
        if spot in self.elsewhere or model in self.others:
            return False
        return self.models is None or model in self.models


class Scanner:
    """Looks at one project's spots.

    Args:
        root: The project's folder.
        rows: The index, for ownership.
        trusted: The rows whose content need not be hashed; empty for `verify`.
        events: Told about each hashing.
        intents: What a killed run was about to write, by spot: such a file is fetcher's.
        prove: Hashes the file at a wanted spot.
    """

    def __init__(
        self,
        *,
        root: Path,
        rows: Mapping[str, Row],
        trusted: Mapping[str, Row],
        events: Events,
        intents: Mapping[str, Intent] | None = None,
        prove: Prove = prove_by_sha256,
    ) -> None:
        self._root = root
        self._prove = prove
        self._intents = intents or {}
        self._rows = rows
        self._trusted = trusted
        self._events = events
        self._parents: dict[str, Look | None] = {}
        self._bases: set[str] = set()  # absolute targets, each with a `/` behind it

    def scan(
        self,
        wanted: Iterable[Wanted],
        *,
        models: Iterable[str] | None,
        others: Collection[str] = frozenset(),
        elsewhere: Collection[str] = frozenset(),
    ) -> Scan:
        """Look at each wanted spot and at what fetcher wrote elsewhere.

        Args:
            wanted: The files of the lock that are in question.
            models: Names whose leftovers count; None for those of every model.
            others: Names whose leftovers do not.
            elsewhere: Spots that other models want: never leftovers.
        """
        chosen = _Chosen(models=None if models is None else frozenset(models), others=others, elsewhere=elsewhere)
        items, before = list(wanted), dict(self._rows)
        self._rows = under_wanted_names(self._rows, items, self._root)
        self._bases = {item.base for item in items if os.path.isabs(item.spot)}
        seen = self._look_at_all(items)
        rows = {spot: row for spot, row in self._rows.items() if spot not in seen}
        rows.update((spot, found.row) for spot, found in seen.items() if found.row)
        strays = [
            intent for spot, intent in self._intents.items() if spot not in seen and chosen.has(spot, intent.model)
        ]
        rows.update((row.spot, row) for row in filter(None, map(self._stray_row, strays)))
        leftovers = self._leftovers(
            [row for spot, row in rows.items() if spot not in seen and chosen.has(spot, row.model)]
        )
        for spot in [spot for spot, leftover in leftovers.items() if leftover is None]:
            del rows[spot]
        judged = {*(spot for spot, found in seen.items() if not found.is_sampled), *(item.spot for item in strays)}
        return Scan(
            local=LocalState(
                looks={spot: found.look for spot, found in seen.items()},
                leftovers=tuple(filter(None, leftovers.values())),
            ),
            rows=rows,
            before=before,
            open_intents=tuple(intent for spot, intent in self._intents.items() if spot not in judged),
            intended=tuple(self._intents),
            bad=tuple(spot for spot, found in seen.items() if found.row and found.row.damaged),
            differs={spot: found.differs for spot, found in seen.items() if found.differs},
        )

    def _look_at_all(self, items: Sequence[Wanted]) -> dict[str, _Seen]:
        """Each wanted spot, over all cores where there is something to look at."""
        at_once = [self._look_at_once(item) for item in items]
        rest = [item for item, found in zip(items, at_once, strict=True) if found is None]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            looked = pool.map(self._look, rest)
            return {item.spot: found or next(looked) for item, found in zip(items, at_once, strict=True)}

    def _look_at_once(self, wanted: Wanted) -> _Seen | None:
        """What needs no reading: nothing is there, or a file that is trusted; None for anything else.

        By the caller's own thread: handing a file to another takes longer than the look.
        """
        if self._obstacle_above(wanted.spot):
            return None
        try:
            found = os.lstat(os.path.join(self._root, wanted.spot))
        except (FileNotFoundError, NotADirectoryError):
            return _ABSENT
        except OSError:
            return None
        if wanted.is_name or not stat.S_ISREG(found.st_mode) or not self._is_trusted(wanted.spot, found):
            return None
        return self._look_at_file(wanted, self._root / wanted.spot, found)

    def _leftovers(self, rows: Iterable[Row]) -> dict[str, Leftover | None]:
        """What nothing wants any more, by spot; None where it is gone."""
        found: dict[str, Leftover | None] = {}
        for row in rows:
            with disk_errors(self._root / row.spot):
                state = self._leftover_state(row)
            found[row.spot] = None if state is State.ABSENT else _leftover(row, state)
        return found

    def _look(self, wanted: Wanted) -> _Seen:
        obstacle = self._obstacle_above(wanted.spot)
        if obstacle:
            return _Seen(look=obstacle, row=None)
        path = self._root / wanted.spot
        with disk_errors(path):
            return self._look_at(wanted, path)

    def _look_at(self, wanted: Wanted, path: Path) -> _Seen:
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return _ABSENT
        blob = blob_behind(wanted, self._root) if stat.S_ISLNK(found.st_mode) else None
        if blob is not None:
            path = blob
            with contextlib.suppress(FileNotFoundError):  # a symlink that leads nowhere is told as one
                found = path.lstat()
        is_right_kind = stat.S_ISLNK if wanted.is_link else stat.S_ISREG
        if not is_right_kind(found.st_mode):
            return _Seen(look=Look(state=State.FOREIGN, reason=kind_of(found.st_mode)), row=None)
        seen = self._look_at_file(wanted, path, found)
        return _as_of_name(seen) if wanted.is_name else seen

    def _look_at_file(self, wanted: Wanted, path: Path, found: os.stat_result) -> _Seen:
        row = self._rows.get(wanted.spot)
        if self._is_trusted(wanted.spot, found):
            known = self._rows[wanted.spot]
            return _Seen(look=_judge(known, wanted.sha256), row=replace(known, model=wanted.model))
        known_size = row.size if row else None
        if wanted.spot not in self._intents and found.st_size not in (wanted.size, known_size):
            return _Seen(look=_foreign(row, found), row=row)
        looked_ns = time.time_ns()
        self._events.hashing(wanted.label, found.st_size)
        try:
            proof = self._proof(wanted, path, found)
        except OSError as error:
            return _Seen(look=Look(state=State.FOREIGN, reason=f"cannot be read ({error.strerror})"), row=row)
        if proof.sha256 is None:  # a sample, and right
            return _Seen(look=Look(state=State.RIGHT), row=row, is_sampled=True)
        fresh = Row.of(wanted.spot, found, model=wanted.model, sha256=proof.sha256, looked_ns=looked_ns, wrote=False)
        seen = self._judge_bytes(wanted, found, fresh)
        return replace(seen, differs=proof.differs)

    def _proof(self, wanted: Wanted, path: Path, found: os.stat_result) -> Proof:
        """Of a name, what it says; of a file, what this look hashes."""
        if wanted.is_name:
            return Proof(sha256=content_sha256(path, found.st_mode))
        return self._prove(wanted, path)

    def _judge_bytes(self, wanted: Wanted, found: os.stat_result, fresh: Row) -> _Seen:
        row, sha256 = self._rows.get(wanted.spot), fresh.sha256
        if self._was_intended(wanted.spot, sha256):
            fresh = replace(fresh, wrote=True)
            return _Seen(look=_judge(fresh, wanted.sha256), row=fresh)
        if row is None:
            right = sha256 == wanted.sha256
            return _Seen(look=Look(state=State.RIGHT), row=fresh) if right else _Seen(look=_foreign(None), row=None)
        return _compare(row, replace(fresh, wrote=row.wrote), wanted.sha256, found)

    def _is_trusted(self, spot: str, found: os.stat_result) -> bool:
        row = self._trusted.get(spot)
        if row is None or not row.is_unchanged(found):
            return False
        return row.damaged or not is_racy(row, found)

    def _was_intended(self, spot: str, sha256: Sha256) -> bool:
        intent = self._intents.get(spot)
        return intent is not None and intent.sha256 == sha256

    def _stray_row(self, intent: Intent) -> Row | None:
        """The row of a file that a killed run wrote and that nothing wants any more."""
        path = self._root / intent.spot
        if self._obstacle_above(intent.spot):
            return None
        with disk_errors(path):
            try:
                found = path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            looked_ns = time.time_ns()
            if not is_content(found.st_mode) or content_sha256(path, found.st_mode) != intent.sha256:
                return None
        sha256 = Sha256(intent.sha256)
        return Row.of(intent.spot, found, model=intent.model, sha256=sha256, looked_ns=looked_ns, wrote=True)

    def _leftover_state(self, row: Row) -> State:
        if self._obstacle_above(row.spot):
            return State.ABSENT
        try:
            found = (self._root / row.spot).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return State.ABSENT
        if not row.wrote or not is_content(found.st_mode):
            return State.FOREIGN
        if row.damaged:
            return State.DAMAGED
        if row.is_unchanged(found) and not is_racy(row, found):
            return State.OURS
        if found.st_size == row.size and content_sha256(self._root / row.spot, found.st_mode) == row.sha256:
            return State.OURS
        return State.FOREIGN

    def _obstacle_above(self, spot: str) -> Look | None:
        """The first parent of `spot`, from the top, that is no real directory."""
        parent = spot.rpartition("/")[0]
        unknown = []
        while parent and parent not in self._parents:
            unknown.append(parent)
            parent = parent.rpartition("/")[0]
        found = self._parents.get(parent)
        for folder in reversed(unknown):
            found = found or self._obstacle_at(folder)
            self._parents[folder] = found
        return found

    def _obstacle_at(self, spot: str) -> Look | None:
        try:
            mode = (self._root / spot).lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(mode):
            return None
        if os.path.isabs(spot) and not spot.startswith(tuple(self._bases)) and os.path.isdir(spot):
            return None  # an absolute target was written by the user, symlinks and all
        leads_to = os.path.realpath(self._root / spot) if stat.S_ISLNK(mode) else ""
        what = f"{kind_of(mode)} to {leads_to}" if leads_to else kind_of(mode)
        return Look(state=State.FOREIGN, reason=f"{what} where a folder is due", obstacle=spot, leads_to=leads_to)


def is_settled(row: Row) -> bool:
    """Whether a file that has the row's size, time and inode is certain to be what the row says."""
    return not row.damaged and row.mtime_ns < row.looked_ns - _CLOCK_GRAIN_NS


def _compare(row: Row, fresh: Row, wanted: Sha256, found: os.stat_result) -> _Seen:
    """Judge a file of which the index knows something, after it was hashed."""
    if fresh.sha256 == row.sha256 or fresh.sha256 == wanted:
        if is_settled(row) and fresh == replace(row, looked_ns=fresh.looked_ns):
            fresh = row  # nothing new: what rests on the index stays
        return _Seen(look=_judge(fresh, wanted), row=fresh)
    if row.wrote and row.is_unchanged(found) and not is_racy(row, found):
        damaged = replace(row, damaged=True)
        return _Seen(look=_judge(damaged, wanted), row=damaged)
    return _Seen(look=_foreign(row, found), row=row)


def _leftover(row: Row, state: State) -> Leftover:
    return Leftover(
        model=row.model,
        spot=row.spot,
        state=state,
        reason="edited since fetcher wrote it" if row.wrote else "a file that fetcher did not write",
        sha256=row.sha256 if state is State.OURS else None,
    )


def _judge(row: Row, wanted: Sha256) -> Look:
    if row.damaged:
        return Look(state=State.DAMAGED, reason="its bytes have changed, though its size and date have not")
    if row.sha256 == wanted:
        return Look(state=State.RIGHT)
    return Look(state=State.OURS) if row.wrote else _foreign(None)


def _foreign(row: Row | None, found: os.stat_result | None = None) -> Look:
    if row is not None and row.wrote:
        shared = found is not None and found.st_nlink > 1
        through = ", here or through another project that shares it" if shared else ""
        return Look(state=State.FOREIGN, reason=f"edited since fetcher wrote it{through}", edited=True)
    return Look(state=State.FOREIGN, reason="a file that fetcher did not write")


def _as_of_name(seen: _Seen) -> _Seen:
    """A name that is not fetcher's to replace leads elsewhere."""
    if seen.look.state is not State.FOREIGN:
        return seen
    reason = seen.look.reason if seen.row and seen.row.wrote else "leads elsewhere, and fetcher did not write it"
    return replace(seen, look=replace(seen.look, reason=reason, leads=True))


def is_racy(row: Row, found: os.stat_result) -> bool:
    """Whether a file changed so shortly before the last look that the clock could not have told."""
    return found.st_mtime_ns >= row.looked_ns - _CLOCK_GRAIN_NS
