"""The doors between the rooms: what a source is, what a body is, what is told to a watcher (events.py).

Words: a *snapshot* is what a source says a repository holds at one commit.  A *body* is
the bytes of one reply, on their way.  A *candidate* is one place where a digest can be had.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from fetcher.core.digest import Commit, Expected, GitBlob, Sha256
from fetcher.core.events import Events as Events
from fetcher.core.events import NoEvents as NoEvents
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.core.tags import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a snapshot.

    Attributes:
        size: Bytes.
        sha256: None where the listing does not tell it; it is then hashed at lock time.
        git_blob: Id of the git blob, where the listing tells that instead.
        obstacle: Why it cannot be taken, such as `a symbolic link`; size and hashes say nothing then.
        version: What the server calls this version of the file (ETag, else Last-Modified), where it tells no hash.
    """

    path: RepoPath
    size: int
    sha256: Sha256 | None
    git_blob: GitBlob | None = None
    obstacle: str | None = None
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The full file list of a repository at one commit; paths are safe and without twins."""

    ref: SourceRef
    commit: Commit
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAddress:
    """One file at one commit, as a source needs it to send bytes.

    Attributes:
        size: Bytes.
        sha256: None while the model is being locked and no listing tells it.
    """

    ref: SourceRef
    commit: Commit
    path: RepoPath
    size: int
    sha256: Sha256 | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the head of a reply says about the bytes that follow.

    Attributes:
        status: HTTP status code; 200 where there is no HTTP.
        first: First byte position of Content-Range, None without that header.
        total: Full size in bytes that the server claims, None when it does not.
        length: Content-Length of this reply in bytes, None when unknown.
        content_type: Media type in lower case, "" when unknown.
        host: Who answered, for messages.
        stamp: What the server calls this version of the file (ETag, else Last-Modified),
            "" when it does not say.
    """

    status: int
    first: int | None = None
    total: int | None = None
    length: int | None = None
    content_type: str = ""
    host: str = ""
    stamp: str = ""


class Closing(Protocol):
    """Closed at the end of its `with` block."""

    def close(self) -> None:
        """Release what is held; may be called twice."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Body(Closing, Protocol):
    """The bytes of one reply.  Closing early is always allowed."""

    @property
    def head(self) -> Head:
        """What the reply's head said."""
        ...

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` from its start; returns the number of bytes, 0 only at the end.

        Raises:
            SourceError: The connection was cut or stalled (`transient`).
        """
        ...


class Source(Protocol):
    """A place where bytes come from.  Used by several threads at once."""

    @property
    def label(self) -> str:
        """Its name in messages, such as `modelscope.cn`; never holds a secret."""
        ...

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        """Resolve a revision to its commit and list all files at that commit.

        Raises:
            NotFoundError: No such repository or revision; names those that exist.
            AuthError: The repository needs a token or refuses the one given.
            SourceError: It does not answer, or not in a way that is understood.
            IntegrityError: The listing holds a hostile name, size or hash.
        """
        ...

    def open(self, address: RemoteAddress, start: int, stop: int) -> Body:
        """Ask for the bytes `start` (included) to `stop` (excluded) of a file.

        The reply may cover another range than asked for: `Body.head` says which, and
        core/download.py judges it.

        Raises:
            NotFoundError, AuthError, SourceError: As for `snapshot`.
        """
        ...

    def close(self) -> None:
        """Release all connections."""
        ...


@runtime_checkable
class Unlisted(Protocol):
    """A source that cannot list what it has: it tells of files by name."""

    def look(self, ref: SourceRef, names: Sequence[RepoPath]) -> Snapshot:
        """The files of these names, as they are now.

        Raises:
            NotFoundError, AuthError, SourceError: As for `Source.snapshot`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a source says of a commit beside its files; None is what it does not tell.

    Attributes:
        license: As a lock has it, such as `apache-2.0`.
        committed_s: When the commit was made, in seconds since 1970.
    """

    license: str | None = None
    committed_s: int | None = None


@runtime_checkable
class Describing(Protocol):
    """A source that tells more of a commit than its files."""

    def describe(self, ref: SourceRef, commit: Commit, wanted: frozenset[str]) -> Description:
        """Ask for what is wanted: `license`, `committed`.

        Raises:
            NotFoundError, AuthError, SourceError: As for `Source.snapshot`.
        """
        ...


@runtime_checkable
class Tagging(Protocol):
    """A source that tells the tags of a repository."""

    def tags(self, ref: SourceRef) -> tuple[Tag, ...]:
        """All of them, in any order.

        Raises:
            NotFoundError, AuthError, SourceError: As for `Source.snapshot`.
        """
        ...


@runtime_checkable
class AskedAhead(Protocol):
    """A source that may be asked for several files before the first of them has come."""

    def ahead(self, addresses: Sequence[RemoteAddress]) -> AbstractContextManager[None]:
        """In the block the calling thread opens these files whole, in this order."""
        ...


@runtime_checkable
class SendsWhole(Protocol):
    """A source that may send a small file in one piece."""

    def whole(self, address: RemoteAddress) -> bytes | None:
        """All bytes of a file, not proven; None where it must be opened to learn more, after an error too."""
        ...

    def wake(self) -> None:
        """End what other threads wait for in `whole`."""
        ...


@runtime_checkable
class OnThisMachine(Protocol):
    """A source whose files can be hashed where they are."""

    def path_of(self, address: RemoteAddress) -> Path:
        """Where a file is.

        Raises:
            NotFoundError: It is no longer there.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One place where a digest can be had."""

    source: Source
    address: RemoteAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """One digest to be fetched, with the places to try, best first.

    Attributes:
        label: How the file is called in messages, such as `gpt2/config.json`.
        sha256: None at lock time, where no listing tells it.
        size: Bytes.
        git_blob: Proves the bytes where `sha256` cannot.
    """

    label: str
    sha256: Sha256 | None
    size: int
    candidates: tuple[Candidate, ...]
    git_blob: GitBlob | None = None

    @property
    def expected(self) -> Expected:
        """What its bytes must be."""
        origin = ""
        if self.candidates and not (self.sha256 or self.git_blob):
            address = self.candidates[0].address
            origin = f"{address.ref}@{address.commit}/{address.path}"
        return Expected(size=self.size, sha256=self.sha256, git_blob=self.git_blob, origin=origin)

    @property
    def name(self) -> Sha256:
        """What it is called on its way: its sha256 where that is known."""
        return self.sha256 or self.expected.name
