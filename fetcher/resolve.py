"""Manifest + sources -> Lock.

Conservative: a pin stays while the manifest still allows it.  A model whose wishes are
those of its locked section is not asked about at all; one whose patterns changed is
listed again at its locked commit; any other is resolved.  Models are resolved side by
side; the result does not depend on which answers first.

Promises (tests/test_resolve.py):
  * without `upgrade`, a fresh lock sends no request;
  * the same manifest, lock and hub give the same Lock, whatever the number of threads;
  * every file of a fallback has the digest of the model's own home, or there is no lock.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from fetcher.core.digest import Sha256
from fetcher.core.hints import closest
from fetcher.core.interfaces import Events, RemoteFile, Snapshot, Source
from fetcher.core.lock import Lock, LockedFile, LockedModel, PinnedSource, tree_of
from fetcher.core.manifest import Manifest, ModelSpec, SourceRef
from fetcher.core.paths import ModelName
from fetcher.core.selection import select
from fetcher.errors import (
    AuthError,
    ConfigError,
    FetcherError,
    IntegrityError,
    InterruptedRun,
    NotFoundError,
    SourceError,
)

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


def resolve(manifest: Manifest, previous: Lock, sources: Sources, *, upgrade: Upgrade, events: Events) -> Lock:
    """Pin every model of the manifest.

    Raises:
        NotFoundError, AuthError, SourceError, IntegrityError: From the sources, with
            the model's name in front; the first by name if several models fail.
        ConfigError: `upgrade` names a model that the manifest does not have.
    """
    _require_known(upgrade, manifest)
    names = sorted(manifest.models)
    pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="resolve")
    try:
        futures = {
            name: pool.submit(_pin, manifest.models[name], previous.models.get(name), sources, upgrade, events)
            for name in names
        }
        return Lock(models={name: _result(name, futures[name]) for name in names})
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C must not wait for a hub that is silent


def _result(name: ModelName, future: Future[LockedModel]) -> LockedModel:
    try:
        return future.result()
    except InterruptedRun:
        raise
    except FetcherError as error:
        if not error.what.startswith(f"{name}:"):
            error.what = f"{name}: {error.what}"
        raise


def _pin(
    spec: ModelSpec, locked: LockedModel | None, sources: Sources, upgrade: Upgrade, events: Events
) -> LockedModel:
    revision = _revision_to_ask(spec, locked, upgrade)
    if locked is not None and revision == locked.commit and _is_fresh(spec, locked):
        return locked
    snapshot = _snapshot(sources, spec.source, revision)
    selection = select(snapshot.files, spec.requested, model=spec.name)
    for pattern in selection.idle_patterns:
        events.note(f'{spec.name}: the pattern "{pattern}" matches no file')
    files = tuple(_locked_file(file) for file in selection.files)
    return LockedModel(
        name=spec.name,
        source=spec.source,
        commit=snapshot.commit,
        tree=tree_of(files),
        requested=spec.requested,
        files=files,
        fallback=tuple(_pin_fallback(spec, ref, files, sources) for ref in spec.fallback),
    )


def _revision_to_ask(spec: ModelSpec, locked: LockedModel | None, upgrade: Upgrade) -> str | None:
    """The locked commit while the manifest still allows it, else what the manifest says."""
    if locked is None or upgrade.takes(spec.name):
        return spec.requested.revision
    if (spec.source, spec.requested.revision) != (locked.source, locked.requested.revision):
        return spec.requested.revision
    return locked.commit


def _is_fresh(spec: ModelSpec, locked: LockedModel) -> bool:
    return (
        spec.requested == locked.requested
        and spec.fallback == tuple(pin.source for pin in locked.fallback)
        and locked.is_intact()
    )


def _snapshot(sources: Sources, ref: SourceRef, revision: str | None) -> Snapshot:
    """Ask the routes, then the candidates.

    A route may lack what it is asked for: it is no home.  A mirror of the manifest is asked
    only when the one before it does not answer.
    """
    for source in sources.routes(ref):
        try:
            return source.snapshot(ref, revision)
        except (SourceError, NotFoundError, AuthError):
            continue
    candidates = sources.candidates(ref)
    for source in candidates[:-1]:
        try:
            return source.snapshot(ref, revision)
        except SourceError:
            continue
    return candidates[-1].snapshot(ref, revision)


def _locked_file(file: RemoteFile) -> LockedFile:
    if file.sha256 is None:
        raise IntegrityError(f"The source does not tell the sha256 of {file.path}, so it cannot be locked.")
    return LockedFile(path=file.path, sha256=file.sha256, size=file.size)


def _pin_fallback(spec: ModelSpec, ref: SourceRef, files: Sequence[LockedFile], sources: Sources) -> PinnedSource:
    """Pin another home of the same bytes at its own default revision.

    Raises:
        IntegrityError: A file is another one there.
        NotFoundError: A file is missing there.
    """
    snapshot = _snapshot(sources, ref, None)
    there: Mapping[str, RemoteFile] = {file.path: file for file in snapshot.files}
    missing = [file.path for file in files if file.path not in there]
    if missing:
        raise NotFoundError(
            f"{spec.name}: the fallback {ref} lacks {len(missing)} of the model's files.",
            facts=[f"missing: {path}" for path in missing[:10]],
            fix=f"remove it from `fallback` of [models.{spec.name}] in models.toml",
        )
    wrong = [file for file in files if there[file.path].sha256 != file.sha256]
    if wrong:
        raise IntegrityError(
            f"{spec.name}: the fallback {ref} has other bytes.",
            facts=[_compare(file.path, file.sha256, there[file.path].sha256) for file in wrong[:10]],
            fix=f"remove it from `fallback` of [models.{spec.name}] in models.toml",
        )
    return PinnedSource(source=ref, commit=snapshot.commit)


def _compare(path: str, here: Sha256, there: Sha256 | None) -> str:
    return f"{path}: sha256 {here} at the source, {there or 'unknown'} at the fallback"


def _require_known(upgrade: Upgrade, manifest: Manifest) -> None:
    unknown = sorted((upgrade.names or frozenset()) - manifest.models.keys())
    if unknown:
        raise unknown_models(unknown, manifest.models)


def unknown_models(names: Sequence[str], known: Mapping[ModelName, object]) -> ConfigError:
    """The error for names that models.toml does not have; names the closest ones."""
    facts = []
    for name in names:
        near = closest(name, sorted(known))
        facts.append(f"unknown: {name}" + (f" (did you mean {', '.join(near)}?)" if near else ""))
    listed = ", ".join(sorted(known)) or "none"
    return ConfigError("There is no such model.", facts=facts, fix=f"name one of: {listed}")
