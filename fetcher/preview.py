"""Asks a source which files a model would have.  Lists, fetches no file, writes nothing.

Not in here: which are taken (core/preview.py).
"""

from fetcher.core.manifest import ModelSpec
from fetcher.core.paths import RepoPath
from fetcher.core.preview import Preview, preview_of
from fetcher.resolve import Sources, for_each_model, snapshot_of


def preview(spec: ModelSpec, sources: Sources) -> Preview:
    """The files that the model's source has, taken and left.

    Raises:
        NotFoundError, AuthError, SourceError, IntegrityError: From the source, with the model's name in front.
    """

    def ask(_: str) -> Preview:
        names = [RepoPath(name) for name in spec.requested.files]
        return preview_of(spec, snapshot_of(sources, spec.source, spec.requested.revision, names)[1])

    return for_each_model([spec.name], ask)[spec.name]
