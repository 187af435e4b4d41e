"""Asks the sources whether pins have fallen behind.  Lists, fetches no file, writes nothing.

Not in here: the comparison (core/outdated.py).
"""

from fetcher.core.lock import Lock, LockedModel
from fetcher.core.manifest import Manifest
from fetcher.core.outdated import Outlook, outlook
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.selection import select
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
    _, snapshot = snapshot_of(sources, locked.source, requested.revision, names)
    return outlook(locked, snapshot.commit, select(snapshot.files, requested, model=locked.name).files)
