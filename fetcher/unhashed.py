"""The sha256 of files that no listing tells: from the lock, from the store, else from the bytes.

A hub that lists git blobs, a URL, a git remote: each file of a lock has a sha256 all the
same.  What must be fetched for it goes through the transfer engine into the store, all
models together, proven by its git blob where the listing has one.  sync finds it there.

Promises (tests/test_unhashed.py):
  * at an unchanged commit nothing is fetched again, wherever the store is;
  * a file that did not change from one commit to the next is not fetched while the store has it;
  * bytes that are not those of the listing are never hashed into a lock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fetcher.core.digest import Commit, GitBlob, Sha256
from fetcher.core.interfaces import Candidate, FetchRequest, RemoteAddress, RemoteFile, Source
from fetcher.core.lock import LockedFile
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import ModelName, RepoPath


class Hasher(Protocol):
    """Has the engine and the store: `transfer.unhashed.StoreHasher`."""

    def fetch(self, requests: Sequence[FetchRequest]) -> Sequence[Sha256]:
        """Bring objects into the store; the sha256 of each, in order."""
        ...

    def holds(self, sha256: Sha256, size: int, git_blob: GitBlob) -> bool:
        """Whether the store has an object that is that git blob."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """What a file may well be; `git_blob` where another listing tells it."""

    file: LockedFile
    git_blob: GitBlob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """One place of a model's files, at one commit.

    Attributes:
        files: Those that are wanted, as listed there.
        sources: Who sends them, best first; the first one listed them.
        pinned: The lock's files of this very commit.
        likely: Guesses, to be proven.
    """

    model: ModelName
    ref: SourceRef
    commit: Commit
    files: tuple[RemoteFile, ...]
    sources: tuple[Source, ...]
    pinned: Mapping[RepoPath, LockedFile] = field(default_factory=dict)
    likely: Mapping[RepoPath, Likely] = field(default_factory=dict)


def hashed(homes: Sequence[Home], hasher: Hasher) -> list[tuple[LockedFile, ...]]:
    """The files of each home with their sha256; one transfer for all that must be fetched.

    Raises:
        FetcherError: Bytes could not be had, or are not those of the listing.
    """
    told = [{file.path: _told(home, file, hasher) for file in home.files} for home in homes]
    unknown = [
        (place, file) for place, home in enumerate(homes) for file in home.files if told[place][file.path] is None
    ]
    if unknown:
        found = hasher.fetch([_request(homes[place], file) for place, file in unknown])
        for (place, file), sha256 in zip(unknown, found, strict=True):
            told[place][file.path] = sha256
    return [tuple(_locked(home.files, digests)) for home, digests in zip(homes, told, strict=True)]


def _told(home: Home, file: RemoteFile, hasher: Hasher) -> Sha256 | None:
    """The sha256 as far as it can be had without the file's bytes."""
    if file.sha256 is not None:
        return file.sha256
    pinned = home.pinned.get(file.path)
    if pinned is not None and pinned.size == file.size:
        return pinned.sha256
    likely = home.likely.get(file.path)
    if likely is None or file.git_blob is None or likely.file.size != file.size:
        return None
    if likely.git_blob is None:
        is_it = hasher.holds(likely.file.sha256, file.size, file.git_blob)
    else:
        is_it = likely.git_blob == file.git_blob
    return likely.file.sha256 if is_it else None


def _request(home: Home, file: RemoteFile) -> FetchRequest:
    """Bytes that nothing proves are those of who listed them; mirrors may send what can be proven."""
    sources = home.sources if file.git_blob else home.sources[:1]
    address = RemoteAddress(ref=home.ref, commit=home.commit, path=file.path, size=file.size, sha256=None)
    return FetchRequest(
        label=f"{home.model}/{file.path}",
        sha256=None,
        size=file.size,
        git_blob=file.git_blob,
        candidates=tuple(Candidate(source=source, address=address) for source in sources),
    )


def _locked(files: Iterable[RemoteFile], digests: Mapping[RepoPath, Sha256 | None]) -> Iterable[LockedFile]:
    for file in files:
        sha256 = digests[file.path]
        if sha256 is None:
            raise AssertionError(f"{file.path} was not hashed")
        yield LockedFile(path=file.path, sha256=sha256, size=file.size)
