"""A folder of repositories, with a commit for what each of them holds.

    DIR/OWNER/NAME/...                 a model; its files are the branch `master`
    DIR/datasets/OWNER/NAME/...        a dataset
    .../NAME/.fetcher-revisions/branches/BRANCH/...    a further branch; `master` here
                                                       replaces the folder's own files
    .../NAME/.fetcher-revisions/tags/TAG/...           a tag
    .../NAME/.fetcher-revisions/commits/ANY/...        content to be had by its commit only

A revision's folder may be a symbolic link to another folder below DIR, so a branch is
moved by replacing one link.  Names that start with a dot are not published, except
`.gitattributes`; neither are links that leave DIR and folders reached by a link.

A commit is 40 hex digits derived from the sorted paths, sizes and hashes, so the same
content has the same commit on every machine.  Nothing here speaks HTTP.

Promises (tests/serve/test_repositories.py):
  * no path, encoded or not, and no link reaches a file outside DIR;
  * a file is hashed once as long as its size, mtime and inode stay;
  * a commit never yields other bytes than those it was made from: content that
    changed on disk is gone, unless a known revision still has it.
"""

import hashlib
import logging
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.digest import Commit, GitBlob, Sha256, is_commit

REVISIONS_FOLDER = ".fetcher-revisions"
DEFAULT_BRANCH = "master"
LFS_SIZE = 1 << 20  # bytes; from here on git keeps a pointer only, and a file is sent by the CDN path
DATASETS_FOLDER = "datasets"
PUBLISHED_DOT_FILES = frozenset({".gitattributes"})
REMEMBERED_TREES = 64  # commits that stay addressable after their branch moved on
_HASH_STRIPES = 16
_BLOCK = 1 << 20  # bytes
_MTIME_TICK_NS = 20_000_000  # file systems stamp with the kernel's tick: 1 to 10 ms

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepoKey:
    """Which repository; `dataset` says in which of the two name spaces."""

    owner: str
    name: str
    dataset: bool = False

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What `stat` says of a file's content; `size` is in bytes."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        return cls(size=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A published file as it was when it was hashed.

    Attributes:
        path: From the repository's root, with `/`.
        location: Its real path on disk.
        git_blob: Its id in git, if git would keep a file of its size as it is.
    """

    path: str
    location: str
    stamp: Stamp
    sha256: Sha256
    git_blob: GitBlob | None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stamp.size

    def is_current(self) -> bool:
        """Whether the file on disk is still the one that was hashed."""
        try:
            return Stamp.of(os.stat(self.location)) == self.stamp
        except OSError:
            return False

    def open(self) -> int | None:
        """A descriptor for reading, or None when the disk no longer holds these bytes."""
        try:
            descriptor = os.open(self.location, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and Stamp.of(found) == self.stamp:
            return descriptor
        os.close(descriptor)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The files of one revision, by path, sorted; `changed_s` is their newest mtime."""

    commit: Commit
    files: Mapping[str, StoredFile]
    changed_s: int

    def is_current(self) -> bool:
        """Whether every file is still on disk as it was."""
        return all(file.is_current() for file in self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """What a repository can be asked for; `detached` trees have a commit and no name."""

    branches: Mapping[str, Tree] = field(default_factory=dict)
    tags: Mapping[str, Tree] = field(default_factory=dict)
    detached: tuple[Tree, ...] = ()

    def named(self, revision: str) -> Tree | None:
        """The tree of a branch or tag; a branch wins."""
        return self.branches.get(revision) or self.tags.get(revision)

    def at(self, commit: str) -> Tree | None:
        """The tree with this commit."""
        every = (*self.branches.values(), *self.tags.values(), *self.detached)
        return next((tree for tree in every if tree.commit == commit), None)


class Hashes:
    """Remembers the sha256 of files by their stamp, and where a sha256 can be found."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[Stamp, Sha256, GitBlob | None]] = {}
        self._places: dict[str, dict[str, StoredFile]] = {}
        self._stripes = [threading.Lock() for _ in range(_HASH_STRIPES)]
        self.files_hashed = 0

    def file(self, path: str, location: str) -> StoredFile | None:
        """The file at `location`, hashed now or before; None if it keeps changing or is no file."""
        with self._stripes[hash(location) % _HASH_STRIPES]:
            return self._file(path, location)

    def _file(self, path: str, location: str) -> StoredFile | None:
        try:
            found = os.stat(location)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        stamp, known = Stamp.of(found), self._files.get(location)
        if known is None or known[0] != stamp:
            digests = _hash(location, stamp)
            if digests is None:
                return None
            self.files_hashed += 1
            known = self._files[location] = (stamp, *digests)
        stored = StoredFile(path=path, location=location, stamp=stamp, sha256=known[1], git_blob=known[2])
        self._places.setdefault(stored.sha256, {})[location] = stored
        return stored

    def object(self, sha256: str) -> StoredFile | None:
        """A file that has this sha256 and is still as it was."""
        places = self._places.get(sha256, {})
        return next((stored for stored in list(places.values()) if stored.is_current()), None)


def _outlive_the_tick(stamp: Stamp) -> None:
    """Wait until a later write must get another mtime; else it could hide behind this stamp."""
    age_ns = time.time_ns() - stamp.mtime_ns
    if 0 <= age_ns < _MTIME_TICK_NS:
        time.sleep((_MTIME_TICK_NS - age_ns) / 1e9)


def _hash(location: str, stamp: Stamp) -> tuple[Sha256, GitBlob | None] | None:
    _outlive_the_tick(stamp)
    digest, buffer = hashlib.sha256(), bytearray(_BLOCK)
    blob = hashlib.sha1(b"blob %d\0" % stamp.size, usedforsecurity=False) if stamp.size < LFS_SIZE else None
    view = memoryview(buffer)
    try:
        with open(location, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(view[:count])
                if blob is not None:
                    blob.update(view[:count])
            after = Stamp.of(os.fstat(file.fileno()))
    except OSError as error:
        _log.warning("not published, cannot be read: %s (%s)", location, error)
        return None
    if after != stamp:
        _log.warning("not published, it changes while it is read: %s", location)
        return None
    return Sha256(digest.hexdigest()), GitBlob(blob.hexdigest()) if blob is not None else None


class Library:
    """All repositories below one folder.  Used by several threads at once."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self.hashes = Hashes()
        self._trees: OrderedDict[tuple[RepoKey, str], Tree] = OrderedDict()
        self._trees_lock = threading.Lock()

    def repositories(self) -> list[RepoKey]:
        """All repositories that the folder holds now, models first."""
        models = [
            RepoKey(owner=owner, name=name)
            for owner in _folders(self.root)
            if owner != DATASETS_FOLDER
            for name in _folders(os.path.join(self.root, owner))
        ]
        datasets = os.path.join(self.root, DATASETS_FOLDER)
        return models + [
            RepoKey(owner=owner, name=name, dataset=True)
            for owner in _folders(datasets)
            for name in _folders(os.path.join(datasets, owner))
        ]

    def find(self, key: RepoKey) -> "Repository | None":
        """The repository, or None."""
        if not _is_published_folder(key.owner) or not _is_published_folder(key.name):
            return None
        if not key.dataset and key.owner == DATASETS_FOLDER:
            return None
        parts = (DATASETS_FOLDER,) * key.dataset + (key.owner, key.name)
        folder = self.inside(os.path.join(self.root, *parts))
        return Repository(self, key, folder) if folder and os.path.isdir(folder) else None

    def inside(self, path: str) -> str | None:
        """The real path of `path`, or None when it is not below the root."""
        real = os.path.realpath(path)
        return real if real.startswith(os.path.join(self.root, "")) else None

    def remember(self, key: RepoKey, tree: Tree) -> None:
        """Keep a tree that was told to somebody, so that its commit stays addressable."""
        with self._trees_lock:
            self._trees[key, tree.commit] = tree
            self._trees.move_to_end((key, tree.commit))
            while len(self._trees) > REMEMBERED_TREES:
                self._trees.popitem(last=False)

    def remembered(self, key: RepoKey, commit: str) -> Tree | None:
        """A tree kept by `remember`, whether or not the disk still holds it."""
        with self._trees_lock:
            return self._trees.get((key, commit))


class Repository:
    """One repository; every question looks at the disk again."""

    def __init__(self, library: Library, key: RepoKey, folder: str) -> None:
        self._library = library
        self.key = key
        self._folder = folder

    def revisions(self) -> Revisions:
        """All branches, tags and detached commits as the disk holds them now."""
        branches = {name: self._tree(folder) for name, folder in self._revision_folders("branches")}
        if DEFAULT_BRANCH not in branches:
            own = self._tree(self._folder)
            if own.files or not branches:
                branches[DEFAULT_BRANCH] = own
        return Revisions(
            branches=branches,
            tags={name: self._tree(folder) for name, folder in self._revision_folders("tags")},
            detached=tuple(self._tree(folder) for _, folder in self._revision_folders("commits")),
        )

    def tree(self, revision: str) -> Tree | None:
        """The files of a branch, a tag or a commit; None when there is no such thing (any more)."""
        folder = self._folder_of(revision)
        if folder is not None:
            return self._tree(folder)
        if not is_commit(revision):
            return None
        kept = self._library.remembered(self.key, revision)
        if kept is not None and kept.is_current():
            return kept
        return self.revisions().at(revision)

    def file(self, revision: str, path: str) -> StoredFile | None:
        """One file of a revision, without listing all of them where that can be avoided."""
        folder = self._folder_of(revision)
        if folder is not None:
            location = self._locate(folder, path)
            return self._library.hashes.file(path, location) if location else None
        if not is_commit(revision):
            return None
        kept = self._library.remembered(self.key, revision)
        if kept is not None:
            stored = kept.files.get(path)
            if stored is None or stored.is_current():
                return stored
        tree = self.revisions().at(revision)
        return tree.files.get(path) if tree else None

    def _folder_of(self, revision: str) -> str | None:
        if not _is_published_folder(revision):
            return None
        for kind in ("branches", "tags"):
            folder = self._library.inside(os.path.join(self._folder, REVISIONS_FOLDER, kind, revision))
            if folder and os.path.isdir(folder):
                return folder
        return self._folder if revision == DEFAULT_BRANCH and self._has_own_master() else None

    def _has_own_master(self) -> bool:
        if next(self._revision_folders("branches"), None) is None:
            return True
        return next(_walk(self._folder), None) is not None

    def _revision_folders(self, kind: str) -> Iterator[tuple[str, str]]:
        parent = os.path.join(self._folder, REVISIONS_FOLDER, kind)
        for name in _folders(parent):
            folder = self._library.inside(os.path.join(parent, name))
            if folder:
                yield name, folder

    def _locate(self, folder: str, path: str) -> str | None:
        """The real place of a published file, or None for anything else."""
        if not _is_published_path(path):
            return None
        wanted = os.path.join(folder, path)
        if os.path.realpath(os.path.dirname(wanted)) != os.path.dirname(wanted):
            return None  # reached by a link to a folder
        return self._library.inside(wanted)

    def _tree(self, folder: str) -> Tree:
        hashes, found = self._library.hashes, {}
        for path, is_link in sorted(_walk(folder)):
            place = os.path.join(folder, path)
            location = self._library.inside(place) if is_link else place
            stored = hashes.file(path, location) if location else None
            if stored:
                found[path] = stored
        changed_s = max((file.stamp.mtime_ns for file in found.values()), default=0) // 10**9
        tree = Tree(commit=_commit_of(found), files=found, changed_s=changed_s)
        self._library.remember(self.key, tree)
        return tree


def _commit_of(files: Mapping[str, StoredFile]) -> Commit:
    lines = "".join(f"{path}\0{file.size}\0{file.sha256}\n" for path, file in files.items())
    return Commit(hashlib.sha256(lines.encode()).hexdigest()[:40])


def _walk(folder: str) -> Iterator[tuple[str, bool]]:
    """Published files in no order, and whether each is a link; links to folders are not followed."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, prefix)))
        except OSError as error:
            _log.warning("not published, cannot be listed: %s (%s)", prefix or folder, error)
            continue
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if _is_published_folder(entry.name):
                    pending.append(f"{path}/")
            elif _is_published_name(entry.name) and entry.is_file():
                yield path, entry.is_symlink()


def _folders(parent: str) -> list[str]:
    try:
        return sorted(e.name for e in os.scandir(parent) if e.is_dir() and _is_published_folder(e.name))
    except OSError:
        return []


def _is_published_folder(name: str) -> bool:
    return _is_plain(name) and not name.startswith(".")


def _is_published_name(name: str) -> bool:
    return _is_plain(name) and (not name.startswith(".") or name in PUBLISHED_DOT_FILES)


def _is_plain(name: str) -> bool:
    """Whether it is one part of a path that JSON and URLs can carry."""
    return bool(name) and "/" not in name and "\0" not in name and name.isprintable()


def _is_published_path(path: str) -> bool:
    *folders, name = path.split("/")
    return _is_published_name(name) and all(map(_is_published_folder, folders))
