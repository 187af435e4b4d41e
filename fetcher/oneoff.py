"""One download without a manifest: the same resolver, the same engine, the same rules.

The wish becomes the `[models.NAME]` that would declare it; that is resolved and synced into a
folder of the caller's, or into a cache in which an official library looks.  What fetcher has
to remember of the folder stands in the user's store, so that nothing but the files is put there.

Promises (tests/test_oneoff.py, tests/test_layouts.py):
  * an unknown revision, a missing file and a pattern of include that matches nothing are errors;
  * what another download or somebody else has put into the folder stays;
  * a snapshot has its name only when all of its files are there.
"""

import hashlib
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from fetcher.core.cache import cache_repository
from fetcher.core.choice import EVERYTHING
from fetcher.core.interfaces import Events, NoEvents, RemoteFile
from fetcher.core.lock import Lock, LockedModel
from fetcher.core.manifest import (
    GIT_SCHEMES,
    HUB_KINDS,
    MODELSCOPE,
    CacheLayout,
    Endpoint,
    Layout,
    Manifest,
    ModelSpec,
    Requested,
    SourceRef,
)
from fetcher.core.plan import Plan
from fetcher.core.selection import Selection, select
from fetcher.disk.atomic import make_folder, write_atomic
from fetcher.disk.copies import Copies
from fetcher.disk.registry import Registry
from fetcher.disk.staging import Staging
from fetcher.disk.store import Store
from fetcher.disk.targets import require_users_folder
from fetcher.disk.trash import Trash
from fetcher.errors import ConfigError, FetcherError, NotFoundError, OfflineError
from fetcher.formats.lock_toml import read_lock, write_lock
from fetcher.formats.manifest_entry import Entry
from fetcher.formats.manifest_toml import read_manifest
from fetcher.formats.pages import cloned_repository, page_of
from fetcher.resolve import Upgrade, resolve
from fetcher.road import Guard, Road, Wishes, catalog_of, transfer_settings
from fetcher.settings import Settings
from fetcher.sources.caches import official_caches, own_caches
from fetcher.sources.environment import ENDPOINT_VARIABLES, environment_for
from fetcher.survey import Surveyor
from fetcher.sync import Report, Workplace
from fetcher.transfer import StoreHasher

_INDEX = "index.sqlite"
_IN_WORDS = (  # what a fix says of models.toml, and what it is for who has none
    (r"set `revision` in models\.toml to", "give as the revision"),
    (r"correct `files` of \[models\.\S+\] in models\.toml", "correct the names of the files"),
    (r"correct the patterns of \[models\.\S+\] in models\.toml", "correct the patterns"),
    (r"correct the name in `source`", "correct the name of the source"),
    (r"run `fetcher lock --upgrade` to pin what is there now", "run the same command again"),
    (r"run `fetcher sync` once without --offline", "run it once with the network"),
    (r"`fetcher sync` again", "the same command again"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a person has named.

    Attributes:
        revision: The one that the page shows whose address was given.
        files: The file that it shows.
    """

    source: SourceRef
    revision: str | None = None
    files: tuple[str, ...] = ()


def named(text: str, *, dataset: bool = False) -> Named:
    """What a person means by `OWNER/NAME`, a source string, or the address of a hub's page.

    Args:
        text: Without a scheme it means ModelScope.
        dataset: Whether a dataset is meant, named with or without `datasets/`.

    Raises:
        ConfigError: It is none of them.
    """
    page = page_of(text)
    if page:
        files = (page.file,) if page.file else ()
        return Named(source=source_of(page.source, dataset=dataset), revision=page.revision, files=files)
    return Named(source=source_of(cloned_repository(text) or text, dataset=dataset))


def source_of(text: str, *, dataset: bool = False) -> SourceRef:
    """What a person means by `OWNER/NAME`, or by a source string.

    Args:
        text: Without a scheme it means ModelScope.
        dataset: Whether a dataset is meant, named with or without `datasets/`.

    Raises:
        ConfigError: It is neither.
    """
    whole = text if ":" in text else f"{MODELSCOPE}:{text}"
    if dataset and "datasets/" not in whole:
        scheme, _, repo = whole.partition(":")
        whole = f"{scheme}:datasets/{repo}"
    try:
        return SourceRef.parse(whole)
    except ValueError as error:
        raise ConfigError(
            f"This is no source: {error}.", fix="write OWNER/NAME for ModelScope, or hf:OWNER/NAME for Hugging Face"
        ) from None


def with_hub(settings: Settings, source: SourceRef, *, endpoint: str | None, token: str | None) -> Settings:
    """Settings in which a hub has another address or token than the environment says.

    Raises:
        ConfigError: The source is of no hub.
    """
    if not (endpoint or token):
        return settings
    environment = environment_for(settings.environment, source.scheme, endpoint=endpoint, token=token)
    return replace(settings, environment=environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the files are to go.

    Attributes:
        local: This folder; wins over `cache`.
        cache: A folder for many repositories; None is the official library's own.
        layout: How `cache` is laid out; None is OWNER/NAME.
    """

    local: Path | None = None
    cache: Path | None = None
    layout: CacheLayout | None = None

    def declared_by(self, wish: Entry) -> Entry:
        """The entry with the target and the layout that bring the files here."""
        target, layout = (self.local, None) if self.local else (self.cache if self.layout else None, self.layout)
        return replace(wish, target=str(target) if target else None, layout=layout)

    def below(self, base: Path) -> "Destination":
        """The same, as seen from a folder."""
        local, cache = (base / each if each else None for each in (self.local, self.cache))
        return replace(self, local=local, cache=cache)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a download did.

    Attributes:
        folder: Where the files are.
    """

    folder: Path
    model: LockedModel
    report: Report


@dataclass(kw_only=True)
class OneOff:
    """One repository, some of its files, one destination.

    Attributes:
        wish: The entry of a models.toml that would declare it.
        endpoints: `[sources]` that `wish` may name.
        stop: Set it to end a transfer with its state saved.
        guard: Entered around the part that `stop` ends.
    """

    wish: Entry
    destination: Destination
    settings: Settings
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    events: Events = field(default_factory=NoEvents)
    stop: threading.Event = field(default_factory=threading.Event)
    guard: Guard = nullcontext

    @cached_property
    def spec(self) -> ModelSpec:
        """The wish, checked.

        Raises:
            ConfigError: It says what no models.toml may say.
        """
        manifest = read_manifest(f"version = 1\n{_sources_text(self.endpoints)}{self.wish.text}", file="the download")
        (spec,) = manifest.models.values()
        return replace(spec, target=".")

    def plan(self) -> tuple[Path, Plan]:
        """The folder, and what `run` would do there.  Asks the source; writes nothing there."""
        with own_words():
            lock = _lock_of(self._resolved())
            road = self._road()
            return self._folder(road, lock), road.look(lock, _WISHES).plan

    def run(self, *, offline: bool = False) -> Outcome:
        """Bring the files.

        Args:
            offline: Take what was asked for and found last time; ask nobody.

        Raises:
            NotFoundError: No such repository, revision or file, or a pattern that matches nothing.
            BlockedError: Something else stands where a file is to go.
            OfflineError: `offline`, and something is missing.
            FetcherError: As `Road.sync` says.
        """
        with own_words():
            model = self._remembered() if offline else self._resolved()
            road = self._road()
            report = road.sync(_lock_of(model), replace(_WISHES, offline=offline))
            if not offline:
                self._remember(model)
            return Outcome(folder=self._folder(road, _lock_of(model)), model=model, report=report)

    def _resolved(self) -> LockedModel:
        """What the wish means now."""
        spec = self.spec
        manifest = Manifest(models={spec.name: spec}, sources=self.endpoints)
        settings = transfer_settings(self.settings, keep_going=False)
        hasher = StoreHasher(Store(self.settings.store), settings=settings, events=self.events, stop=self.stop)
        with closing(catalog_of(self.settings, self.endpoints)) as catalog:
            lock = resolve(
                manifest,
                self._last(),
                catalog,
                hasher=hasher,
                upgrade=Upgrade(names=None),
                events=self.events,
                choose=_strictly,
            )
        return lock.models[spec.name]

    def _last(self) -> Lock:
        """What the same wish meant last time; empty where nobody knows."""
        try:
            return read_lock(self._memory.read_text(encoding="utf-8"), file=self._memory.name).lock
        except (OSError, UnicodeDecodeError, FetcherError):
            return Lock()

    def _remembered(self) -> LockedModel:
        model = self._last().models.get(self.spec.name)
        if model is not None and model.is_intact():
            return model
        raise OfflineError(
            f"What {self.spec.source} means was never asked on this machine, and the network is not to be used.",
            fix="run it once with the network",
        )

    def _remember(self, model: LockedModel) -> None:
        make_folder(self._memory.parent)
        write_atomic(self._memory, write_lock(_lock_of(model), None).encode())

    @property
    def _memory(self) -> Path:
        endpoint = "".join(f"{name}={self.settings.environment.get(name, '')}\n" for name in ENDPOINT_VARIABLES)
        return self.settings.store / "oneoff" / f"{_digest(endpoint + self.wish.text)}.lock"

    def _folder(self, road: Road, lock: Lock) -> Path:
        return Path(os.path.normpath(road.surveyor.folder(lock, self.spec.name)))

    def _road(self) -> Road:
        place = _place_of(self.destination, self.spec, self.settings, self.endpoints)
        require_users_folder(place.state, f"folder: {place.state}")
        state = self.settings.store / "oneoff" / _digest(str(place.state))
        layout = Layout(
            targets={self.spec.name: "."},
            groups={},
            sources=self.endpoints,
            addresses=Manifest(models={self.spec.name: self.spec}).addresses,
            caches={self.spec.name: place.layout} if place.layout else {},
        )
        staging = Staging(root=place.root, state=state, store=Store(self.settings.store))
        caches = official_caches(self.settings.environment, self.settings.home)
        copies = Copies(
            projects=Registry(self.settings.store / "projects").all, folders=[*self.settings.adopt, *caches]
        )
        workplace = Workplace(
            root=place.root,
            state=state,
            index=_INDEX,
            staging=staging,
            copies=copies,
            events=self.events,
            stop=self.stop,
        )
        return Road(
            root=place.root,
            state=state,
            layout=layout,
            surveyor=Surveyor(root=place.root, layout=layout, reserved=(), workplace=workplace),
            workplace=workplace,
            staging=staging,
            trash=Trash(root=place.root, folder=state / "trash", index=_INDEX),
            register=lambda: None,  # the folder is its owner's; nothing of it is needed later
            settings=self.settings,
            events=self.events,
            stop=self.stop,
            guard=self.guard,
        )


_WISHES = Wishes(choice=EVERYTHING, prune=False, take_names=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A folder for a repository.

    Attributes:
        layout: Whose cache `root` is; None for plain files.
        state: The folder that has a state of its own, so that downloads into one cache do not wait for each other.
    """

    root: Path
    layout: CacheLayout | None = None
    state: Path


def _place_of(
    destination: Destination, spec: ModelSpec, settings: Settings, endpoints: Mapping[str, Endpoint]
) -> _Place:
    if destination.local is not None:
        return _plainly(_absolute(destination.local))
    source = spec.source
    kind = endpoints[source.scheme].kind if source.scheme in endpoints else source.scheme
    if kind not in HUB_KINDS and (destination.cache is None or destination.layout is not None):
        raise ConfigError(f"No cache is known for {source.scheme}: sources.", fix="name a folder with --local-dir")
    layout = destination.layout
    cache = destination.cache
    if cache is None:
        layout = layout or CacheLayout(kind)
        cache = Path(own_caches(settings.environment, settings.home)[layout])
    root = _absolute(cache)
    if layout is None:
        below = source.repo.strip("/").rpartition("//")[2] if kind in HUB_KINDS else spec.name
        return _plainly(root / "datasets" / below if source.dataset else root / below)
    return _Place(root=root, layout=layout, state=root / cache_repository(layout, source))


def _plainly(folder: Path) -> _Place:
    return _Place(root=folder, state=folder)


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(path.expanduser().absolute()))


def _strictly(offered: Sequence[RemoteFile], requested: Requested, *, model: str) -> Selection:
    """As `select`, but nothing that was asked for may be missing.

    Raises:
        NotFoundError: A pattern of include matches no file.
    """
    found = select(offered, requested, model=model)
    idle = [pattern for pattern in requested.include if pattern in found.idle_patterns]
    if idle:
        raise NotFoundError(
            f'{model}: the pattern "{idle[0]}" matches no file.',
            facts=[f"files upstream: {len(offered)}, such as {', '.join(file.path for file in offered[:5])}"],
            fix="correct the patterns; `*` crosses `/`, and upper and lower case differ",
        )
    return found


@contextmanager
def own_words() -> Iterator[None]:
    """Let errors speak of what was asked for and not of a models.toml that does not say it."""
    try:
        yield
    except FetcherError as problem:
        for written, said in _IN_WORDS if problem.fix else ():
            problem.fix = re.sub(written, said, problem.fix or "")
        raise


def _lock_of(model: LockedModel) -> Lock:
    return Lock(models={model.name: model})


def name_of(source: SourceRef) -> str:
    """A NAME for a repository that nobody has named: its last word, of a file without the ending."""
    last = source.repo.rstrip("/").rpartition("/")[2]
    if source.scheme in GIT_SCHEMES:
        last = last.removesuffix(".git")
    elif source.is_url and not source.repo.endswith("/"):
        last = last.partition("?")[0]
        last = last.rpartition(".")[0] or last
    word = re.sub(r"[^A-Za-z0-9._-]", "-", last).lstrip("._-")[:100]
    return word or "model"


def _sources_text(endpoints: Mapping[str, Endpoint]) -> str:
    return "".join(
        f'[sources."{name}"]\nkind = "{each.kind}"\nendpoint = "{each.endpoint}"\n' for name, each in endpoints.items()
    )


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]
