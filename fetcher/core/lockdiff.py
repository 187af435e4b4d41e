"""What changed between two locks.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fetcher.core.lock import Lock, LockedFile, LockedModel
from fetcher.core.paths import RepoPath

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that differs; `before` is None for an added one, `after` for a removed one."""

    kind: Kind
    path: RepoPath
    before: LockedFile | None
    after: LockedFile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChange:
    """A model that differs between two locks."""

    kind: Kind
    name: str
    before: LockedModel | None
    after: LockedModel | None
    files: tuple[FileChange, ...]

    @property
    def fetch_size(self) -> int:
        """Bytes that were not in the model before."""
        known = {file.sha256 for file in self.before.files} if self.before else set()
        new = {file.sha256: file.size for file in self.after.files} if self.after else {}
        return sum(size for sha256, size in new.items() if sha256 not in known)


def compare_locks(before: Lock, after: Lock) -> list[ModelChange]:
    """Every model that differs, sorted by name."""
    changes = []
    for name in sorted(before.models.keys() | after.models.keys()):
        old, new = before.models.get(name), after.models.get(name)
        if old != new:
            changes.append(
                ModelChange(kind=_kind(old, new), name=name, before=old, after=new, files=_file_changes(old, new))
            )
    return changes


def _file_changes(before: LockedModel | None, after: LockedModel | None) -> tuple[FileChange, ...]:
    old, new = _by_path(before), _by_path(after)
    return tuple(
        FileChange(kind=_kind(old.get(path), new.get(path)), path=path, before=old.get(path), after=new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _by_path(model: LockedModel | None) -> Mapping[RepoPath, LockedFile]:
    return {file.path: file for file in model.files} if model else {}


def _kind(before: object | None, after: object | None) -> Kind:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"
