"""Manifest + sources -> Lock.

Conservative: a pin stays while the manifest still allows it.  A model whose wishes are
those of its locked section is not asked about at all; one whose patterns changed is
listed again at its locked commit; any other is resolved.  Models are resolved side by
side; the result does not depend on which answers first.

Promises (tests/test_resolve.py):
  * without `upgrade`, a fresh lock sends no request;
  * the same manifest, lock and hub give the same Lock, whatever the number of threads;
  * every file of a fallback has the digest of the model's own home, or there is no lock;
  * without a policy nothing is asked that a lock does not need (tests/test_policy.py).
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from fetcher.core.choice import unknown_models
from fetcher.core.digest import Commit, Sha256
from fetcher.core.interfaces import Events, RemoteFile, Snapshot, Source, Unlisted
from fetcher.core.lock import Lock, LockedFile, LockedModel, PinnedSource, stale_fields, tree_of
from fetcher.core.manifest import Manifest, ModelSpec, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.secrets import SECRETS
from fetcher.core.selection import Selection, select
from fetcher.errors import AuthError, FetcherError, IntegrityError, InterruptedRun, NotFoundError, SourceError
from fetcher.facts import CARD, Peeker, Question, facts_of
from fetcher.unhashed import Hasher, Home, Likely, hashed

Choose = Callable[..., Selection]  # as core/selection.py's `select`
_Answer = TypeVar("_Answer")
_AT_ONCE = 8  # models; listings are small, hubs ask to be treated gently


class Sources(Protocol):
    """Where a source string leads: `sources.catalog.Catalog`."""

    def candidates(self, ref: SourceRef) -> tuple[Source, ...]:
        """The places that serve `ref`: its home, then its mirrors."""
        ...

    def routes(self, ref: SourceRef) -> tuple[Source, ...]:
        """Mirrors to be asked before the home, because the environment says so."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """Which pins may move.

    Attributes:
        names: Models to resolve anew; None is all of them, empty is none.
    """

    names: frozenset[str] | None = frozenset()

    def takes(self, name: str) -> bool:
        """Whether this model's pin may move."""
        return self.names is None or name in self.names


KEEP_PINS = Upgrade()


def resolve(
    manifest: Manifest,
    previous: Lock,
    sources: Sources,
    *,
    hasher: Hasher,
    upgrade: Upgrade,
    events: Events,
    choose: Choose = select,
    peeker: Peeker | None = None,
) -> Lock:
    """Pin every model of the manifest.

    Args:
        hasher: Tells the sha256 of what no listing tells.
        choose: Takes a model's files from a listing.
        peeker: Reads a few bytes of files; needed for a manifest with a policy.

    Raises:
        NotFoundError, AuthError, SourceError, IntegrityError: From the sources, with
            the model's name in front; the first by name if several models fail.
        ConfigError: `upgrade` names a model that the manifest does not have.
    """
    _require_known(upgrade, manifest)
    models: dict[ModelName, LockedModel] = {}
    drafts: list[_Draft] = []
    for name, found in _drafts(manifest, previous, _Asked(sources, upgrade, events, choose)).items():
        if isinstance(found, _Draft):
            drafts.append(found)
        else:
            models[name] = found
    pinned = hashed([draft.home for draft in drafts], hasher)
    others = hashed([home for draft, files in zip(drafts, pinned, strict=True) for home in draft.others(files)], hasher)
    for draft, files in zip(drafts, pinned, strict=True):
        there, others = others[: len(draft.fallback)], others[len(draft.fallback) :]
        models[draft.spec.name] = draft.finished(files, there)
    if peeker is not None:
        models |= _with_facts([draft for draft in drafts if draft.spec.records], models, peeker)
    return Lock(models=dict(sorted(models.items())))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is the same for every model of a run."""

    sources: Sources
    upgrade: Upgrade
    events: Events
    choose: Choose


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A model whose files are listed and not hashed yet, at each of its homes."""

    spec: ModelSpec
    home: Home
    fallback: tuple[Home, ...]
    card: RemoteFile | None
    locked: LockedModel | None

    def question(self) -> Question:
        """What the policy needs to know of it."""
        known = self.locked if self.locked is not None and self.locked.is_intact() else None
        return Question(records=self.spec.records, home=self.home, card=self.card, known=known)

    def others(self, files: Sequence[LockedFile]) -> list[Home]:
        """The fallbacks, told what the model's own files are."""
        blobs = {file.path: file.git_blob for file in self.home.files}
        likely = {file.path: Likely(file=file, git_blob=blobs[file.path]) for file in files}
        return [replace(home, likely=likely) for home in self.fallback]

    def finished(self, files: tuple[LockedFile, ...], there: Sequence[tuple[LockedFile, ...]]) -> LockedModel:
        """The section of the lock.

        Raises:
            IntegrityError: A fallback has another file.
        """
        for home, found in zip(self.fallback, there, strict=True):
            _require_same(self.spec, home.ref, files, found)
        return LockedModel(
            name=self.spec.name,
            source=self.spec.source,
            commit=_commit_of(self.home, files),
            tree=tree_of(files),
            requested=self.spec.requested,
            files=files,
            fallback=tuple(PinnedSource(source=home.ref, commit=_commit_of(home, files)) for home in self.fallback),
        )


def _with_facts(
    drafts: "Sequence[_Draft]", models: Mapping[ModelName, LockedModel], peeker: Peeker
) -> dict[ModelName, LockedModel]:
    """The sections of these models with what the policy needs."""
    by_name = {draft.spec.name: draft for draft in drafts}

    def ask(name: ModelName) -> LockedModel:
        found = facts_of(by_name[name].question(), models[name].files, peeker)
        return replace(models[name], license=found.license, committed=found.committed, formats=found.formats)

    return for_each_model(sorted(by_name), ask)


def _drafts(manifest: Manifest, previous: Lock, asked: "_Asked") -> dict[ModelName, "LockedModel | _Draft"]:
    """Every model: kept as it is, or listed anew."""

    def draft(name: ModelName) -> LockedModel | _Draft:
        return _draft(manifest.models[name], previous.models.get(name), asked)

    return for_each_model(sorted(manifest.models), draft)


def for_each_model(names: Sequence[ModelName], ask: Callable[[ModelName], _Answer]) -> dict[ModelName, _Answer]:
    """Ask about several models side by side; an error gets the model's name in front, the first by name is raised."""
    pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="resolve")
    try:
        futures = {name: pool.submit(ask, name) for name in names}
        return {name: _result(name, futures[name]) for name in names}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C must not wait for a hub that is silent


def _result(name: ModelName, future: "Future[_Answer]") -> _Answer:
    try:
        return future.result()
    except InterruptedRun:
        raise
    except FetcherError as error:
        if not error.what.startswith(f"{name}:"):
            error.what = f"{name}: {error.what}"
        raise


def _draft(spec: ModelSpec, locked: LockedModel | None, asked: "_Asked") -> "LockedModel | _Draft":
    sources = asked.sources
    revision = _revision_to_ask(spec, locked, asked.upgrade)
    if locked is not None and revision == locked.commit and _is_fresh(spec, locked):
        return locked
    keep = locked if locked is not None and revision == locked.commit else None
    source, snapshot = snapshot_of(sources, spec.source, revision, _names(spec.requested.files))
    selection = asked.choose(snapshot.files, spec.requested, model=spec.name)
    for pattern in selection.idle_patterns:
        asked.events.note(f'{spec.name}: the pattern "{pattern}" matches no file')
    home = _home(spec, spec.source, (source, snapshot), sources, _told(spec, selection.files), locked, keep)
    _require_unmoved(spec, home)
    paths = [file.path for file in selection.files]
    return _Draft(
        spec=spec,
        home=home,
        fallback=tuple(_fallback(spec, ref, paths, sources, locked, keep) for ref in spec.fallback),
        card=next((file for file in snapshot.files if file.path.lower() == CARD), None),
        locked=locked,
    )


def _home(
    spec: ModelSpec,
    ref: SourceRef,
    listed: tuple[Source, Snapshot],
    sources: Sources,
    files: tuple[RemoteFile, ...],
    locked: LockedModel | None,
    keep: LockedModel | None,
) -> Home:
    """A home with what the lock knows of its files; `keep` is the section if its pins are to stay."""
    source, snapshot = listed
    places = (*sources.routes(ref), *sources.candidates(ref))
    known = {file.path: file for file in locked.files} if locked is not None and locked.is_intact() else {}
    commits = {(pin.source, pin.commit) for pin in locked.fallback} | {(locked.source, locked.commit)} if locked else ()
    stays = keep is not None and not ref.has_commits and ref in {keep.source, *(pin.source for pin in keep.fallback)}
    return Home(
        model=spec.name,
        ref=ref,
        commit=snapshot.commit,
        files=files,
        sources=(source, *(other for other in places if other is not source)),
        pinned=known if stays or (ref, snapshot.commit) in commits else {},
        likely={path: Likely(file=file) for path, file in known.items()},
    )


def _revision_to_ask(spec: ModelSpec, locked: LockedModel | None, upgrade: Upgrade) -> str | None:
    """The locked commit while the manifest still allows it, else what the manifest says."""
    if locked is None or upgrade.takes(spec.name):
        return spec.requested.revision
    wanted, had = spec.requested, locked.requested
    if (spec.source, wanted.revision, wanted.addresses) != (locked.source, had.revision, had.addresses):
        return spec.requested.revision
    return locked.commit


def _is_fresh(spec: ModelSpec, locked: LockedModel) -> bool:
    return not any(stale_fields(spec, locked))


def _names(texts: Sequence[str]) -> list[RepoPath]:
    return [RepoPath(text) for text in texts]


def _told(spec: ModelSpec, files: Sequence[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files with the sha256 that the manifest gives to some."""
    given = {file.path: file.sha256 for file in spec.web}
    return tuple(replace(file, sha256=file.sha256 or given.get(file.path)) for file in files)


def _commit_of(home: Home, files: tuple[LockedFile, ...]) -> Commit:
    """A home without commits of its own is at the digest of what is taken of it."""
    return home.commit if home.ref.has_commits else Commit(tree_of(files))


def _require_unmoved(spec: ModelSpec, home: Home) -> None:
    """Raise an IntegrityError if a file of a source without commits is another one than its pin."""
    if home.ref.has_commits:
        return
    for file in home.files:
        pinned = home.pinned.get(file.path)
        if pinned is not None and file.sha256 is None and pinned.size != file.size:
            raise IntegrityError(
                f"{spec.name}: {file.path} has changed at {home.ref} since it was locked.",
                facts=[f"locked: {pinned.size} bytes", f"offered: {file.size} bytes"],
                fix=f"run `fetcher lock --upgrade {spec.name}` to accept the new file",
            )


def snapshot_of(
    sources: Sources, ref: SourceRef, revision: str | None, names: Sequence[RepoPath]
) -> tuple[Source, Snapshot]:
    """Ask the routes, then the candidates; returns who answered, and what.

    A route may lack what it is asked for: it is no home.  A mirror of the manifest is asked
    only when the one before it does not answer.
    """
    for source in sources.routes(ref):
        try:
            return source, _discreet(source, ref, revision, names)
        except (SourceError, NotFoundError, AuthError):
            continue
    *firsts, last = sources.candidates(ref)
    for source in firsts:
        try:
            return source, _discreet(source, ref, revision, names)
        except SourceError:
            continue
    return last, _discreet(last, ref, revision, names)


def _discreet(source: Source, ref: SourceRef, revision: str | None, names: Sequence[RepoPath]) -> Snapshot:
    """What a source lists, or says of `names` if it cannot list.

    A name in it must not bring a token into the lock.

    Raises:
        IntegrityError: It would.
    """
    snapshot = source.look(ref, names) if isinstance(source, Unlisted) else source.snapshot(ref, revision)
    if SECRETS.are_in("\n".join(file.path for file in snapshot.files)):
        raise IntegrityError(
            f"{source.label} lists a file of {ref.repo} whose name holds your token.",
            fix="revoke the token, and do not use this server any more",
        )
    return snapshot


def _fallback(
    spec: ModelSpec,
    ref: SourceRef,
    paths: Sequence[RepoPath],
    sources: Sources,
    locked: LockedModel | None,
    keep: LockedModel | None,
) -> Home:
    """Another home of the same bytes, at its pin while the model stays at its own, else at its default revision.

    Raises:
        NotFoundError: A file is missing there.
    """
    pins = {pin.source: pin.commit for pin in keep.fallback} if keep is not None else {}
    try:
        source, snapshot = snapshot_of(sources, ref, pins.get(ref), paths)
    except NotFoundError:
        if ref not in pins:
            raise
        source, snapshot = snapshot_of(sources, ref, None, paths)  # the pin is gone; the bytes are compared anyway
    there = {file.path: file for file in snapshot.files}
    missing = [path for path in paths if path not in there]
    if missing:
        raise NotFoundError(
            f"{spec.name}: the fallback {ref} lacks {len(missing)} of the model's files.",
            facts=[f"missing: {path}" for path in missing[:10]],
            fix=f"remove it from `fallback` of [models.{spec.name}] in models.toml",
        )
    return _home(spec, ref, (source, snapshot), sources, tuple(there[path] for path in paths), locked, keep)


def _require_same(spec: ModelSpec, ref: SourceRef, files: Sequence[LockedFile], there: Sequence[LockedFile]) -> None:
    """Raise an IntegrityError if a fallback has another file than the model's own home."""
    wrong = [(here, other) for here, other in zip(files, there, strict=True) if here.sha256 != other.sha256]
    if wrong:
        raise IntegrityError(
            f"{spec.name}: the fallback {ref} has other bytes.",
            facts=[_compare(here.path, here.sha256, other.sha256) for here, other in wrong[:10]],
            fix=f"remove it from `fallback` of [models.{spec.name}] in models.toml",
        )


def _compare(path: str, here: Sha256, there: Sha256) -> str:
    return f"{path}: sha256 {here} at the source, {there} at the fallback"


def _require_known(upgrade: Upgrade, manifest: Manifest) -> None:
    unknown = sorted((upgrade.names or frozenset()) - manifest.models.keys())
    if unknown:
        raise unknown_models(unknown, manifest.models)
