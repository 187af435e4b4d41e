"""Lock + disk -> Plan -> files.

The road's second half: look at the disk, decide (core/plan.py), have the missing bytes
fetched (transfer.py), place them, remove what is no longer wanted, keep the index.

Promises (tests/test_sync.py):
  * a plan with nothing to do opens no socket and changes no file;
  * nothing is placed for a model until all of its bytes are here;
  * an object that was in the store before is proven before it gets a final name;
  * the index is saved even when the run ends in an error.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fetcher.core.change import Step
from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Candidate, Events, FetchRequest, RemoteAddress, Source
from fetcher.core.lock import LockedModel
from fetcher.core.manifest import SourceRef
from fetcher.core.moves import Leftover, State, Wanted
from fetcher.core.plan import LocalState, Plan, fetch_again, force, make_plan
from fetcher.core.proof import Depth
from fetcher.core.units import count_text, size_text
from fetcher.disk.batch import TOGETHER_FROM
from fetcher.disk.bring import COPY_BELOW
from fetcher.disk.copies import Copies
from fetcher.disk.index import Index, Intent, Row
from fetcher.disk.place import Placer, rows_after
from fetcher.disk.prove import Prover
from fetcher.disk.salvage import Salvage
from fetcher.disk.scan import Prove, Scan, Scanner, prove_by_sha256
from fetcher.disk.shelf import Shelf
from fetcher.disk.staging import Staging
from fetcher.disk.state import make_state_folder
from fetcher.disk.targets import require_writable
from fetcher.disk.trash import Trash
from fetcher.errors import DiskError, FetcherError, InterruptedRun, PartialError
from fetcher.work import Work, rows_below

_TOGETHER = 512  # files whose copies wait for one sync of the disk

Fetch = Callable[[Sequence[tuple[FetchRequest, Wanted]]], Mapping[Sha256, FetcherError]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a sync did.

    Attributes:
        kept: How many files were right already.
        placed: What has appeared or was replaced.
        fetched: What the sources have sent; the rest of `placed` was on this machine.
        removed: Spots of fetcher's own files that nothing wanted any more.
        moved: fetcher's own files that changed their spot: from where to where.
        moved_aside: Spot to where its file is now.
        left: Spots that are no longer wanted and stay, and why.
        failures: Models that could not be brought to their lock, and why.
    """

    kept: int = 0
    placed: tuple[Wanted, ...] = ()
    fetched: tuple[Wanted, ...] = ()
    removed: tuple[str, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    moved_aside: Mapping[str, Path] = field(default_factory=dict)
    failures: Mapping[str, FetcherError] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Whether nothing was done and nothing failed."""
        return not (self.placed or self.moved or self.removed or self.moved_aside or self.failures)

    def require_complete(self) -> None:
        """Refuse a report with failures.

        Raises:
            PartialError: Some models failed; the others are done.
        """
        if self.failures:
            raise PartialError(
                f"{count_text(len(self.failures), 'model')} failed; the others are done.",
                facts=[
                    line
                    for name, error in sorted(self.failures.items())
                    for line in (f"{name}: {error.what}", *(f"  {fact}" for fact in error.facts[:5]))
                ],
                fix="mend the causes and run `fetcher sync` again; what was received is kept",
            )


class Workplace:
    """One project's disk: its index, its stores, its spots.

    Args:
        root: The project's folder.
        state: Its `.fetcher` folder.
        index: File name of the index in it; each manifest of a folder has its own.
        staging: Chooses the store for each spot.
        copies: Where else on this machine bytes may be.
        stop: Set it to end between two files.
    """

    def __init__(
        self,
        *,
        root: Path,
        state: Path,
        index: str,
        staging: Staging,
        copies: Copies,
        events: Events,
        stop: threading.Event,
    ) -> None:
        self._root = root
        self._state = state
        self._staging = staging
        self._copies = copies
        self._events = events
        self._stop = stop
        self._index = Index(state / index)
        self._trash = Trash(root=root, folder=state / "trash", index=index)

    def look(
        self,
        wanted: Sequence[Wanted],
        *,
        models: Iterable[str] | None,
        elsewhere: Collection[str],
        others: Collection[str] = (),
    ) -> Scan:
        """Look at the disk, trusting the index where it can be trusted."""
        rows = self._index.rows()
        scanner = self._scanner(rows, trusted=rows)
        return scanner.scan(wanted, models=models, others=others, elsewhere=elsewhere)

    def look_closely(
        self,
        wanted: Sequence[Wanted],
        *,
        models: Iterable[str] | None,
        elsewhere: Collection[str],
        others: Collection[str] = (),
        depth: Depth,
    ) -> Scan:
        """Look at the disk and hash every file, or a sample."""
        staging = self._staging
        self._events.hashing_started(files=len(wanted), size=sum(item.size for item in wanted))
        try:
            with Prover(
                known=staging.chunks, keep=staging.keep_chunks, depth=depth, events=self._events, stop=self._stop.is_set
            ) as prover:
                scanner = self._scanner(self._index.rows(), trusted={}, prove=prover.prove)
                return scanner.scan(wanted, models=models, others=others, elsewhere=elsewhere)
        finally:
            self._events.hashing_done()

    def _scanner(
        self, rows: Mapping[str, Row], *, trusted: Mapping[str, Row], prove: Prove = prove_by_sha256
    ) -> Scanner:
        return Scanner(
            root=self._root,
            rows=rows,
            trusted=trusted,
            events=self._events,
            intents=self._index.intents(),
            prove=prove,
        )

    def plan(self, wanted: Sequence[Wanted], local: LocalState) -> Plan:
        """What would have to be done."""
        stored = self._staging.stored(wanted)
        plan = make_plan(wanted, local, stored)
        offered = self._trash.offers({item.sha256 for item in plan.fetch}) if plan.fetch else {}
        return make_plan(wanted, local, stored, offered=offered) if offered else plan

    def force(self, plan: Plan) -> Plan:
        """The plan that moves aside what is in the way."""
        return force(plan, self._staging.stored([*plan.place, *(blocked.wanted for blocked in plan.blocked)]))

    def prove_stored(self, plan: Plan) -> Plan:
        """Prove the objects that the plan would place; what else this machine holds is brought into the store.

        Damaged objects are mended or removed.  What the plan still fetches is fetched as far as
        it is missing: the sound chunks of damaged files are in partials.
        """
        salvage = Salvage(staging=self._staging, copies=self._copies, events=self._events, stop=self._stop.is_set)
        place = [item for item in plan.place if not item.is_name]
        stored = self._staging.stored(place)
        sound = {sha256: spot for sha256, spot in plan.offered.items() if self._trash.is_sound(sha256, spot)}
        brought = salvage.bring([item for item in place if item.sha256 in stored or item.sha256 not in sound])
        if brought:
            size = size_text(sum(item.size for item in brought))
            self._events.note(f"{count_text(len(brought), 'file')} ({size}) taken from this machine")
        return fetch_again(replace(plan, offered=sound), self._staging.stored(place) if stored or brought else stored)

    def knows(self, scan: Scan, plan: Plan) -> bool:
        """Whether the look has found out nothing that the index did not know before it."""
        return not scan.intended and rows_after(scan.rows, [], (item.spot for item in plan.left)) == scan.before

    def remember(self, scan: Scan, plan: Plan) -> bool:
        """Save what a look has found out, if that is more than the index knew; whether it knows it now.

        What was edited since and is no longer wanted is the user's from here on.  To be
        called under the project's claim; if the index has changed since the look, what
        the look found out is old and is not saved.
        """
        rows = rows_after(scan.rows, [], (item.spot for item in plan.left))
        if self._index.rows() != scan.before:
            return False
        if rows != scan.before or scan.intended:
            placer = self._sweep(scan)
            placer.remove_empty_but(rows)
            self._save(rows, placer.folders, scan)
        return True

    def carry_out(self, plan: Plan, scan: Scan, fetch: Fetch, requests: Callable[[Wanted], FetchRequest]) -> Report:
        """Fetch, place, remove, and keep the index.

        Args:
            fetch: Gets the bytes; returns what could not be had.
            requests: Where a wanted file can be had.
        """
        work = Work(plan=plan, scan=scan, moved_aside=frozenset(plan.aside))
        require_writable([*(move.wanted for move in plan.move), *plan.place], self._root)
        self._sweep(scan)
        try:
            self._staging.tidy()
            if plan.fetch:
                work.failed = fetch([(requests(wanted), wanted) for wanted in plan.fetch])
        except BaseException:
            with contextlib.suppress(DiskError):  # the first error is the one to tell
                self._save_look(work)
            raise
        steps = work.steps()
        if steps:
            self._change(work, steps)
        else:
            self._save_look(work)
        self._staging.release([*work.done, *work.arrived(), *plan.keep])
        if plan.fetch:
            with contextlib.suppress(DiskError, OSError):  # what it could not remove a moment ago; else the next sync
                self._staging.tidy()
        return _report(work)

    def _change(self, work: Work, steps: Sequence[Step]) -> None:
        """Put the change on record, carry it out, and remember it."""
        make_state_folder(self._state)
        change = self._trash.begin(steps)
        placer = self._placer(change.kept)
        try:
            self._announce(work, placer)
            self._move_aside(work, placer)
            self._move(work, placer)
            self._place(work, placer)
            self._remove(work, placer)
        except BaseException as error:
            if isinstance(error, FetcherError):
                error.facts = (*error.facts, *(f"moved aside: {spot} -> {kept}" for spot, kept in work.aside.items()))
            placed = {row.spot for row in work.placed}
            with contextlib.suppress(DiskError):  # the first error is the one to tell
                self._conclude(work, placer, open_intents=[i for i in _intents(work) if i.spot not in placed])
            raise
        self._conclude(work, placer)
        change.end("done")

    def _placer(self, shelf: Shelf) -> Placer:
        return Placer(root=self._root, shelf=shelf, folders=self._index.folders())

    def _sweep(self, scan: Scan) -> Placer:
        """Remove what killed runs left where they were about to write; nothing is kept of that."""
        placer = self._placer(Shelf(root=self._root, folder=self._state / "trash", label=""))
        placer.sweep(scan.intended)
        return placer

    def _announce(self, work: Work, placer: Placer) -> None:
        """Say in the index what is about to be written: a kill must not make it the user's."""
        intents = _intents(work)
        if intents:
            folders = placer.folders | placer.missing_folders(intent.spot for intent in intents)
            self._index.announce([*work.scan.open_intents, *intents], folders)

    def _move_aside(self, work: Work, placer: Placer) -> None:
        for obstacle in work.obstacles():
            work.aside[obstacle] = placer.move_aside(obstacle)

    def _move(self, work: Work, placer: Placer) -> None:
        """fetcher's own files to their new spots; to another file system they are copied."""
        for move in work.to_move():
            wanted, known = move.wanted, work.scan.rows[move.origin]
            row = replace(known, spot=wanted.spot, model=wanted.model)
            if not placer.move(move.origin, wanted.spot, known):
                row = placer.place(wanted, self._root / move.origin, None)
                placer.remove(Leftover(model=known.model, spot=move.origin, state=State.OURS), known)
            work.placed.append(row)
            work.moved[move.origin] = wanted.spot

    def _source(self, work: Work, wanted: Wanted) -> str:
        """A file with the bytes of a wanted one: an object, else one that the plan knows of."""
        origin = work.plan.offered.get(wanted.sha256)
        if origin is None or self._staging.stored([wanted]):
            return self._staging.object_name(wanted)
        return os.path.join(self._root, work.moved.get(origin, origin))

    def _place(self, work: Work, placer: Placer) -> None:
        todo = work.to_place()
        for first in range(0, len(todo), _TOGETHER):
            some = [
                (wanted, None if wanted.is_name else self._source(work, wanted))
                for wanted in todo[first : first + _TOGETHER]
            ]
            with placer.staying():
                _prepare(some, placer)
                for wanted, source in some:
                    if self._stop.is_set():
                        raise InterruptedRun(
                            "Interrupted; what was received is kept.",
                            facts=[f"placed: {len(work.done)} of {len(work.plan.place)} files"],
                        )
                    work.placed.append(placer.place(wanted, source, work.known(wanted)))
                    work.done.append(wanted)

    def _remove(self, work: Work, placer: Placer) -> None:
        """Nothing of a model is removed before all of it is placed."""
        for leftover in work.to_remove():
            if placer.remove(leftover, work.scan.rows[leftover.spot]):
                work.removed.append(leftover.spot)
            else:
                work.left[leftover.spot] = "changed while fetcher was at work"

    def _conclude(self, work: Work, placer: Placer, *, open_intents: Sequence[Intent] = ()) -> None:
        """Make what was done durable and remember it.

        Args:
            open_intents: What was announced and may or may not have been written; the next look tells.
        """
        gone = (
            *work.removed,
            *work.moved,
            *(item.spot for item in work.plan.left),
            *rows_below(work.scan.rows, work.aside),
        )
        rows = rows_after(work.scan.rows, work.placed, gone)
        try:
            placer.remove_empty_but(rows)
            placer.flush()
        finally:
            self._save(rows, placer.folders, work.scan, open_intents)

    def _save_look(self, work: Work) -> None:
        """Remember what the look found out, when nothing was changed."""
        gone = (item.spot for item in work.plan.left)
        self._save(rows_after(work.scan.rows, [], gone), self._index.folders(), work.scan)

    def _save(
        self, rows: Mapping[str, Row], folders: Iterable[str], scan: Scan, open_intents: Sequence[Intent] = ()
    ) -> None:
        make_state_folder(self._state)
        self._index.save(rows, folders, intents=[*scan.open_intents, *open_intents])


def _intents(work: Work) -> list[Intent]:
    """What is about to be written."""
    coming = [*(move.wanted for move in work.to_move()), *work.to_place()]
    return [Intent(spot=wanted.spot, model=wanted.model, sha256=wanted.sha256) for wanted in coming]


def _prepare(some: Sequence[tuple[Wanted, str | None]], placer: Placer) -> None:
    """Copy small files ahead, so that one sync of the disk serves all of them."""
    small = [(wanted, source) for wanted, source in some if source is not None and wanted.size < COPY_BELOW]
    if len(small) >= TOGETHER_FROM:
        placer.prepare(small)


def _report(work: Work) -> Report:
    return Report(
        kept=len(work.plan.keep),
        placed=tuple(work.done),
        fetched=tuple(wanted for wanted in work.plan.fetch if wanted.sha256 not in work.failed),
        removed=tuple(work.removed),
        moved=dict(work.moved),
        left={**work.left, **{item.spot: item.reason for item in work.plan.left}},
        moved_aside=work.aside,
        failures=dict(sorted(work.lost().items())),
    )


def fetch_request(
    wanted: Wanted,
    homes: Iterable[tuple[Wanted, LockedModel]],
    candidates: Callable[[SourceRef], tuple[Source, ...]],
) -> FetchRequest:
    """The places where a digest can be had.

    Args:
        homes: Every file with this digest and its model, the wanted one first; each
            model's source and mirrors come before its fallbacks.
    """
    places: dict[tuple[SourceRef, int, str, str], Candidate] = {}
    for item, model in homes:
        for ref, commit in [(model.source, model.commit), *((pin.source, pin.commit) for pin in model.fallback)]:
            for number, source in enumerate(candidates(ref)):
                address = RemoteAddress(ref=ref, commit=commit, path=item.path, size=wanted.size, sha256=wanted.sha256)
                places.setdefault((ref, number, commit, item.path), Candidate(source=source, address=address))
    return FetchRequest(label=wanted.label, sha256=wanted.sha256, size=wanted.size, candidates=tuple(places.values()))
