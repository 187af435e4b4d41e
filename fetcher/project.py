"""A folder with models.toml: loads, saves, wires sources; the door for programs.

Promises (tests/test_project.py):
  * models.lock is written through a temporary file, and only if its bytes differ;
  * nothing here asks the network unless a model must be resolved or bytes are missing.
"""

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Events, FetchRequest, NoEvents
from fetcher.core.lock import Lock, LockedModel, Staleness, staleness
from fetcher.core.lockdiff import ModelChange, compare_locks
from fetcher.core.manifest import Endpoint, Manifest
from fetcher.core.paths import ModelName
from fetcher.core.plan import Plan, Wanted, wanted_files
from fetcher.core.retry import RetrySchedule
from fetcher.disk.atomic import write_atomic
from fetcher.disk.claim import claim
from fetcher.disk.scan import Scan
from fetcher.disk.staging import Staging
from fetcher.disk.store import Store
from fetcher.disk.tokens import TokenStore
from fetcher.errors import BusyError, ConfigError, DifferenceError, DiskError, FetcherError
from fetcher.formats.lock_toml import LockText, read_lock, write_lock
from fetcher.formats.manifest_toml import read_manifest
from fetcher.resolve import KEEP_PINS, Upgrade, resolve, unknown_models
from fetcher.settings import Settings
from fetcher.sources.catalog import Catalog
from fetcher.sync import Report, Workplace, fetch_request, make_state_folder
from fetcher.transfer import Job, StoreHasher, TransferSettings, require_space, run_transfer

MANIFEST = "models.toml"
_PATIENCE_S = 1.0  # of waiting in silence for another fetcher


@dataclass(frozen=True, slots=True, kw_only=True)
class LockChange:
    """What `lock` would write, and how it differs from what is there."""

    lock: Lock
    text: str
    changes: tuple[ModelChange, ...]
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The disk beside the lock: what a sync starts from.

    Attributes:
        homes: Every file of the lock with its model, also of models that are not in question.
    """

    wanted: tuple[Wanted, ...]
    models: Mapping[str, LockedModel]
    homes: tuple[tuple[Wanted, LockedModel], ...]
    scan: Scan
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which models a command is about.

    Attributes:
        names: NAMEs; empty is all.
        groups: Group names; empty is all.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def is_everything(self) -> bool:
        """Whether nothing was left out, so that leftovers of removed models count too."""
        return not (self.names or self.groups)


EVERYTHING = Choice()


@dataclass(kw_only=True)
class Project:
    """One models.toml with its lock, its targets and its state.

    Attributes:
        root: The folder of the manifest; targets are relative to it.
        manifest_path: Usually `root / "models.toml"`.
        events: Watches what happens.
        stop: Set it to end a transfer with its state saved.
    """

    root: Path
    manifest_path: Path
    settings: Settings
    events: Events = field(default_factory=NoEvents)
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def find(
        cls,
        start: Path | None = None,
        *,
        manifest: str = MANIFEST,
        settings: Settings | None = None,
        events: Events | None = None,
    ) -> "Project":
        """The project of a folder or of the nearest folder above it that has a manifest.

        Raises:
            ConfigError: There is none.
        """
        begin = (start or Path.cwd()).absolute()
        if manifest.endswith(".lock"):
            raise ConfigError(
                f"{manifest} is a lock, not a manifest.",
                fix=f"name the manifest: {manifest.removesuffix('.lock')}.toml",
            )
        for folder in (begin, *begin.parents):
            if os.path.isfile(folder / manifest):
                return cls(
                    root=folder,
                    manifest_path=folder / manifest,
                    settings=settings or Settings.of(os.environ),
                    events=events or NoEvents(),
                )
        raise ConfigError(
            f"There is no {manifest} in {begin} or in a folder above it.",
            fix="run `fetcher init` to write one, or name the folder with -C",
        )

    @property
    def lock_path(self) -> Path:
        """models.lock, or other.lock for `--manifest other.toml`."""
        return self.manifest_path.with_suffix(".lock")

    @property
    def state(self) -> Path:
        """The `.fetcher` folder."""
        return self.root / ".fetcher"

    @cached_property
    def manifest(self) -> Manifest:
        """models.toml, read once.

        Raises:
            ConfigError: With file, line, key and fix.
        """
        return read_manifest(_read(self.manifest_path), file=self.manifest_path.name)

    def lock_text(self) -> LockText | None:
        """models.lock as it is now; None if there is none."""
        if not self.lock_path.exists():
            return None
        return read_lock(_read(self.lock_path), file=self.lock_path.name)

    def staleness(self) -> list[Staleness]:
        """Every field in which the lock differs from what the manifest asks for."""
        known = self.lock_text()
        return staleness(self.manifest, known.lock if known else Lock())

    def fresh_lock(self) -> Lock:
        """The lock, if it is what the manifest asks for.

        Raises:
            DifferenceError: It is missing or stale; says in which fields.
        """
        known = self.lock_text()
        if known is None:
            raise DifferenceError(f"There is no {self.lock_path.name} yet.", fix="run `fetcher lock`")
        found = staleness(self.manifest, known.lock)
        if found:
            raise DifferenceError(
                f"{self.lock_path.name} is not what {self.manifest_path.name} asks for.",
                facts=[str(item) for item in found],
                fix="run `fetcher lock`",
            )
        return known.lock

    def frozen_lock(self) -> Lock:
        """The lock as it is, whatever the manifest says.

        Raises:
            DifferenceError: There is none.
            ConfigError: A section is not as `fetcher lock` wrote it.
        """
        known = self.lock_text()
        if known is None:
            raise DifferenceError(f"There is no {self.lock_path.name} yet.", fix="run `fetcher lock`")
        broken = [name for name, model in known.lock.models.items() if not model.is_intact()]
        if broken:
            raise ConfigError(
                f"{self.lock_path.name} was changed by hand or merged wrongly.",
                facts=[f"seal or tree does not fit: {name}" for name in broken],
                fix="run `fetcher lock`",
            )
        return known.lock

    def resolve(self, upgrade: Upgrade = KEEP_PINS) -> LockChange:
        """Ask the sources what the manifest means now.  Writes nothing."""
        known = self.lock_text()
        before = known.lock if known else Lock()
        with closing(self._catalog()) as catalog:
            after = resolve(self.manifest, before, catalog, hasher=self._hasher(), upgrade=upgrade, events=self.events)
        wanted_files(after.models.values(), self._targets(after), reserved=self._own_spots())
        text = write_lock(after, known)
        differs = known is None or text != _read(self.lock_path)
        return LockChange(lock=after, text=text, changes=tuple(compare_locks(before, after)), differs=differs)

    def save_lock(self, change: LockChange) -> bool:
        """Write models.lock if its bytes differ; returns whether it was written."""
        if change.differs:
            write_atomic(self.lock_path, change.text.encode("utf-8"))
        return change.differs

    def survey(self, lock: Lock, choice: Choice = EVERYTHING) -> Survey:
        """Look at the disk and plan; trusts the index where it can be trusted."""
        return self._survey(lock, choice, self._workplace().look)

    def verify(self, lock: Lock, choice: Choice = EVERYTHING) -> Survey:
        """Look at the disk with every file hashed, and remember what was found."""
        survey = self._survey(lock, choice, self._workplace().look_closely)
        if self.state.exists():
            self.remember(survey)
        return survey

    def _survey(self, lock: Lock, choice: Choice, look: Callable[..., Scan]) -> Survey:
        everything = wanted_files(lock.models.values(), self._targets(lock), reserved=self._own_spots())
        names = self._chosen(lock, choice)
        wanted = tuple(item for item in everything if item.model in names)
        elsewhere = {item.spot for item in everything if item.model not in names}
        scan = look(wanted, models=None if choice.is_everything() else names, elsewhere=elsewhere)
        models: dict[str, LockedModel] = {name: model for name, model in lock.models.items() if name in names}
        return Survey(
            wanted=wanted,
            models=models,
            homes=tuple((item, lock.models[ModelName(item.model)]) for item in everything),
            scan=scan,
            plan=self._workplace().plan(wanted, scan.local),
        )

    def forced(self, survey: Survey) -> Survey:
        """The survey whose plan moves aside what is in the way."""
        return self.with_plan(survey, self._workplace().force(survey.plan))

    def with_plan(self, survey: Survey, plan: Plan) -> Survey:
        """The same survey with another plan."""
        return replace(survey, plan=plan)

    def remember(self, survey: Survey) -> None:
        """Save what the look found out, so that it need not be hashed again.

        A help for later runs only: where the disk refuses, or another fetcher is at work, nothing is saved.
        """
        if not (survey.wanted or self.state.exists()):
            return
        with suppress(DiskError, BusyError):
            make_state_folder(self.state)
            with claim(self.state / "claim", wait_s=0, what=self.root.name):
                self._workplace().remember(survey.scan, survey.plan)

    def prove_stored(self, survey: Survey) -> Survey:
        """Prove the objects that would be placed; the plan fetches those that are damaged."""
        return self.with_plan(survey, self._workplace().prove_stored(survey.plan))

    def carry_out(self, survey: Survey) -> Report:
        """Fetch, place and remove what the plan says.

        Raises:
            DiskError: Not enough room, before the first byte.
            InterruptedRun: `stop` was set; what was received is kept.
        """
        by_digest: dict[Sha256, list[tuple[Wanted, LockedModel]]] = {}
        for home in survey.homes:
            by_digest.setdefault(home[0].sha256, []).append(home)
        with closing(self._catalog()) as catalog:

            def request(wanted: Wanted) -> FetchRequest:
                homes = sorted(by_digest[wanted.sha256], key=lambda home: home[0] is not wanted)
                return fetch_request(wanted, homes, catalog.places)

            return self._workplace().carry_out(survey.plan, survey.scan, self._fetch, request)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other fetchers from changing this project meanwhile.

        Raises:
            BusyError: Another one does, for longer than the wait.
        """
        make_state_folder(self.state)
        what = f"the project {self.root.name}"
        with ExitStack() as stack:
            try:
                stack.enter_context(
                    claim(self.state / "claim", wait_s=min(_PATIENCE_S, self.settings.wait_s), what=what)
                )
            except BusyError:
                if self.settings.wait_s <= _PATIENCE_S:
                    raise
                self.events.note(f"waiting for another fetcher that is at work on {what}; Ctrl-C gives up")
                rest_s = self.settings.wait_s - _PATIENCE_S
                stack.enter_context(claim(self.state / "claim", wait_s=rest_s, what=what))
            yield

    def path(self, name: str, file: str | None = None) -> Path:
        """Where a model's files are, or one of them.

        Raises:
            ConfigError: The lock has no such model or no such file.
            DifferenceError: The model is not locked yet, or not all of it is there.
        """
        lock = self.frozen_lock()
        model = lock.models.get(name)  # type: ignore[call-overload]
        if model is None and name in self.manifest.models:
            raise DifferenceError(
                f"{self.lock_path.name} has no model {name} yet.", fix="run `fetcher lock`, then `fetcher sync`"
            )
        if model is None:
            raise unknown_models([name], lock.models)
        folder = self.root / self._targets(lock)[name]
        if file is None:
            missing = [item.path for item in model.files if not os.path.lexists(folder / item.path)]
            if missing:
                raise DifferenceError(
                    f"{len(missing)} of {len(model.files)} files of {name} are not there yet.",
                    facts=[f"missing: {path}" for path in missing[:5]],
                    fix=f"run `fetcher sync {name}`",
                )
            return folder
        if file not in {item.path for item in model.files}:
            raise ConfigError(
                f"{self.lock_path.name} has no file {file} in {name}.", fix=f"run `fetcher path {name}` for the folder"
            )
        return folder / file

    def _fetch(self, wanted: Sequence[tuple[FetchRequest, Wanted]]) -> Mapping[Sha256, FetcherError]:
        staging = self._staging()
        jobs = [Job(request=request, store=staging.store_for(item)) for request, item in wanted]
        require_space(jobs)
        settings = replace(self._transfer_settings(), keep_going=self.settings.keep_going)
        outcomes = run_transfer(jobs, settings=settings, events=self.events, stop=self.stop)
        return {outcome.request.name: outcome.error for outcome in outcomes if outcome.error}

    def _hasher(self) -> StoreHasher:
        return StoreHasher(
            Store(self.settings.store), settings=self._transfer_settings(), events=self.events, stop=self.stop
        )

    def _transfer_settings(self) -> TransferSettings:
        return TransferSettings(
            jobs=self.settings.jobs,
            connections=self.settings.connections,
            limit_rate=self.settings.limit_rate,
            idle_timeout_s=self.settings.idle_timeout_s,
            retry=RetrySchedule(attempts=self.settings.retries),
            keep_going=False,
        )

    def _chosen(self, lock: Lock, choice: Choice) -> Collection[str]:
        unknown = [name for name in choice.names if name not in lock.models]
        if unknown:
            raise unknown_models(unknown, lock.models)
        known_groups = {group for spec in self.manifest.models.values() for group in spec.groups}
        strange = [group for group in choice.groups if group not in known_groups]
        if strange:
            raise ConfigError(
                f"No model is in the group {', '.join(strange)}.",
                fix=f"name one of: {', '.join(sorted(known_groups)) or 'none (models.toml has no groups)'}",
            )
        grouped = {
            name
            for name, spec in self.manifest.models.items()
            if not choice.groups or {*spec.groups} & {*choice.groups}
        }
        return [
            name
            for name in lock.models
            if (not choice.names or name in choice.names) and (not choice.groups or name in grouped)
        ]

    def _targets(self, lock: Lock) -> dict[str, str]:
        specs = self.manifest.models
        targets = {name: specs[name].target if name in specs else f"models/{name}" for name in lock.models}
        return {name: self._spot_of(target) for name, target in targets.items()}

    def _spot_of(self, target: str) -> str:
        """An absolute target below the project is the relative one, so that no file has two spots."""
        if not os.path.isabs(target):
            return target
        path = Path(os.path.normpath(target))
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def _own_spots(self) -> set[str]:
        return {self.manifest_path.name, self.lock_path.name, ".gitignore", ".gitattributes"}

    def _staging(self) -> Staging:
        return Staging(root=self.root, state=self.state, store=Store(self.settings.store))

    def _workplace(self) -> Workplace:
        return Workplace(
            root=self.root,
            state=self.state,
            index=_index_name(self.manifest_path.name),
            staging=self._staging(),
            events=self.events,
            stop=self.stop,
        )

    def _catalog(self) -> Catalog:
        return catalog_of(self.settings, self.manifest.sources)


def catalog_of(settings: Settings, endpoints: Mapping[str, Endpoint]) -> Catalog:
    """The sources that settings and `[sources]` of a manifest make."""
    return Catalog(
        endpoints=endpoints,
        environment=settings.environment,
        home=settings.home,
        stored=TokenStore(settings.logins),
        idle_timeout_s=settings.idle_timeout_s,
        retry=RetrySchedule(attempts=settings.retries),
    )


def _index_name(manifest: str) -> str:
    """Each manifest has its own index, so that two of one folder do not prune each other's files."""
    return "index.sqlite" if manifest == MANIFEST else f"index-{manifest}.sqlite"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path.name} is not UTF-8 text (byte {error.start}).", fix=f"save {path.name} as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}.", fix=f"check {path}") from None
