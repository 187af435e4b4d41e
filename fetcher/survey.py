"""The disk beside the lock: what a sync starts from, and all that `status` and `verify` need.

Changes nothing.  What is done about it is road.py's.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fetcher.core.cache import CachePlace, cache_places
from fetcher.core.choice import Choice, chosen_models, targets_of
from fetcher.core.lock import Lock, LockedModel
from fetcher.core.manifest import Layout
from fetcher.core.paths import ModelName
from fetcher.core.plan import Plan, Wanted, wanted_files
from fetcher.core.proof import Depth
from fetcher.core.standing import Standing, standings
from fetcher.disk.names import settled, snapshot_folder
from fetcher.disk.scan import Scan
from fetcher.disk.targets import real_targets
from fetcher.disk.unmanaged import Beside, look_beside
from fetcher.sync import Workplace


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The disk beside the lock.

    Attributes:
        homes: Every file of the lock with its model, also of models that are not in question.
        undesired: Models that are not in question, because of `default-groups`.
    """

    wanted: tuple[Wanted, ...]
    models: Mapping[str, LockedModel]
    homes: tuple[tuple[Wanted, LockedModel], ...]
    scan: Scan
    plan: Plan
    undesired: tuple[ModelName, ...] = ()

    def beside(self, root: Path) -> Beside:
        """What lies in the folders of the wanted files and is neither the lock's nor fetcher's."""
        known = {item.spot for item, _ in self.homes} | self.scan.rows.keys()
        return look_beside(root, self.wanted, known)

    def standings(self) -> list[Standing]:
        """How the files of each model stand."""
        return standings(self.models, self.wanted, self.scan.local.looks, self.plan)

    def with_plan(self, plan: Plan) -> "Survey":
        """The same survey with another plan."""
        return replace(self, plan=plan)


class Surveyor:
    """Looks at one project's disk.

    Args:
        root: The project's folder.
        layout: Where models go, and their groups.
        reserved: Spots of the project's own files.
    """

    def __init__(self, *, root: Path, layout: Layout, reserved: Collection[str], workplace: Workplace) -> None:
        self._root = root
        self._layout = layout
        self._reserved = reserved
        self._workplace = workplace

    def everything(self, lock: Lock) -> list[Wanted]:
        """Every file of the lock with its spot.

        Raises:
            ConfigError: Two models want one spot, or one that is not theirs; a target leads
                into a folder of git or of fetcher.
        """
        targets = targets_of(lock, self._layout, self._root)
        caches = self._cache_places(lock, targets)
        real = real_targets(targets, self._root)
        if real != targets:  # one file under two names is refused
            wanted_files(lock.models.values(), real, caches=caches, reserved=self._reserved)
        return wanted_files(lock.models.values(), targets, caches=caches, reserved=self._reserved)

    def folder(self, lock: Lock, name: ModelName) -> Path:
        """Where the files of a locked model go."""
        return snapshot_folder(lock, self._layout, self._root, name)

    def _cache_places(self, lock: Lock, targets: Mapping[str, str]) -> dict[str, CachePlace]:
        return settled(cache_places(lock, self._layout), targets, self._root)

    def look(self, lock: Lock, choice: Choice) -> Survey:
        """Look and plan; trusts the index where it can be trusted."""
        return self._survey(lock, choice, self._workplace.look)

    def look_closely(self, lock: Lock, choice: Choice, depth: Depth) -> Survey:
        """Look and plan, with every file hashed, or a sample."""
        return self._survey(lock, choice, partial(self._workplace.look_closely, depth=depth))

    def _survey(self, lock: Lock, choice: Choice, look: Callable[..., Scan]) -> Survey:
        everything = self.everything(lock)
        names = chosen_models(lock, choice, self._layout)
        wanted = tuple({item.spot: item for item in everything if item.model in names}.values())
        elsewhere = {item.spot for item in everything if item.model not in names}
        scan = look(
            wanted,
            models=None if choice.is_open else (*names, *choice.gone),
            others=lock.models.keys() - set(names),
            elsewhere=elsewhere,
        )
        return Survey(
            wanted=wanted,
            models={name: lock.models[name] for name in names},
            homes=tuple((item, lock.models[ModelName(item.model)]) for item in everything),
            scan=scan,
            plan=self._workplace.plan(wanted, scan.local),
            undesired=tuple(name for name in lock.models if name not in names) if choice.is_open else (),
        )
