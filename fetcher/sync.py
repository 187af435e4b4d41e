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
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Candidate, Events, FetchRequest, RemoteAddress, Source
from fetcher.core.lock import LockedModel
from fetcher.core.manifest import SourceRef
from fetcher.core.plan import LocalState, Plan, Wanted, fetch_again, force, make_plan
from fetcher.core.proof import Depth
from fetcher.core.units import count_text, size_text
from fetcher.disk.atomic import disk_errors, make_folder
from fetcher.disk.batch import TOGETHER_FROM
from fetcher.disk.copies import Copies
from fetcher.disk.index import Index, Intent, Row
from fetcher.disk.place import COPY_BELOW, Placer, rows_after
from fetcher.disk.prove import Prover
from fetcher.disk.salvage import Salvage
from fetcher.disk.scan import Prove, Scan, Scanner, prove_by_sha256
from fetcher.disk.staging import Staging
from fetcher.errors import DiskError, FetcherError, InterruptedRun, PartialError

_TOGETHER = 512  # files whose copies wait for one sync of the disk

Fetch = Callable[[Sequence[tuple[FetchRequest, Wanted]]], Mapping[Sha256, FetcherError]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a sync did.

    Attributes:
        moved_aside: Spot to where its file is now.
        left: Spots that are no longer wanted and stay, and why.
        failures: Models that could not be brought to their lock, and why.
    """

    kept: int = 0
    placed: tuple[Wanted, ...] = ()
    fetched: tuple[Wanted, ...] = ()
    removed: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    moved_aside: Mapping[str, Path] = field(default_factory=dict)
    failures: Mapping[str, FetcherError] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Whether nothing was done and nothing failed."""
        return not (self.placed or self.removed or self.moved_aside or self.failures)

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

    def look(self, wanted: Sequence[Wanted], *, models: Iterable[str] | None, elsewhere: Collection[str]) -> Scan:
        """Look at the disk, trusting the index where it can be trusted."""
        rows = self._index.rows()
        return self._scanner(rows, trusted=rows).scan(wanted, models=models, elsewhere=elsewhere)

    def look_closely(
        self, wanted: Sequence[Wanted], *, models: Iterable[str] | None, elsewhere: Collection[str], depth: Depth
    ) -> Scan:
        """Look at the disk and hash every file, or a sample."""
        staging = self._staging
        self._events.hashing_started(files=len(wanted), size=sum(item.size for item in wanted))
        try:
            with Prover(
                known=staging.chunks, keep=staging.keep_chunks, depth=depth, events=self._events, stop=self._stop.is_set
            ) as prover:
                scanner = self._scanner(self._index.rows(), trusted={}, prove=prover.prove)
                return scanner.scan(wanted, models=models, elsewhere=elsewhere)
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
        return make_plan(wanted, local, self._staging.stored(wanted))

    def force(self, plan: Plan) -> Plan:
        """The plan that moves aside what is in the way."""
        return force(plan, self._staging.stored([*plan.place, *(blocked.wanted for blocked in plan.blocked)]))

    def prove_stored(self, plan: Plan) -> Plan:
        """Prove the objects that the plan would place; what else this machine holds is brought into the store.

        Damaged objects are mended or removed.  What the plan still fetches is fetched as far as
        it is missing: the sound chunks of damaged files are in partials.
        """
        salvage = Salvage(staging=self._staging, copies=self._copies, events=self._events, stop=self._stop.is_set)
        brought = salvage.bring(plan.place)
        if brought:
            size = size_text(sum(item.size for item in brought))
            self._events.note(f"{count_text(len(brought), 'file')} ({size}) taken from this machine")
        return fetch_again(plan, self._staging.stored(plan.place))

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
            self._placer().sweep(scan.intended)
            self._save(rows, self._index.folders(), scan)
        return True

    def carry_out(self, plan: Plan, scan: Scan, fetch: Fetch, requests: Callable[[Wanted], FetchRequest]) -> Report:
        """Fetch, place, remove, and keep the index.

        Args:
            fetch: Gets the bytes; returns what could not be had.
            requests: Where a wanted file can be had.
        """
        work = _Work(plan=plan, scan=scan)
        placer = self._placer()
        placer.sweep(scan.intended)
        try:
            self._staging.tidy()
            if plan.fetch:
                work.failed = fetch([(requests(wanted), wanted) for wanted in plan.fetch])
            self._announce(work, placer)
            self._move_aside(work, placer)
            self._place(work, placer)
            self._remove(work, placer)
        except BaseException as error:
            if isinstance(error, FetcherError):
                error.facts = (*error.facts, *(f"moved aside: {spot} -> {kept}" for spot, kept in work.aside.items()))
            with contextlib.suppress(DiskError):  # the first error is the one to tell
                self._conclude(work, placer)
            raise
        self._conclude(work, placer)
        self._staging.release([*work.done, *plan.keep])
        return work.report()

    def _placer(self) -> Placer:
        return Placer(root=self._root, trash=self._state / "trash", folders=self._index.folders())

    def _announce(self, work: "_Work", placer: Placer) -> None:
        """Say in the index what is about to be written: a kill must not make it the user's."""
        intents = [Intent(spot=wanted.spot, model=wanted.model, sha256=wanted.sha256) for wanted in work.to_place()]
        if intents:
            make_state_folder(self._state)
            self._index.announce([*work.scan.open_intents, *intents], placer.folders)

    def _move_aside(self, work: "_Work", placer: Placer) -> None:
        """Obstacles of models that will be placed, in the plan's order."""
        spots = [wanted.spot for wanted in work.to_place()]
        for obstacle in work.plan.aside:
            if any(_is_below_any(spot, [obstacle]) for spot in spots):
                work.aside[obstacle] = placer.move_aside(obstacle)

    def _place(self, work: "_Work", placer: Placer) -> None:
        todo = work.to_place()
        for number, wanted in enumerate(todo):
            if number % _TOGETHER == 0:
                self._prepare(todo[number : number + _TOGETHER], placer)
            if self._stop.is_set():
                raise InterruptedRun(
                    "Interrupted; what was received is kept.",
                    facts=[f"placed: {len(work.done)} of {len(work.plan.place)} files"],
                )
            known = None if wanted.spot in work.aside else work.scan.rows.get(wanted.spot)
            work.placed.append(placer.place(wanted, self._staging.object_path(wanted), known))
            work.done.append(wanted)

    def _prepare(self, some: Sequence[Wanted], placer: Placer) -> None:
        """Copy small files ahead, so that one sync of the disk serves all of them."""
        small = [wanted for wanted in some if wanted.size < COPY_BELOW]
        if len(small) >= TOGETHER_FROM:
            placer.prepare([(wanted, self._staging.object_path(wanted)) for wanted in small])

    def _remove(self, work: "_Work", placer: Placer) -> None:
        """Nothing of a model is removed before all of it is placed."""
        lost = work.lost()
        for leftover in work.plan.remove:
            if leftover.model in lost or _is_below_any(leftover.spot, work.aside):
                continue
            if placer.remove(leftover, work.scan.rows[leftover.spot]):
                work.removed.append(leftover.spot)
            else:
                work.left[leftover.spot] = "changed while fetcher was at work"

    def _conclude(self, work: "_Work", placer: Placer) -> None:
        """Make what was done durable and remember it."""
        gone = (*work.removed, *(item.spot for item in work.plan.left), *_rows_below(work.scan.rows, work.aside))
        try:
            placer.flush()
        finally:
            self._save(rows_after(work.scan.rows, work.placed, gone), placer.folders, work.scan)

    def _save(self, rows: Mapping[str, Row], folders: Iterable[str], scan: Scan) -> None:
        make_state_folder(self._state)
        self._index.save(rows, folders, intents=scan.open_intents)


@dataclass(slots=True, kw_only=True)
class _Work:
    """What a sync has done so far."""

    plan: Plan
    scan: Scan
    failed: Mapping[Sha256, FetcherError] = field(default_factory=dict)
    placed: list[Row] = field(default_factory=list)
    done: list[Wanted] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    aside: dict[str, Path] = field(default_factory=dict)

    def lost(self) -> dict[str, FetcherError]:
        """Models that lack a file, and why."""
        return {wanted.model: self.failed[wanted.sha256] for wanted in self.plan.place if wanted.sha256 in self.failed}

    def to_place(self) -> list[Wanted]:
        """Files of the models of which everything is here."""
        lost = self.lost()
        return [wanted for wanted in self.plan.place if wanted.model not in lost]

    def report(self) -> Report:
        return Report(
            kept=len(self.plan.keep),
            placed=tuple(self.done),
            fetched=tuple(wanted for wanted in self.plan.fetch if wanted.sha256 not in self.failed),
            removed=tuple(self.removed),
            left={**self.left, **{item.spot: item.reason for item in self.plan.left}},
            moved_aside=self.aside,
            failures=dict(sorted(self.lost().items())),
        )


def _is_below_any(spot: str, folders: Iterable[str]) -> bool:
    return any(spot == folder or spot.startswith(f"{folder}/") for folder in folders)


def _rows_below(rows: Iterable[str], folders: Collection[str]) -> list[str]:
    return [spot for spot in rows if _is_below_any(spot, folders)] if folders else []


def make_state_folder(state: Path) -> None:
    """Make `.fetcher/`, which git is to ignore."""
    make_folder(state)
    with disk_errors(state):
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


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
