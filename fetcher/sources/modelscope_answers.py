"""What ModelScope says of commits, refs and files: JSON of its API in, core values out.

Pure: no request is sent from here.  Loaded when a hub is asked for a listing, because pydantic
takes longer to load than a small file takes to fetch.
"""

from pydantic import BaseModel, ConfigDict, Field

from fetcher.core.digest import EMPTY_SHA256, Sha256
from fetcher.core.interfaces import RemoteFile
from fetcher.core.paths import RepoPath
from fetcher.core.tags import Tag
from fetcher.net.redact import printable

MAX_ENTRIES = 20_000  # of one answer; the hub itself cuts at 3000
_LATEST_S = 1 << 33  # the year 2242, in seconds; more is in other units
MAX_SIZE = 1 << 50  # bytes of a file; more is a lie


class Shape(BaseModel):
    """An answer, or a part of one; unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Entry(Shape):
    """One file or folder of a listing."""

    kind: str = Field(alias="Type")
    path: str = Field(alias="Path")
    size: int | None = Field(default=None, alias="Size")
    sha256: str | None = Field(default=None, alias="Sha256")
    revision: str | None = Field(default=None, alias="Revision")

    def to_core(self) -> RemoteFile:
        """The entry as a file.

        Raises:
            ValueError: It is none, or its name, size or hash cannot be.
        """
        if self.kind != "blob":
            raise ValueError(f"it is neither a file nor a folder but {printable(self.kind)!r}")
        path = RepoPath(self.path)
        if self.size is None or not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"its size is {self.size}")
        sha256 = Sha256((self.sha256 or "").lower())
        if (sha256 == EMPTY_SHA256) != (self.size == 0):
            raise ValueError(f"its size is {self.size}, and its hash says otherwise")
        return RemoteFile(path=path, size=self.size, sha256=sha256)


class _Committer(Shape):
    short_id: str | None = Field(default=None, alias="ShortId")


class Listing(Shape):
    """The entries of a folder or of a page."""

    files: list[Entry] | None = Field(alias="Files", max_length=MAX_ENTRIES)
    committer: _Committer | None = Field(default=None, alias="LatestCommitter")
    total: int | None = Field(default=None, alias="TotalCount")

    @property
    def short_id(self) -> str:
        """The head of what was listed, 8 hex digits; "" when the hub does not say."""
        return (self.committer and self.committer.short_id) or ""


class _CommitEntry(Shape):
    id: str = Field(alias="Id")
    committed_s: int | None = Field(default=None, alias="CommittedDate")


class Commits(Shape):
    """The last commits of a revision."""

    commits: list[_CommitEntry] | None = Field(default=None, alias="Commit")


class About(Shape):
    """A repository."""

    license: str | None = Field(default=None, alias="License")


class _Name(Shape):
    name: str = Field(alias="Revision")


class _TagName(_Name):
    created: object = Field(default=None, alias="CreatedAt")

    def to_core(self) -> Tag:
        """The tag; the hub tells no commit of it."""
        created = self.created
        is_moment = type(created) is int and 0 < created < _LATEST_S
        return Tag(name=printable(self.name), made_s=created if is_moment and isinstance(created, int) else None)


class _Names(Shape):
    branches: list[_Name] | None = Field(default=None, alias="Branches")
    tags: list[_TagName] | None = Field(default=None, alias="Tags")


class Revisions(Shape):
    """The branches and tags."""

    revisions: _Names = Field(alias="RevisionMap")
