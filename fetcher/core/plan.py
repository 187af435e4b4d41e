"""Decide what a sync will do.  Pure: a lock and a look at the disk in, a plan out.

Nothing here reads a file, a clock, the network or the environment.  `sync --dry-run`
prints the plan and stops; there is no other dry-run code.

Promises, each with its property test in tests/core/test_plan.py:
  * every file of the lock is in exactly one of keep, place and blocked;
  * a file that fetcher did not write is never replaced and never removed;
  * a digest is fetched at most once, however many models want it;
  * planning again after the plan was carried out gives an empty plan;
  * what is wanted at another spot now is moved there, not fetched and not removed;
  * what a name leads to stays whole until the name leads elsewhere (tests/test_cache_layouts.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from fetcher.core.cache import CachePlace
from fetcher.core.digest import Sha256
from fetcher.core.lock import LockedModel
from fetcher.core.moves import Leftover as Leftover
from fetcher.core.moves import Move, pair_moves
from fetcher.core.moves import State as State
from fetcher.core.moves import Wanted as Wanted
from fetcher.core.paths import fold, refuse_twins
from fetcher.errors import BlockedError, ConfigError, IntegrityError, OfflineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found at a spot.

    Attributes:
        reason: For FOREIGN: why fetcher must not touch it.
        obstacle: For FOREIGN: the spot of what is in the way (a parent, perhaps).
        leads_to: Where the obstacle leads, if it is a symlink where a folder is due.
        leads: For FOREIGN: whether it is a name of the wanted kind, which leads elsewhere.
        edited: For FOREIGN: whether fetcher wrote it, and somebody has changed it since.
    """

    state: State
    reason: str = ""
    obstacle: str = ""
    leads_to: str = ""
    leads: bool = False
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalState:
    """A look at the disk: each wanted spot, and what fetcher wrote elsewhere."""

    looks: Mapping[str, Look]
    leftovers: tuple[Leftover, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A wanted file whose spot is taken by something that is not fetcher's; `leads` as of its Look."""

    wanted: Wanted
    reason: str
    obstacle: str
    leads_to: str = ""
    leads: bool = False

    @property
    def fact(self) -> str:
        """One line that says what is in the way, and which target leads through it."""
        line = f"{self.obstacle}: {self.reason}"
        return f"{line} (models.toml: models.{self.wanted.model}.target)" if self.is_linked_target else line

    @property
    def is_linked_target(self) -> bool:
        """Whether the target itself is, or passes through, a symlink."""
        return bool(self.leads_to) and self.wanted.base.startswith(f"{self.obstacle}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The difference between lock and disk.

    Attributes:
        keep: Right already.
        move: fetcher's own, wanted at another spot now.
        fetch: One wanted file for each digest that is not in the store.
        place: To appear or to be replaced, whether fetched first or not.
        blocked: Needs the user.
        aside: Obstacles to be moved into the trash first (`forced`).
        remove: fetcher's own, no longer wanted.
        left: fetcher's once, edited since, no longer wanted: stays, and is said.
        offered: Digests that a file on this disk can give, and its spot before the sync.
    """

    keep: tuple[Wanted, ...] = ()
    move: tuple[Move, ...] = ()
    fetch: tuple[Wanted, ...] = ()
    place: tuple[Wanted, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    aside: tuple[str, ...] = ()
    remove: tuple[Leftover, ...] = ()
    left: tuple[Leftover, ...] = ()
    offered: Mapping[Sha256, str] = field(default_factory=dict)

    @property
    def fetch_size(self) -> int:
        """Bytes to come."""
        return sum(wanted.size for wanted in self.fetch)

    def is_empty(self) -> bool:
        """Whether there is nothing to do and nothing in the way."""
        return not (self.move or self.place or self.blocked or self.remove)

    def without_remove(self) -> "Plan":
        """The same plan that removes nothing; what would be moved gets a second name."""
        place = (*(move.wanted for move in self.move), *self.place)
        return replace(self, move=(), place=place, remove=())

    def without_models(self, names: Collection[str]) -> "Plan":
        """The same plan without what it would do for some models."""
        place = tuple(wanted for wanted in self.place if wanted.model not in names)
        needed = {wanted.sha256 for wanted in place}
        return replace(
            self,
            move=tuple(move for move in self.move if move.wanted.model not in names),
            fetch=tuple(wanted for wanted in self.fetch if wanted.sha256 in needed),
            place=place,
            blocked=tuple(blocked for blocked in self.blocked if blocked.wanted.model not in names),
            aside=tuple(spot for spot in self.aside if any(_is_at_or_below(w.spot, spot) for w in place)),
            remove=tuple(item for item in self.remove if item.model not in names),
        )

    def blocked_models(self) -> dict[str, BlockedError]:
        """The models in whose way something stands, each with its error."""
        names = sorted({blocked.wanted.model for blocked in self.blocked})
        return {name: _blocked_error([b for b in self.blocked if b.wanted.model == name]) for name in names}

    def require_free_way(self) -> None:
        """Refuse to touch what is not fetcher's.

        Raises:
            BlockedError: With the list of what is in the way.
        """
        if self.blocked:
            raise _blocked_error(self.blocked)

    def require_no_fetch(self) -> None:
        """Refuse to need the network.

        Raises:
            OfflineError: With the list of what is missing.
        """
        if not self.fetch:
            return
        facts = [f"missing: {wanted.label} ({wanted.size} bytes)" for wanted in self.fetch[:10]]
        if len(self.fetch) > len(facts):
            facts.append(f"and {len(self.fetch) - len(facts)} more")
        many = "1 file is" if len(self.fetch) == 1 else f"{len(self.fetch)} files are"
        raise OfflineError(
            f"{many} not on this machine, and the network is not to be used.",
            facts=facts,
            fix="run `fetcher sync` once without --offline",
        )


def wanted_files(
    models: Iterable[LockedModel],
    targets: Mapping[str, str],
    *,
    caches: Mapping[str, CachePlace] = MappingProxyType({}),
    reserved: Collection[str] = (),
) -> list[Wanted]:
    """Every file of the models with the spot where it belongs, then the names that lead to snapshots.

    Two models may want one name, if it leads to the same snapshot.

    Args:
        models: From the lock.
        targets: NAME to target folder, with `/`; relative to the project, or absolute.
        caches: NAME to the place below the target, of models that are laid out as in a cache.
        reserved: Spots of the project's own files, which no model may have.

    Raises:
        ConfigError: Two models own the same file, or one wants a file of the project itself.
        IntegrityError: One digest has two sizes.
    """
    found: list[Wanted] = []
    names: list[Wanted] = []
    for model in models:
        target = targets[model.name].rstrip("/")
        base = "" if target == "." else f"{target}/"
        place = caches.get(model.name)
        inner = place.folder if place else ""
        above = f"{base}{inner}/" if inner else base
        found.extend(
            Wanted(
                model=model.name,
                path=file.path,
                spot=f"{above}{file.path}",
                sha256=file.sha256,
                size=file.size,
                inner=inner,
            )
            for file in model.files
        )
        names.extend(place.names(model, base) if place else ())
    _refuse_two_sizes(found)
    _refuse_reserved_spots(found, reserved)
    _refuse_shared_spots([*found, *{(name.spot, name.text): name for name in names}.values()])
    return [*found, *names]


def make_plan(
    wanted: Sequence[Wanted],
    local: LocalState,
    stored: Collection[Sha256],
    *,
    offered: Mapping[Sha256, str] = MappingProxyType({}),
) -> Plan:
    """Compare what is wanted with what is there.

    Args:
        wanted: Files of the lock.
        local: A look at each wanted spot, and the leftovers.
        stored: Digests that the store holds.
        offered: Digests that files kept elsewhere (the trash) can give, and where.
    """
    keep: list[Wanted] = []
    place: list[Wanted] = []
    blocked: list[Blocked] = []
    aside: list[str] = []
    for item in wanted:
        look = local.looks[item.spot]
        if look.state is State.RIGHT:
            keep.append(item)
        elif look.state is State.FOREIGN:
            obstacle = look.obstacle or item.spot
            blocked.append(
                Blocked(wanted=item, reason=look.reason, obstacle=obstacle, leads_to=look.leads_to, leads=look.leads)
            )
        else:
            place.append(item)
            if look.state is State.DAMAGED:
                aside.append(item.spot)
    own = [item for item in local.leftovers if item.state in (State.OURS, State.RIGHT)]
    led_to = {item.model for item in wanted if item.is_name}
    free = (item for item in place if local.looks[item.spot].state is State.ABSENT and not item.is_name)
    moves = pair_moves(free, (item for item in own if item.model not in led_to))
    arriving, moving = {move.wanted.spot for move in moves}, {move.origin for move in moves}
    place = [item for item in place if item.spot not in arriving]
    given = {**offered, **{item.sha256: item.spot for item in own if item.sha256}}
    return Plan(
        keep=tuple(keep),
        move=moves,
        fetch=_missing(place, {*stored, *given}),
        place=tuple(place),
        blocked=tuple(blocked),
        aside=tuple(aside),
        remove=tuple(item for item in own if item.spot not in moving),
        left=tuple(item for item in local.leftovers if item.state in (State.FOREIGN, State.DAMAGED)),
        offered=given,
    )


def _is_at_or_below(spot: str, obstacle: str) -> bool:
    return spot == obstacle or spot.startswith(f"{obstacle}/")


def force(plan: Plan, stored: Collection[Sha256]) -> Plan:
    """The plan that moves everything in the way into the trash and goes on."""
    place = (*plan.place, *(blocked.wanted for blocked in plan.blocked))
    aside = dict.fromkeys((*plan.aside, *(blocked.obstacle for blocked in plan.blocked)))
    fetch = _missing(place, {*stored, *plan.offered})
    return replace(plan, fetch=fetch, place=place, blocked=(), aside=tuple(aside))


def take_names(plan: Plan) -> Plan:
    """The plan that moves aside what has a wanted name and leads elsewhere, as a library's own client would."""
    taken = [blocked for blocked in plan.blocked if blocked.leads]
    return replace(
        plan,
        place=(*plan.place, *(blocked.wanted for blocked in taken)),
        blocked=tuple(blocked for blocked in plan.blocked if not blocked.leads),
        aside=(*plan.aside, *(blocked.obstacle for blocked in taken)),
    )


def fetch_again(plan: Plan, stored: Collection[Sha256]) -> Plan:
    """The same plan after the store has changed."""
    return replace(plan, fetch=_missing(plan.place, {*stored, *plan.offered}))


def _blocked_error(blocked: Sequence[Blocked]) -> BlockedError:
    facts = sorted({item.fact for item in blocked})
    verb, it = ("thing is", "it") if len(facts) == 1 else ("things are", "them")
    fix = f"move {it} away, or run `fetcher sync --force` to have {it} moved into .fetcher/trash/"
    if any(item.is_linked_target for item in blocked):
        fix = f"{fix}; or write where the link leads as an absolute `target`"
    return BlockedError(f"{len(facts)} {verb} in the way and not fetcher's to replace.", facts=facts, fix=fix)


def _missing(place: Iterable[Wanted], stored: Collection[Sha256]) -> tuple[Wanted, ...]:
    first: dict[Sha256, Wanted] = {}
    for item in place:
        if not item.is_name and item.sha256 not in stored:
            first.setdefault(item.sha256, item)
    return tuple(first.values())


def _refuse_two_sizes(wanted: list[Wanted]) -> None:
    sizes: dict[Sha256, Wanted] = {}
    for item in wanted:
        first = sizes.setdefault(item.sha256, item)
        if first.size != item.size:
            raise IntegrityError(
                "One sha256 is listed with two sizes.",
                facts=[f"{each.label}: {each.size} bytes" for each in (first, item)],
                fix="report it to the source, and leave the model out meanwhile",
            )


def _refuse_reserved_spots(wanted: list[Wanted], reserved: Collection[str]) -> None:
    own = {fold(spot) for spot in reserved}
    taken = [item for item in wanted if fold(item.spot) in own]
    if taken:
        raise ConfigError(
            "A model would replace a file of the project itself.",
            facts=[f"{item.label}: {item.spot}" for item in taken[:10]],
            fix="give the model a `target` of its own, or exclude the file, in models.toml",
        )


def _refuse_shared_spots(wanted: list[Wanted]) -> None:
    try:
        refuse_twins(item.spot for item in wanted)
    except ValueError as error:
        by_spot: dict[str, list[str]] = {}
        for item in wanted:
            by_spot.setdefault(fold(item.spot), []).append(item.label)
        twins = [" and ".join(labels) for labels in by_spot.values() if len(labels) > 1]
        raise ConfigError(
            "Two models own the same file.",
            facts=[*twins[:10], str(error)],
            fix="give one of them another `target` in models.toml",
        ) from None
