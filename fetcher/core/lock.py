"""What the manifest means exactly: models.lock as values, and how it can be stale.

Reading and writing the text is formats/lock_toml.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from fetcher.core.digest import Commit, Sha256, tree_digest
from fetcher.core.manifest import Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """One line of `[models.NAME.files]`; `size` is in bytes."""

    path: RepoPath
    sha256: Sha256
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedSource:
    """A home of the model's bytes, pinned: `SOURCE@COMMIT`."""

    source: SourceRef
    commit: Commit

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `SOURCE@COMMIT`.

        Raises:
            ValueError: No `@`, or one of the two is not what it should be.
        """
        source, at, commit = text.rpartition("@")
        if not at:
            raise ValueError("expected `SOURCE@COMMIT`")
        return cls(source=SourceRef.parse(source), commit=Commit(commit))

    def __str__(self) -> str:
        return f"{self.source}@{self.commit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedModel:
    """One section of models.lock.

    Attributes:
        tree: What the file says its tree is; `tree_is_right` compares.
        files: Sorted by path.
    """

    name: ModelName
    source: SourceRef
    commit: Commit
    tree: Sha256
    requested: Requested
    files: tuple[LockedFile, ...]
    fallback: tuple[PinnedSource, ...] = ()

    @property
    def size(self) -> int:
        """Sum of the files' sizes, in bytes."""
        return sum(file.size for file in self.files)

    def tree_is_right(self) -> bool:
        """Whether `tree` is the digest of `files` (a merge or an edit may have broken it)."""
        return self.tree == tree_of(self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """models.lock, parsed; models sorted by name."""

    models: Mapping[ModelName, LockedModel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """One field in which the lock is not what the manifest asks for.

    Attributes:
        model: NAME.
        field: `source`, `revision`, `include`, `exclude`, `files`, `fallback`, `tree`,
            or `model` when the whole section is missing or left over.
        wanted: The manifest's value, as text.
        locked: The lock's value, as text.
    """

    model: str
    field: str
    wanted: str
    locked: str

    def __str__(self) -> str:
        return f"{self.model}.{self.field}: models.toml has {self.wanted}, models.lock has {self.locked}"


def tree_of(files: tuple[LockedFile, ...]) -> Sha256:
    """The `tree` digest of a list of files."""
    return tree_digest((file.sha256, file.size, file.path) for file in files)


def staleness(manifest: Manifest, lock: Lock) -> list[Staleness]:
    """Every field in which the lock differs from what the manifest asks for; empty is fresh."""
    found: list[Staleness] = []
    for name in sorted(manifest.models.keys() | lock.models.keys()):
        spec, locked = manifest.models.get(name), lock.models.get(name)
        if spec is None:
            found.append(Staleness(model=name, field="model", wanted="nothing", locked="a section"))
        elif locked is None:
            found.append(Staleness(model=name, field="model", wanted="a section", locked="nothing"))
        else:
            found.extend(_model_staleness(spec, locked))
    return found


def _model_staleness(spec: ModelSpec, locked: LockedModel) -> Iterator[Staleness]:
    wanted, had = spec.requested, locked.requested
    pairs: list[tuple[str, object, object]] = [
        ("source", str(spec.source), str(locked.source)),
        ("revision", wanted.revision, had.revision),
        ("include", wanted.include, had.include),
        ("exclude", wanted.exclude, had.exclude),
        ("files", wanted.files, had.files),
        ("fallback", tuple(map(str, spec.fallback)), tuple(str(pin.source) for pin in locked.fallback)),
    ]
    for name, want, have in pairs:
        if want != have:
            yield Staleness(model=spec.name, field=name, wanted=_show(want), locked=_show(have))
    if not locked.tree_is_right():
        yield Staleness(
            model=spec.name, field="tree", wanted="a file list as locked", locked="a tree digest of another file list"
        )


def _show(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"'
