"""What a source has now, beside what the lock pins.  Pure.

Only listings are compared: where one tells no hash, files of the same size count as the same,
and what the server calls the version (ETag, else Last-Modified) is told beside it.

Promises (tests/core/test_outdated.py):
  * a model that has moved is one that `fetcher lock --upgrade` would change;
  * bytes that the lock has under any name are not counted as to be fetched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fetcher.core.digest import Commit
from fetcher.core.interfaces import RemoteFile
from fetcher.core.lock import LockedFile, LockedModel
from fetcher.core.lockdiff import Kind
from fetcher.core.paths import ModelName, RepoPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A file that is another one now; `size` in bytes, of the one that is gone for a removed one."""

    kind: Kind
    path: RepoPath
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A locked model beside what its source has now.

    Attributes:
        commit: What the source is at; None where it has no commits.
        fetch_size: Bytes that an upgrade would fetch, as far as the listing tells.
        locked_committed: When the pinned commit was made, as `2024-05-31T12:00:00Z`; None where nobody tells.
        committed: The same of what the source is at.
        versions: What the server calls files of which it tells no hash.
        newer_tags: Tags that are newer than the pinned one, oldest first (core/tags.py); None where nobody tells.
    """

    name: ModelName
    source: str
    revision: str | None
    locked: Commit
    commit: Commit | None
    files: tuple[Moved, ...] = ()
    fetch_size: int = 0
    versions: Mapping[RepoPath, str] = field(default_factory=dict)
    newer_tags: tuple[str, ...] | None = None
    locked_committed: str | None = None
    committed: str | None = None

    @property
    def has_moved(self) -> bool:
        """Whether an upgrade would change the lock."""
        return bool(self.files) or self.commit not in (None, self.locked)


def outlook(locked: LockedModel, commit: Commit, files: Sequence[RemoteFile]) -> Outlook:
    """Compare a section with the files that its wishes take of the source's listing now."""
    before = {file.path: file for file in locked.files}
    now = {file.path: file for file in files}
    known = {file.sha256 for file in locked.files}
    moved = [
        Moved(kind="changed" if path in before else "added", path=path, size=file.size)
        for path, file in now.items()
        if path not in before or _differs(before[path], file)
    ]
    new = {now[each.path].sha256 or each.path: each.size for each in moved if now[each.path].sha256 not in known}
    gone = [Moved(kind="removed", path=path, size=file.size) for path, file in before.items() if path not in now]
    return Outlook(
        name=locked.name,
        source=str(locked.source),
        revision=locked.requested.revision,
        locked=locked.commit,
        commit=commit if locked.source.has_commits else None,
        files=tuple(sorted((*moved, *gone), key=lambda each: each.path)),
        fetch_size=sum(new.values()),
        versions={path: file.version for path, file in now.items() if file.version},
    )


def _differs(before: LockedFile, now: RemoteFile) -> bool:
    return before.size != now.size or now.sha256 not in (None, before.sha256)
