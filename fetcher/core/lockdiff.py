"""What changed between two locks.  Pure.

Promises (tests/core/test_lockdiff.py):
  * two locks that differ in anything have a change that says in what;
  * bytes that the lock before had under any name are not counted as to be fetched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fetcher.core.digest import Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, shown
from fetcher.core.paths import RepoPath
from fetcher.core.units import count_text, size_text

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that differs; `before` is None for an added one, `after` for a removed one."""

    kind: Kind
    path: RepoPath
    before: LockedFile | None
    after: LockedFile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A wish or a fact of a section that differs; values as text."""

    field: str
    before: str
    after: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LockDiff:
    """One lock beside an earlier one.

    Attributes:
        base: What the earlier one is called: a revision of git, or a file.
        commit: Of the revision; None of a file.
        fetch_size: Bytes that no model of the earlier lock had.
    """

    base: str
    commit: str | None
    changes: tuple[ModelChange, ...]
    fetch_size: int

    def count(self, kind: Kind) -> int:
        """How many models changed in this way."""
        return sum(change.kind == kind for change in self.changes)


def diff_of(before: Lock, after: Lock, *, base: str, commit: str | None) -> LockDiff:
    """Compare a lock with an earlier one of that name."""
    known = _contents(before)
    new = {sha256: size for sha256, size in _contents(after).items() if sha256 not in known}
    changes = tuple(compare_locks(before, after))
    return LockDiff(base=base, commit=commit, changes=changes, fetch_size=sum(new.values()))


def _contents(lock: Lock) -> dict[Sha256, int]:
    return {file.sha256: file.size for model in lock.models.values() for file in model.files}


def summary(found: LockDiff) -> str:
    """`1 model added, 2 changed; 1.2 GiB to fetch`."""
    if not found.changes:
        return "no model differs"
    numbers = [(kind, found.count(kind)) for kind in ("added", "changed", "removed")]
    (first, number), *others = [each for each in numbers if each[1]]
    told = ", ".join([f"{count_text(number, 'model')} {first}", *(f"{number} {kind}" for kind, number in others)])
    return f"{told}; {size_text(found.fetch_size)} to fetch"


def field_changes(change: ModelChange) -> list[FieldChange]:
    """What differs between the two sections besides commit and files; nothing where there is only one."""
    if change.before is None or change.after is None:
        return []
    pairs = zip(_fields(change.before), _fields(change.after), strict=True)
    return [
        FieldChange(field=name, before=shown(old), after=shown(new)) for (name, old), (_, new) in pairs if old != new
    ]


def _fields(model: LockedModel) -> list[tuple[str, object]]:
    wishes = model.requested
    return [
        ("source", str(model.source)),
        ("revision", wishes.revision),
        ("include", wishes.include),
        ("exclude", wishes.exclude),
        ("files", wishes.files),
        ("addresses", wishes.addresses),
        ("fallback", tuple(map(str, model.fallback))),
        ("license", model.license),
        ("committed", model.committed),
        ("formats", tuple(f"{path}: {model.formats[path]}" for path in sorted(model.formats))),
    ]


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
