"""Where the official libraries look for a repository that they have downloaded.  Pure.

Read by modelscope 1.40 and by huggingface_hub 0.24 to 2.4: a folder for each commit, and a
name that leads to it, which is a link for the one and a small file for the other.

Promises (tests/test_layouts.py): the official libraries find by id, offline, what is placed so.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from posixpath import relpath

from fetcher.core.digest import Sha256, is_commit
from fetcher.core.lock import Lock, LockedModel
from fetcher.core.manifest import CacheLayout, Layout, SourceRef
from fetcher.core.moves import Wanted
from fetcher.core.paths import RepoPath
from fetcher.errors import ConfigError

_DEFAULT_BRANCHES = {CacheLayout.modelscope: "master", CacheLayout.huggingface: "main"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePlace:
    """Where a commit goes, below a cache's folder; all with `/`.

    Attributes:
        repository: The repository's folder.
        snapshot: The commit's folder, below `repository`.
        link: Name below `repository` that is to lead to the snapshot as a symlink.
        ref: File below `repository` that is to hold the commit, without a newline.
    """

    repository: str
    snapshot: str
    link: RepoPath | None = None
    ref: RepoPath | None = None

    @property
    def folder(self) -> str:
        """The snapshot's folder, below that of the cache."""
        return f"{self.repository}/{self.snapshot}"

    def in_folder_of_link(self) -> "CachePlace":
        """The place if the link's name is a real folder, which the official client made and its users read."""
        return replace(self, snapshot=self.link or self.snapshot, link=None)

    def names(self, model: LockedModel, target: str) -> Iterator[Wanted]:
        """The names that lead to the snapshot of a model.

        Args:
            target: The cache's folder, as spots begin, with `/` at its end; empty for the project.
        """
        if self.link:
            goal = relpath(self.snapshot, self.link.rpartition("/")[0])
            yield self._name(model, target, self.link, goal, is_link=True)
        if self.ref:
            yield self._name(model, target, self.ref, model.commit, is_link=False)

    def _name(self, model: LockedModel, target: str, path: RepoPath, text: str, *, is_link: bool) -> Wanted:
        data = text.encode()
        return Wanted(
            model=model.name,
            path=path,
            spot=f"{target}{self.repository}/{path}",
            sha256=Sha256(hashlib.sha256(data).hexdigest()),
            size=len(data),
            inner=self.repository,
            text=text,
            is_link=is_link,
        )


def cache_places(lock: Lock, layout: Layout) -> dict[str, CachePlace]:
    """The places of the locked models that are laid out as in a library's cache, by NAME.

    Raises:
        ConfigError: A revision's name cannot be a file's name.
    """
    return {
        name: cache_place(layout.caches[name], model.source, model.commit, model.requested.revision)
        for name, model in lock.models.items()
        if name in layout.caches
    }


def shared_caches(names: Iterable[str], layout: Layout) -> dict[CacheLayout, str]:
    """The one cache of each library in which some models are; a program can be told of one only.

    Raises:
        ConfigError: They are in two.
    """
    found: dict[CacheLayout, str] = {}
    owners: dict[CacheLayout, str] = {}
    for name in names:
        if name in layout.caches:
            kind, target = layout.caches[name], layout.targets[name]
            if found.setdefault(kind, target) != target:
                raise ConfigError(
                    f"A program can be told of one cache with the {kind} layout only.",
                    facts=[f"{owners[kind]}: {found[kind]}", f"{name}: {target}"],
                    fix="name the models that are needed, or give both the same `target` in models.toml",
                )
            owners.setdefault(kind, name)
    return found


def cache_place(layout: CacheLayout, source: SourceRef, commit: str, revision: str | None) -> CachePlace:
    """The place of a commit that was asked for as `revision` (None: the default branch).

    Raises:
        ConfigError: The revision's name cannot be a file's name.
    """
    name = revision or _DEFAULT_BRANCHES[layout]
    is_named = not is_commit(name)
    folder = "snapshots" if layout is CacheLayout.modelscope else "refs"
    try:
        path = RepoPath(f"{folder}/{name}")
    except ValueError as error:
        raise ConfigError(
            f"The {layout} layout cannot hold this revision: {error}.", fix="give the full commit as the revision"
        ) from None
    return CachePlace(
        repository=cache_repository(layout, source),
        snapshot=f"snapshots/{commit}",
        link=path if is_named and layout is CacheLayout.modelscope else None,
        ref=path if is_named and layout is CacheLayout.huggingface else None,
    )


def cache_repository(layout: CacheLayout, source: SourceRef) -> str:
    """The folder of a repository, below that of the cache."""
    kind = "datasets" if source.dataset else "models"
    between = "/" if layout is CacheLayout.modelscope else "--"
    return f"{kind}{between}{source.repo.replace('/', '--')}"
