"""How the files of each model stand on the disk, in numbers; what `fetcher status` says.  Pure.

Promise (tests/core/test_standing.py): every file of a model is counted once, beside the total.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fetcher.core.lock import LockedModel
from fetcher.core.plan import Look, Plan, State, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One model's files beside the lock; sizes in bytes.

    Attributes:
        files: How many belong to it, with the names that lead to a snapshot; each of them is one of the next six.
        right: As locked.
        missing: Not there.
        outdated: Of an earlier lock, untouched since.
        damaged: Changed by the disk: their size and date are as fetcher wrote them.
        edited: Written by fetcher, changed since: yours now.
        in_the_way: Something else that fetcher did not write.
        size: Of all its files.
        fetch_size: What would be fetched for it.
    """

    name: str
    files: int
    right: int
    missing: int
    outdated: int
    damaged: int
    edited: int
    in_the_way: int
    size: int
    fetch_size: int

    def is_synced(self) -> bool:
        """Whether every file is as locked."""
        return self.right == self.files


def standings(
    models: Mapping[str, LockedModel], wanted: Iterable[Wanted], looks: Mapping[str, Look], plan: Plan
) -> list[Standing]:
    """A standing for each model that is in question."""
    found: dict[str, list[Look]] = {name: [] for name in models}
    for item in wanted:
        found[item.model].append(looks[item.spot])
    fetched = {name: sum(item.size for item in plan.fetch if item.model == name) for name in models}
    return [_standing(model, found[name], fetched[name]) for name, model in models.items()]


def _standing(model: LockedModel, looks: Sequence[Look], fetch_size: int) -> Standing:
    def count(state: State) -> int:
        return sum(look.state is state for look in looks)

    edited = sum(look.edited for look in looks)
    return Standing(
        name=model.name,
        files=len(looks),
        right=count(State.RIGHT),
        missing=count(State.ABSENT),
        outdated=count(State.OURS),
        damaged=count(State.DAMAGED),
        edited=edited,
        in_the_way=count(State.FOREIGN) - edited,
        size=model.size,
        fetch_size=fetch_size,
    )
