"""Where the official libraries look for a repository that they have downloaded.  Pure.

Read by modelscope 1.40 and by huggingface_hub 0.24 to 2.4: a folder for each commit, and a
name that leads to it, which is a link for the one and a small file for the other.

Promises (tests/test_layouts.py): the official libraries find by id, offline, what is placed so.
"""

from dataclasses import dataclass
from enum import StrEnum

from fetcher.core.digest import is_commit
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.errors import ConfigError


class CacheLayout(StrEnum):
    """Whose cache it is; the names are those of the hubs."""

    modelscope = "modelscope"
    huggingface = "huggingface"


_DEFAULT_BRANCHES = {CacheLayout.modelscope: "master", CacheLayout.huggingface: "main"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePlace:
    """Where a commit goes, below a cache's folder; all with `/`.

    Attributes:
        repository: The repository's folder.
        snapshot: The commit's folder, below `repository`.
        link: Name below `repository` that is to lead to the snapshot as a symlink.
        ref: File below `repository` that is to hold the commit.
    """

    repository: str
    snapshot: str
    link: str | None = None
    ref: str | None = None


def cache_place(layout: CacheLayout, source: SourceRef, commit: str, revision: str | None) -> CachePlace:
    """The place of a commit that was asked for as `revision` (None: the default branch).

    Raises:
        ConfigError: The revision's name cannot be a file's name.
    """
    name = revision or _DEFAULT_BRANCHES[layout]
    try:
        RepoPath(name)
    except ValueError as error:
        raise ConfigError(
            f"The {layout} layout cannot hold this revision: {error}.", fix="give the full commit as the revision"
        ) from None
    repo = source.repo.replace("/", "--")
    kind = "datasets" if source.dataset else "models"
    snapshot = f"snapshots/{commit}"
    is_named = not is_commit(name)
    if layout is CacheLayout.modelscope:
        return CachePlace(
            repository=f"{kind}/{repo}", snapshot=snapshot, link=f"snapshots/{name}" if is_named else None
        )
    return CachePlace(repository=f"{kind}--{repo}", snapshot=snapshot, ref=f"refs/{name}" if is_named else None)
