"""What the manifest means exactly: models.lock as values, and how it can be stale.

Reading and writing the text is formats/lock_toml.py.

Promises (tests/core/test_lock.py):
  * two sections that pin another thing have another seal;
  * a section that is not as it was written is stale, whatever the manifest says.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from fetcher.core.digest import Commit, Sha256, tree_digest
from fetcher.core.manifest import Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath

UNKNOWN = "unknown"  # recorded where a source was asked and does not tell


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
        seal: What the file says its seal is; None in a lock of an older fetcher, and in
            one that was not read.  Says nothing of its own, so equality leaves it out.
        license: What the source says, or `UNKNOWN`; None is not recorded.  This and the next
            two are recorded where a policy asks for them, so that it is checked offline.
        committed: When the commit was made, as `2024-05-31T12:00:00Z`, or `UNKNOWN`; None is not recorded.
        formats: What each file is, judged by its content; empty is not recorded.
    """

    name: ModelName
    source: SourceRef
    commit: Commit
    tree: Sha256
    requested: Requested
    files: tuple[LockedFile, ...]
    fallback: tuple[PinnedSource, ...] = ()
    seal: Sha256 | None = field(default=None, compare=False)
    license: str | None = None
    committed: str | None = None
    formats: Mapping[RepoPath, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Sum of the files' sizes, in bytes."""
        return sum(file.size for file in self.files)

    def tree_is_right(self) -> bool:
        """Whether `tree` is the digest of `files` (a merge or an edit may have broken it)."""
        return self.tree == tree_of(self.files)

    def seal_is_right(self) -> bool:
        """Whether `seal` is that of what is pinned, or there is none (an older lock)."""
        return self.seal in (None, seal_of(self))

    def is_intact(self) -> bool:
        """Whether the section is as it was written: not merged from two others, not edited."""
        return self.seal_is_right() and self.tree_is_right()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """models.lock, parsed; models sorted by name."""

    models: Mapping[ModelName, LockedModel] = field(default_factory=dict)


CHECKSUMS = ("seal", "tree")  # fields that compare the lock with itself, not with the manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """One field in which the lock is not what the manifest asks for.

    Attributes:
        model: NAME.
        field: `source`, `revision`, `include`, `exclude`, `files`, `addresses`, `sha256`, `fallback`,
            `license`, `committed` or `formats` when the policy needs it and it is not recorded,
            `model` when the whole section is missing or left over, or `seal` or `tree`
            when the section is not as it was written (see `CHECKSUMS`).
        wanted: The manifest's value, as text; of a checksum, what it should be.
        locked: The lock's value, as text.
    """

    model: str
    field: str
    wanted: str
    locked: str

    def __str__(self) -> str:
        wanted = f"expected {self.wanted}" if self.field in CHECKSUMS else f"models.toml has {self.wanted}"
        return f"{self.model}.{self.field}: {wanted}, models.lock has {self.locked}"


def tree_of(files: tuple[LockedFile, ...]) -> Sha256:
    """The `tree` digest of a list of files."""
    return tree_digest((file.sha256, file.size, file.path) for file in files)


def content_digest(models: Iterable[LockedModel]) -> Sha256:
    """Another one when the files of any of the models change: sha256 over their `tree` lines, sorted, each once."""
    trees = sorted({model.tree.prefixed for model in models})
    return Sha256(hashlib.sha256("".join(f"{tree}\n" for tree in trees).encode("ascii")).hexdigest())


def seal_of(model: LockedModel) -> Sha256:
    """The `seal` of a section: sha256 of all that it pins, as JSON.

    The JSON is one line of ASCII, keys sorted, no spaces; the files are in it by `tree`.
    Its keys are fixed for version 1: a key more would make every seal before it wrong.
    `addresses`, `license`, `committed` and `formats` are in it only where the section has them.
    """
    wishes = model.requested
    pinned: dict[str, object] = {
        "source": str(model.source),
        "commit": model.commit,
        "tree": model.tree.prefixed,
        "fallback": [str(pin) for pin in model.fallback],
        "requested": {
            "revision": wishes.revision,
            "include": wishes.include,
            "exclude": wishes.exclude,
            "files": wishes.files,
            **({"addresses": wishes.addresses} if wishes.addresses else {}),
        },
    }
    recorded = {"license": model.license, "committed": model.committed, "formats": dict(model.formats) or None}
    pinned |= {key: value for key, value in recorded.items() if value is not None}
    text = json.dumps(pinned, sort_keys=True, separators=(",", ":"))
    return Sha256(hashlib.sha256(text.encode("ascii")).hexdigest())


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
            found.extend(stale_fields(spec, locked))
    return found


def stale_fields(spec: ModelSpec, locked: LockedModel) -> Iterator[Staleness]:
    """The fields in which a section differs from what the manifest asks for; none is fresh."""
    wanted, had = spec.requested, locked.requested
    pairs: list[tuple[str, object, object]] = [
        ("source", str(spec.source), str(locked.source)),
        ("revision", wanted.revision, had.revision),
        ("include", wanted.include, had.include),
        ("exclude", wanted.exclude, had.exclude),
        ("files", wanted.files, had.files),
        ("addresses", wanted.addresses, had.addresses),
        ("sha256", *_named_digests(spec, locked)),
        ("fallback", tuple(map(str, spec.fallback)), tuple(str(pin.source) for pin in locked.fallback)),
    ]
    for name, want, have in pairs:
        if want != have:
            yield Staleness(model=spec.name, field=name, wanted=shown(want), locked=shown(have))
    for name in sorted(spec.records):
        if not _is_recorded(name, locked):
            yield Staleness(model=spec.name, field=name, wanted="a policy about it", locked="nothing recorded")
    if not locked.seal_is_right():
        yield Staleness(
            model=spec.name,
            field="seal",
            wanted="a section as `fetcher lock` wrote it",
            locked="one that was changed by hand or merged",
        )
    if not locked.tree_is_right():
        yield Staleness(
            model=spec.name, field="tree", wanted="the digest of its files", locked="that of another file list"
        )


def _is_recorded(name: str, locked: LockedModel) -> bool:
    """Whether a section has what a policy needs."""
    if name == "formats":
        return locked.formats.keys() == {file.path for file in locked.files}
    return (locked.license if name == "license" else locked.committed) is not None


def _named_digests(spec: ModelSpec, locked: LockedModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The digests that the manifest names, and what the lock has for the same files."""
    named = {file.path: file.sha256 for file in spec.web if file.sha256 is not None}
    had = {file.path: file.sha256 for file in locked.files if file.path in named}
    wanted = {path: named[path] for path in had}
    return tuple(f"{path} {wanted[path]}" for path in sorted(had)), tuple(f"{path} {had[path]}" for path in sorted(had))


def shown(value: object) -> str:
    """A value of a manifest or a lock as text."""
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"'
