"""A folder with models.toml: saves, wires sources; the door for programs.  What reads it is pins.py.

Promises (tests/test_project.py, tests/api/test_project.py):
  * models.lock is written through a temporary file, and only if its bytes differ;
  * nothing here asks the network unless a model must be resolved or bytes are missing;
  * each of `lock`, `sync`, `plan`, `status` and `path` reads models.toml as it is then.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fetcher.core.cache import shared_caches
from fetcher.core.change import Usage
from fetcher.core.choice import USUAL, Choice, choice_of, chosen_models
from fetcher.core.interfaces import Events
from fetcher.core.lock import Lock, staleness
from fetcher.core.manifest import Endpoint, Layout
from fetcher.core.paths import ModelName
from fetcher.core.plan import Plan
from fetcher.core.proof import FULL, Depth
from fetcher.core.variables import Provided, model_variables
from fetcher.core.why import Why, why
from fetcher.disk.atomic import write_atomic
from fetcher.disk.copies import Copies
from fetcher.disk.index import Index
from fetcher.disk.ready import digest_of, index_name
from fetcher.disk.registry import KnownProject, Registry
from fetcher.disk.staging import Staging
from fetcher.disk.store import Store
from fetcher.disk.tidy import usage
from fetcher.disk.trash import Trash
from fetcher.errors import ConfigError, InterruptedRun
from fetcher.formats.manifest_toml import read_manifest
from fetcher.pins import Pins
from fetcher.places import locate
from fetcher.prepare import Pair, prepare_fresh
from fetcher.results import LockChange, Status
from fetcher.road import Guard, Road, Wishes, rooted
from fetcher.settings import MANIFEST, Settings
from fetcher.sources.caches import cache_variables, official_caches, own_caches
from fetcher.survey import Survey, Surveyor
from fetcher.sync import Report, Workplace
from fetcher.watch import Event, Listener

if TYPE_CHECKING:
    from fetcher.core.outdated import Outlook
    from fetcher.core.preview import Preview
    from fetcher.pinner import Pinner
    from fetcher.resolve import Upgrade
    from fetcher.undo import Undone


@dataclass(kw_only=True)
class Project(Pins):
    """One models.toml with its lock, its targets and its state.

    Attributes:
        stop: Set it, from any thread, to end a run with its state saved; the run clears it.
        guard: Entered around the part of a sync that `stop` ends.
        listener: Says what the function that watches has raised.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    guard: Guard = nullcontext
    listener: Listener | None = None

    @classmethod
    def find(
        cls,
        start: str | os.PathLike[str] | None = None,
        *,
        manifest: str = MANIFEST,
        settings: Settings | None = None,
        events: Events | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Self:
        """The project of a folder or of the nearest folder above it that has a manifest.

        Args:
            start: A folder, or a file in it, such as `__file__`; None is the current folder.
            manifest: Name of the manifest.
            settings: None is what the environment says.
            events: Watches what happens, by a method for each kind of event.
            on_event: The same by one function, called by one thread at a time; what it raises
                ends the run with its state saved, and is raised by the method that was called.

        Raises:
            ConfigError: There is none.
        """
        listener = Listener(on_event) if on_event else None
        found = super().find(start, manifest=manifest, settings=settings, events=listener or events)
        if listener:
            found.listener, found.stop = listener, listener.stop
        return found

    @property
    def state(self) -> Path:
        """The `.fetcher` folder."""
        return self.root / ".fetcher"

    @cached_property
    def layout(self) -> Layout:
        """As that of the pins, with the official libraries' own caches for models that have a layout and no target."""
        return super().layout.with_own_caches(own_caches(self.settings.environment, self.settings.home))

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """`[sources]`, with paths that do not depend on the current folder."""
        return rooted(self.manifest.sources, self.root)

    def lock(self, upgrade: bool | Iterable[str] = False) -> LockChange:  # noqa: FBT001, FBT002  as pip and uv name it
        """Pin every file of every model into models.lock, and write it if its bytes differ; `fetcher lock`.

        Args:
            upgrade: Move the pins of all models, or of the models named, to what the sources have now.

        Raises:
            ConfigError: models.toml or models.lock cannot be used, or a name is no model.
            NotFoundError: A repository, a revision or a file does not exist.
            PolicyError: The lock would break the policy; it is not written.
            FetcherError: A source does not answer, wants a token or lies.
        """
        from fetcher.resolve import Upgrade

        self._reread()
        names = None if upgrade is True else frozenset(_words(upgrade or ()))
        with self._listening():
            change = self.resolve(Upgrade(names=names) if upgrade else None)
        self.save_lock(change)
        return change

    def resolve(self, upgrade: "Upgrade | None" = None) -> LockChange:
        """Ask the sources what the manifest means now; merges a lock with conflict markers.  Writes nothing."""
        pinner = self._pinner()
        return pinner.all(upgrade) if upgrade else pinner.all()

    def with_manifest(self, text: str) -> Self:
        """The same project as if models.toml were this text, for a look before it is written.

        Raises:
            ConfigError: The text is no manifest.
        """
        other = replace(self)
        other.__dict__["manifest"] = read_manifest(text.replace("\r\n", "\n"), file=self.manifest_path.name)
        return other

    def resolve_only(self, name: ModelName) -> LockChange:
        """As `resolve`, for one model anew; every other section stays as it is.  Writes nothing."""
        return self._pinner().one(name)

    def without(self, names: Iterable[ModelName]) -> LockChange:
        """The lock without the sections of models; every other section stays as it is.  Writes nothing."""
        return self._pinner().without(names)

    def preview(self, name: ModelName) -> "Preview":
        """Which files a model of models.toml would have.  Asks its source for a listing; writes nothing."""
        return self._pinner().preview(name)

    def prune(self, names: Iterable[str]) -> Report:
        """Remove what fetcher has placed for models that are no longer declared, as a sync of everything would.

        Raises:
            BusyError, DiskError: As `sync`.
        """
        self._reread()
        known = self.lock_text()
        with self._listening():
            return self._road().sync(known.lock if known else Lock(), Wishes(choice=Choice(gone=_words(names))))

    def outdated(self, names: Iterable[str] = (), *, groups: Iterable[str] = ()) -> "list[Outlook]":
        """What the sources have now, beside what the lock pins; `fetcher outdated`.

        Args:
            names: Only these models; none is all.
            groups: Only the models of these groups.

        Raises:
            ConfigError, DifferenceError: No lock, or no such model or group.
            NotFoundError, AuthError, SourceError, IntegrityError: From the sources.
        """
        return self._pinner().outlooks(choice_of(names, groups).without_defaults())

    def save_lock(self, change: LockChange) -> bool:
        """Write models.lock if its bytes differ; returns whether it was written."""
        if change.differs:
            data = change.text.encode("utf-8")
            write_atomic(self.lock_path, data, within=self.root)
            self._digests[self.lock_path] = digest_of(data)
        pair = self._pair(change.lock) if self.state.exists() else None
        if pair:
            prepare_fresh(pair, self.state)
        return change.differs

    def sync(
        self,
        names: Iterable[str] = (),
        *,
        groups: Iterable[str] = (),
        all_groups: bool = False,
        frozen: bool = False,
        force: bool = False,
        prune: bool = True,
        offline: bool = False,
        keep_going: bool = False,
    ) -> Report:
        """Make the disk match the lock, moving only what is missing or changed; `fetcher sync`.

        Args:
            names: Only these models.
            groups: Only models of these groups.
            all_groups: All models; without any of the three those of `default-groups` and those in no group.
            frozen: Take the lock as it is, even if it is stale.
            force: Move what is in the way into `.fetcher/trash/`.
            prune: Remove what fetcher wrote and nothing wants any more.
            offline: Refuse to ask the network.
            keep_going: Do the other models when one fails; the report's `failures` say which did.

        Raises:
            DifferenceError: There is no lock, or it is stale.
            ConfigError: models.toml or models.lock cannot be used, or a name is no model.
            PolicyError: The lock breaks the policy.
            BlockedError: Something is in the way that is not fetcher's.
            OfflineError: `offline`, and something is missing that the network has.
            IntegrityError: Bytes are not what the lock says.
            SourceError, AuthError, NotFoundError: No source gives the bytes.
            BusyError: Another fetcher is at work for longer than the wait.
            DiskError: Not enough room, or the disk refuses.
            InterruptedRun: `stop` was set; what was received is kept.
        """
        wishes = Wishes(
            choice=choice_of(names, groups, all_groups=all_groups),
            force=force,
            prune=prune,
            offline=offline,
            keep_going=keep_going,
        )
        self._reread()
        lock = self._lock(frozen=frozen)
        with self._listening():
            return replace(self._road(), pair=self._pair(lock)).sync(lock, wishes)

    def status(self, names: Iterable[str] = (), *, groups: Iterable[str] = (), all_groups: bool = False) -> Status:
        """How the lock and the disk stand; `fetcher status`.  Asks no network, changes nothing.

        Raises:
            ConfigError: models.toml or models.lock cannot be used, or a name is no model.
        """
        self._reread()
        stale = tuple(self.staleness())
        known = self.lock_text()
        choice = choice_of(names, groups, all_groups=all_groups)
        survey = self.survey(known.lock, choice) if known else None
        unmanaged = survey.beside(self.root).spots if survey else ()
        return Status(is_locked=known is not None, stale=stale, survey=survey, unmanaged=unmanaged)

    def plan(
        self,
        names: Iterable[str] = (),
        *,
        groups: Iterable[str] = (),
        all_groups: bool = False,
        frozen: bool = False,
        force: bool = False,
        prune: bool = True,
    ) -> Plan:
        """What `sync` would do with the same arguments.  Changes nothing."""
        self._reread()
        wishes = Wishes(choice=choice_of(names, groups, all_groups=all_groups), force=force, prune=prune)
        return self._road().look(self._lock(frozen=frozen), wishes).plan

    def undo(self) -> "list[Undone]":
        """Put the last sync back, and those before it that did not end; empty where there is none.

        Raises:
            BlockedError: Files were changed since.
            BusyError: Another fetcher is at work on the project.
        """
        from fetcher.undo import Undoer

        index = Index(self.state / self._index)
        return self._road().undo(Undoer(root=self.root, index=index, staging=self._staging()))

    def trash_usage(self) -> Usage:
        """What `.fetcher/trash` holds."""
        trash = self._trash()
        return usage(trash.folder, trash.all())

    def survey(self, lock: Lock, choice: Choice = USUAL) -> Survey:
        """Look at the disk and plan; trusts the index where it can be trusted."""
        return self._road().surveyor.look(lock, choice)

    def verify(self, lock: Lock, choice: Choice = USUAL, depth: Depth = FULL) -> Survey:
        """Look at the disk with every file hashed, or a sample, and remember what was found.

        Raises:
            InterruptedRun: `stop` was set.
        """
        with self._listening():
            return self._road().verify(lock, choice, depth)

    def repair(self, lock: Lock, choice: Choice = USUAL, depth: Depth = FULL) -> tuple[Survey, Report]:
        """Verify, and mend what is missing or damaged; of a damaged file only the damaged chunks are fetched.

        What the user has edited stays, and is in the survey's plan as blocked.

        Raises:
            FetcherError: As `Road.sync` says.
        """
        with self._listening():
            return self._road().repair(lock, choice, depth)

    def path(self, name: str, file: str | None = None) -> Path:
        """Where a model's files are, or one of them; `fetcher path`.  Looks only whether they are there.

        Raises:
            ConfigError: The lock has no such model or no such file.
            DifferenceError: The model is not locked yet, or what was asked for is not there.
        """
        self._reread()
        return locate(self, name, file)

    def why(self, file: str | os.PathLike[str]) -> list[Why]:
        """Which models have a file, or why they have not; `fetcher why`.  Looks at the lock only.

        Args:
            file: A place on the disk; where no model's folder is above it, a path in a repository.

        Raises:
            DifferenceError: There is no lock.
        """
        self._reread()
        lock = self.frozen_lock()
        place = Path(os.path.normpath(Path(file).absolute()))
        folders = {name: Path(os.path.normpath(self._folder(lock, name))) for name in lock.models}
        found = [
            why(lock.models[name], place.relative_to(folder).as_posix())
            for name, folder in folders.items()
            if place != folder and place.is_relative_to(folder)
        ]
        known = [each for each in found if each.file]
        path = os.fspath(file).removeprefix("./")
        return known or found or [why(model, path) for model in lock.models.values()]

    def variables(
        self, names: Iterable[str] = (), *, groups: Iterable[str] = (), all_groups: bool = False
    ) -> dict[str, str]:
        """What tells a program where the models are; `fetcher env`.  Looks at no file of theirs.

        `FETCHER_MODEL_<NAME>` for each model, `HF_HUB_OFFLINE`, and where the caches are of models with a layout.

        Raises:
            ConfigError: No such model, or two of them share a variable.
            DifferenceError: There is no lock.
        """
        self._reread()
        lock = self.frozen_lock()
        chosen = chosen_models(lock, choice_of(names, groups, all_groups=all_groups), self.layout)
        provided = [Provided(name=name, folder=str(self._folder(lock, name))) for name in chosen]
        caches = shared_caches(chosen, self.layout)
        found = {layout: os.path.join(self.root, target) for layout, target in caches.items()}
        return {**model_variables(provided), **cache_variables(found)}

    def _folder(self, lock: Lock, name: ModelName) -> Path:
        """Where a locked model's files go."""
        return self._road().surveyor.folder(lock, name)

    def _reread(self) -> None:
        """Forget what models.toml said; a notebook's project lives longer than that."""
        for name in ("manifest", "layout"):
            self.__dict__.pop(name, None)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Around a run that `stop` may end: the next one begins without it."""
        try:
            with self.listener.heard() if self.listener else nullcontext():
                yield
        except InterruptedRun:
            self.stop.clear()
            raise

    def _pair(self, lock: Lock) -> Pair | None:
        """Manifest and lock as they were read, if the lock is what the manifest asks for.

        None as well where a variable says where files go, because the front room reads none.
        """
        try:
            targets = [spec.target for spec in self.manifest.models.values()]
            if None in targets or staleness(self.manifest, lock) or self.findings(lock):
                return None
        except ConfigError:
            return None
        return Pair(
            root=self.root,
            manifest=self.manifest_path.name,
            lock=self.lock_path.name,
            digests=(self._digests[self.manifest_path], self._digests[self.lock_path]),
        )

    def _lock(self, *, frozen: bool) -> Lock:
        lock = self.frozen_lock() if frozen else self.fresh_lock()
        self.require_allowed(lock)
        return lock

    def _pinner(self) -> "Pinner":
        from fetcher.pinner import Pinner  # what asks sources is not loaded by what only looks at the disk

        return Pinner(pins=self, endpoints=self.endpoints, surveyor=self._road().surveyor, stop=self.stop)

    def _registry(self) -> Registry:
        return Registry(self.settings.store / "projects")

    def _known(self) -> KnownProject:
        return KnownProject(root=self.root, lock=self.lock_path, index=self.state / index_name(self.manifest_path.name))

    def _copies(self) -> Copies:
        """Files of this and other projects, and of the folders that the settings name."""
        known = self._known()
        caches = official_caches(self.settings.environment, self.settings.home)
        return Copies(
            projects=lambda: [known, *(other for other in self._registry().all() if other != known)],
            folders=[*self.settings.adopt, *caches],
        )

    @property
    def _index(self) -> str:
        return index_name(self.manifest_path.name)

    def _staging(self) -> Staging:
        return Staging(root=self.root, state=self.state, store=Store(self.settings.store))

    def _trash(self) -> Trash:
        return Trash(root=self.root, folder=self.state / "trash", index=self._index)

    def _road(self) -> Road:
        staging = self._staging()
        workplace = Workplace(
            root=self.root,
            state=self.state,
            index=self._index,
            staging=staging,
            copies=self._copies(),
            events=self.events,
            stop=self.stop,
        )
        own = {self.manifest_path.name, self.lock_path.name, ".gitignore", ".gitattributes"}
        return Road(
            root=self.root,
            state=self.state,
            layout=self.layout,
            surveyor=Surveyor(root=self.root, layout=self.layout, reserved=own, workplace=workplace),
            workplace=workplace,
            staging=staging,
            register=lambda: self._registry().add(self._known()),
            trash=self._trash(),
            settings=self.settings,
            events=self.events,
            stop=self.stop,
            guard=self.guard,
        )


def _words(names: Iterable[str]) -> tuple[str, ...]:
    """Several names; one alone need not stand in a list."""
    return (names,) if isinstance(names, str) else tuple(names)
