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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Candidate, Events, FetchRequest, RemoteAddress, Source
from fetcher.core.lock import LockedModel
from fetcher.core.manifest import SourceRef
from fetcher.core.plan import LocalState, Plan, Wanted, fetch_again, force, make_plan
from fetcher.disk.atomic import disk_errors, make_folder
from fetcher.disk.index import Index, Row
from fetcher.disk.place import Placer, rows_after
from fetcher.disk.scan import Scan, Scanner
from fetcher.disk.staging import Staging
from fetcher.errors import DiskError, FetcherError, InterruptedRun

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


class Workplace:
    """One project's disk: its index, its stores, its spots.

    Args:
        root: The project's folder.
        state: Its `.fetcher` folder.
        index: File name of the index in it; each manifest of a folder has its own.
        staging: Chooses the store for each spot.
        stop: Set it to end between two files.
    """

    def __init__(
        self, *, root: Path, state: Path, index: str, staging: Staging, events: Events, stop: threading.Event
    ) -> None:
        self._root = root
        self._state = state
        self._staging = staging
        self._events = events
        self._stop = stop
        self._index = Index(state / index)

    def look(self, wanted: Sequence[Wanted], *, models: Iterable[str] | None) -> Scan:
        """Look at the disk, trusting the index where it can be trusted."""
        rows = self._index.rows()
        return Scanner(root=self._root, rows=rows, trusted=rows, events=self._events).scan(wanted, models=models)

    def look_closely(self, wanted: Sequence[Wanted], *, models: Iterable[str] | None) -> Scan:
        """Look at the disk and hash every file."""
        rows = self._index.rows()
        return Scanner(root=self._root, rows=rows, trusted={}, events=self._events).scan(wanted, models=models)

    def plan(self, wanted: Sequence[Wanted], local: LocalState) -> Plan:
        """What would have to be done."""
        return make_plan(wanted, local, self._staging.stored(wanted))

    def force(self, plan: Plan) -> Plan:
        """The plan that moves aside what is in the way."""
        return force(plan, self._staging.stored([*plan.place, *(blocked.wanted for blocked in plan.blocked)]))

    def prove_stored(self, plan: Plan) -> Plan:
        """Prove the objects that the plan would place; damaged ones are removed and fetched anew."""
        missing = {wanted.sha256 for wanted in plan.fetch}
        if not self._staging.discard_damaged([wanted for wanted in plan.place if wanted.sha256 not in missing]):
            return plan
        return fetch_again(plan, self._staging.stored(plan.place))

    def remember(self, scan: Scan, plan: Plan) -> None:
        """Save what a look has found out, if that is more than the index knew.

        What was edited since and is no longer wanted is the user's from here on.
        """
        rows = rows_after(scan.rows, [], (item.spot for item in plan.left))
        if rows != self._index.rows():
            self._save(rows, self._index.folders())

    def carry_out(self, plan: Plan, scan: Scan, fetch: Fetch, requests: Callable[[Wanted], FetchRequest]) -> Report:
        """Fetch, place, remove, and keep the index.

        Args:
            fetch: Gets the bytes; returns what could not be had.
            requests: Where a wanted file can be had.
        """
        failed = fetch([(requests(wanted), wanted) for wanted in plan.fetch]) if plan.fetch else {}
        lost = {wanted.model: failed[wanted.sha256] for wanted in plan.place if wanted.sha256 in failed}
        placer = Placer(root=self._root, trash=self._state / "trash", folders=self._index.folders())
        placed: list[Row] = []
        removed: list[str] = []
        try:
            aside = {spot: placer.move_aside(spot) for spot in self._asides(plan, lost)}
            done = self._place(plan, scan, placer, placed, lost, aside)
            left = self._remove(plan, scan, placer, removed)
        except BaseException:
            with contextlib.suppress(DiskError):  # the first error is the one to tell
                self._conclude(plan, scan, placer, placed, removed)
            raise
        self._conclude(plan, scan, placer, placed, removed)
        self._staging.release(done)
        return Report(
            kept=len(plan.keep),
            placed=tuple(done),
            fetched=tuple(wanted for wanted in plan.fetch if wanted.sha256 not in failed),
            removed=tuple(removed),
            left={**left, **{item.spot: item.reason for item in plan.left}},
            moved_aside=aside,
            failures=dict(sorted(lost.items())),
        )

    def _conclude(self, plan: Plan, scan: Scan, placer: Placer, placed: Sequence[Row], removed: Sequence[str]) -> None:
        """Make what was done durable and remember it."""
        gone = (*removed, *(item.spot for item in plan.left))
        try:
            placer.flush()
        finally:
            self._save(rows_after(scan.rows, placed, gone), placer.folders)

    def _asides(self, plan: Plan, lost: Mapping[str, FetcherError]) -> list[str]:
        """Obstacles of models that will be placed, in the plan's order."""
        spots = [wanted.spot for wanted in plan.place if wanted.model not in lost]
        return [o for o in plan.aside if any(spot == o or spot.startswith(f"{o}/") for spot in spots)]

    def _place(
        self,
        plan: Plan,
        scan: Scan,
        placer: Placer,
        placed: list[Row],
        lost: Mapping[str, FetcherError],
        aside: Mapping[str, Path],
    ) -> list[Wanted]:
        done: list[Wanted] = []
        for wanted in plan.place:
            if wanted.model in lost:
                continue
            if self._stop.is_set():
                raise InterruptedRun(
                    "Interrupted; what was received is kept.",
                    facts=[f"placed: {len(done)} of {len(plan.place)} files"],
                )
            known = None if wanted.spot in aside else scan.rows.get(wanted.spot)
            placed.append(placer.place(wanted, self._staging.object_path(wanted), known))
            done.append(wanted)
        return done

    def _remove(self, plan: Plan, scan: Scan, placer: Placer, removed: list[str]) -> dict[str, str]:
        left: dict[str, str] = {}
        for leftover in plan.remove:
            if placer.remove(leftover, scan.rows[leftover.spot]):
                removed.append(leftover.spot)
            else:
                left[leftover.spot] = "changed while fetcher was at work"
        return left

    def _save(self, rows: Mapping[str, Row], folders: Iterable[str]) -> None:
        make_state_folder(self._state)
        self._index.save(rows, folders)


def make_state_folder(state: Path) -> None:
    """Make `.fetcher/`, which git is to ignore."""
    make_folder(state)
    with disk_errors(state):
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def fetch_request(
    wanted: Wanted, model: LockedModel, candidates: Callable[[SourceRef], tuple[Source, ...]]
) -> FetchRequest:
    """The places where a wanted file can be had: its source and mirrors, then its fallbacks."""
    homes = [(model.source, model.commit), *((pin.source, pin.commit) for pin in model.fallback)]
    return FetchRequest(
        label=wanted.label,
        sha256=wanted.sha256,
        size=wanted.size,
        candidates=tuple(
            Candidate(
                source=source,
                address=RemoteAddress(ref=ref, commit=commit, path=wanted.path, size=wanted.size, sha256=wanted.sha256),
            )
            for ref, commit in homes
            for source in candidates(ref)
        ),
    )
