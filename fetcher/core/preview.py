"""Which files of a snapshot a model would have, and why it would not have the others.  Pure.

Promise (tests/core/test_preview.py): what is said to be taken is what `select` takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fetcher.core.digest import Commit
from fetcher.core.interfaces import RemoteFile, Snapshot
from fetcher.core.manifest import ModelSpec, SourceRef
from fetcher.core.paths import ModelName
from fetcher.core.selection import Chooser, select


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftFile:
    """A file that a model does not take, and what decided so."""

    file: RemoteFile
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a model would be.

    Attributes:
        commit: None where the source has no commits.
        taken, left: Sorted by path.
        idle_patterns: Those that match no file.
    """

    name: ModelName
    source: SourceRef
    commit: Commit | None
    taken: tuple[RemoteFile, ...]
    left: tuple[LeftFile, ...]
    idle_patterns: tuple[str, ...]

    @property
    def taken_size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.taken)

    @property
    def left_size(self) -> int:
        """Bytes."""
        return sum(each.file.size for each in self.left)


def preview_of(spec: ModelSpec, snapshot: Snapshot) -> Preview:
    """Apply a model's wishes to a snapshot.

    Raises:
        NotFoundError, IntegrityError: As `select`.
    """
    selection = select(snapshot.files, spec.requested, model=spec.name)
    return Preview(
        name=spec.name,
        source=spec.source,
        commit=snapshot.commit if spec.source.has_commits else None,
        taken=selection.files,
        left=_left(spec, snapshot.files, {file.path for file in selection.files}),
        idle_patterns=selection.idle_patterns,
    )


def _left(spec: ModelSpec, files: Sequence[RemoteFile], taken: set[str]) -> tuple[LeftFile, ...]:
    chooser = Chooser(spec.requested)
    others = sorted((file for file in files if file.path not in taken), key=lambda file: file.path)
    return tuple(LeftFile(file=file, reason=chooser.judge(file.path).reason) for file in others)
