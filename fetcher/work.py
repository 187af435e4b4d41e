"""What one sync does and has done: the plan cut to what is here, and the steps of its record.

Nothing here touches the disk; sync.py acts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.change import Act, Step
from fetcher.core.digest import Sha256
from fetcher.core.moves import Leftover, Move, Wanted
from fetcher.core.plan import Plan
from fetcher.disk.index import Row
from fetcher.disk.scan import Scan
from fetcher.disk.trash import former_of
from fetcher.errors import FetcherError


@dataclass(slots=True, kw_only=True)
class Work:
    """What a sync has done so far."""

    plan: Plan
    scan: Scan
    moved_aside: frozenset[str]
    failed: Mapping[Sha256, FetcherError] = field(default_factory=dict)
    placed: list[Row] = field(default_factory=list)
    done: list[Wanted] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    aside: dict[str, Path] = field(default_factory=dict)

    def lost(self) -> dict[str, FetcherError]:
        """Models that lack a file, and why."""
        return {wanted.model: self.failed[wanted.sha256] for wanted in self.plan.place if wanted.sha256 in self.failed}

    def to_place(self) -> list[Wanted]:
        """Files of the models of which everything is here."""
        lost = self.lost()
        return [wanted for wanted in self.plan.place if wanted.model not in lost]

    def to_move(self) -> list[Move]:
        """Files of the models of which everything is here, that only have to change their spot."""
        lost = self.lost()
        return [move for move in self.plan.move if move.wanted.model not in lost]

    def arrived(self) -> list[Wanted]:
        """Files that were moved."""
        return [move.wanted for move in self.plan.move if move.origin in self.moved]

    def obstacles(self) -> list[str]:
        """What is in the way of the models that will be placed, in the plan's order."""
        if not self.plan.aside:
            return []
        reached = {spot for wanted in self.to_place() for spot in upwards(wanted.spot)}
        return [spot for spot in self.plan.aside if spot in reached]

    def to_remove(self) -> list[Leftover]:
        """Nothing of a model is removed before all of it is placed."""
        lost, obstacles = self.lost(), set(self.obstacles())
        return [
            item for item in self.plan.remove if item.model not in lost and obstacles.isdisjoint(upwards(item.spot))
        ]

    def known(self, wanted: Wanted) -> Row | None:
        """The row of fetcher's own file that a wanted one replaces."""
        return None if wanted.spot in self.moved_aside else self.scan.rows.get(wanted.spot)

    def steps(self) -> list[Step]:
        """What will be done, in this order."""
        rows = self.scan.rows
        aside = [Step(act=Act.ASIDE, spot=spot) for spot in self.obstacles()]
        removed = [Step(act=Act.REMOVE, spot=item.spot, former=former_of(rows[item.spot])) for item in self.to_remove()]
        moved = [_step(move.wanted, rows[move.origin], Act.MOVE) for move in self.to_move()]
        placed = [_step(wanted, self.known(wanted), Act.REPLACE) for wanted in self.to_place()]
        return [*aside, *moved, *placed, *removed]


def _step(wanted: Wanted, known: Row | None, act: Act) -> Step:
    """One that brings a wanted file; without a known one before it, its spot is free."""
    return Step(
        act=Act.PLACE if known is None else act,
        spot=wanted.spot,
        model=wanted.model,
        sha256=wanted.sha256,
        size=wanted.size,
        origin=known.spot if known and act is Act.MOVE else "",
        former=former_of(known) if known else None,
    )


def upwards(spot: str) -> Iterator[str]:
    """The spot itself and every folder above it."""
    while spot:
        yield spot
        spot = spot.rpartition("/")[0]


def rows_below(rows: Iterable[str], folders: Collection[str]) -> list[str]:
    above = set(folders)
    return [spot for spot in rows if not above.isdisjoint(upwards(spot))] if above else []
