"""Asks the sources whether pins have fallen behind.  Lists, fetches no file, writes nothing.

Not in here: the comparison (core/outdated.py).
"""

from dataclasses import replace

from fetcher.core.digest import Commit
from fetcher.core.interfaces import Describing, Source, Tagging
from fetcher.core.lock import UNKNOWN, Lock, LockedModel
from fetcher.core.manifest import Manifest
from fetcher.core.outdated import Outlook, outlook
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.secrets import SECRETS
from fetcher.core.selection import select
from fetcher.core.tags import newer_tags
from fetcher.errors import AuthError, NotFoundError, SourceError
from fetcher.facts import moment_text
from fetcher.resolve import Sources, for_each_model, snapshot_of


def outlooks(manifest: Manifest, lock: Lock, sources: Sources) -> list[Outlook]:
    """What the source of each model has now, beside what is pinned; models that are not locked are left out.

    Raises:
        NotFoundError, AuthError, SourceError, IntegrityError: From the sources, with the model's
            name in front; the first by name if several models fail.
    """

    def ask(name: ModelName) -> Outlook:
        return _asked(lock.models[name], sources)

    return list(for_each_model(sorted(manifest.models.keys() & lock.models.keys()), ask).values())


def _asked(locked: LockedModel, sources: Sources) -> Outlook:
    requested = locked.requested
    names = [RepoPath(name) for name in requested.files]
    source, snapshot = snapshot_of(sources, locked.source, requested.revision, names)
    found = outlook(locked, snapshot.commit, select(snapshot.files, requested, model=locked.name).files)
    before = _known_moment(locked) or _moment(locked, locked.commit, source)
    after = before if snapshot.commit == locked.commit else _moment(locked, snapshot.commit, source)
    return replace(found, newer_tags=_newer_tags(locked, source), locked_committed=before, committed=after)


def _known_moment(locked: LockedModel) -> str | None:
    return None if locked.committed == UNKNOWN else locked.committed


def _moment(locked: LockedModel, commit: Commit, source: Source) -> str | None:
    """When a commit was made; None where the source has none, or does not tell."""
    if not isinstance(source, Describing):
        return None
    try:
        said = source.describe(locked.source, commit, frozenset({"committed"}))
    except (NotFoundError, AuthError, SourceError):
        return None
    found = moment_text(said.committed_s)
    return None if found == UNKNOWN else found


def _newer_tags(locked: LockedModel, source: Source) -> tuple[str, ...] | None:
    """Names of tags newer than the pinned one; None where the source has none, or does not tell (mirrors do not)."""
    if not isinstance(source, Tagging):
        return None
    try:
        tags = source.tags(locked.source)
    except (NotFoundError, AuthError, SourceError):
        return None
    newer = newer_tags(tags, revision=locked.requested.revision, commit=locked.commit)
    return tuple(tag.name for tag in newer if not SECRETS.are_in(tag.name))
