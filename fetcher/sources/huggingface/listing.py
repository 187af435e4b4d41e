"""What the hub says of revisions, refs and files: JSON of its API in, core values out.

Unknown fields are ignored.  Pure: no request is sent from here.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from fetcher.core.content.texts import joined_license
from fetcher.core.digest import EMPTY_SHA256, Commit, GitBlob, Sha256, is_commit
from fetcher.core.interfaces import RemoteFile
from fetcher.core.paths import RepoPath
from fetcher.core.tags import Tag
from fetcher.net.redact import printable

MAX_PAGE = 100_000  # entries of one page; the hub itself sends 1000
MAX_SIZE = 1 << 50  # bytes of a file; more is a lie
_EMPTY_BLOB = GitBlob("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")


class Shape(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Revision(Shape):
    """A branch, tag or commit, resolved."""

    sha: str


class _Card(Shape):
    license: str | list[str] | None = None
    license_name: str | None = None


class About(Shape):
    """A repository at a commit: what its model card says."""

    card: _Card | None = Field(default=None, alias="cardData")
    tags: list[str] = Field(default=[], max_length=MAX_PAGE)

    @property
    def license(self) -> str | None:
        """As a lock has it; of the tags where the card is not told."""
        card = self.card or _Card()
        tagged = [tag.removeprefix("license:") for tag in self.tags if tag.startswith("license:")]
        return joined_license(card.license or tagged, card.license_name)


class CommitEntry(Shape):
    """One commit of a history."""

    id: str
    date: str = ""

    @property
    def committed_s(self) -> int | None:
        """Seconds since 1970."""
        try:
            return int(datetime.fromisoformat(self.date).timestamp())
        except (ValueError, OverflowError):
            return None


class User(Shape):
    """Whose token it is."""

    name: str


class _Ref(Shape):
    name: str


class _TagRef(_Ref):
    commit: str = Field(default="", alias="targetCommit")

    def to_core(self) -> Tag:
        """The tag; the hub tells no date of it."""
        return Tag(name=printable(self.name), commit=Commit(self.commit) if is_commit(self.commit) else None)


class Refs(Shape):
    """The names that exist."""

    branches: list[_Ref] = Field(default=[], max_length=MAX_PAGE)
    tags: list[_TagRef] = Field(default=[], max_length=MAX_PAGE)


class _Lfs(Shape):
    """A large file's own hash and size; the entry's `oid` is that of its pointer."""

    oid: str
    size: int


class Entry(Shape):
    """One file or folder of a listing."""

    kind: str = Field(alias="type")
    path: str
    oid: str | None = None
    size: int | None = None
    lfs: _Lfs | None = None

    def to_core(self) -> RemoteFile:
        """The entry as a file.

        Raises:
            ValueError: It is none, or its name, size or hash cannot be.
        """
        if self.kind != "file":
            raise ValueError(f"it is neither a file nor a folder but {printable(self.kind)!r}")
        path = RepoPath(self.path)
        size = self.size
        if size is None or not 0 <= size <= MAX_SIZE:
            raise ValueError(f"its size is {size}")
        if self.lfs is None:
            git_blob = GitBlob(self.oid or "")
            if (size == 0) != (git_blob == _EMPTY_BLOB):
                raise ValueError(f"its size is {size}, and its hash says otherwise")
            return RemoteFile(path=path, size=size, sha256=EMPTY_SHA256 if size == 0 else None, git_blob=git_blob)
        sha256 = Sha256(self.lfs.oid.removeprefix("sha256:"))
        if self.lfs.size != size:
            raise ValueError(f"its size is {size}, and as a large file {self.lfs.size}")
        if (size == 0) != (sha256 == EMPTY_SHA256):
            raise ValueError(f"its size is {size}, and its hash says otherwise")
        return RemoteFile(path=path, size=size, sha256=sha256)


HISTORY: TypeAdapter[list[CommitEntry]] = TypeAdapter(Annotated[list[CommitEntry], Field(max_length=MAX_PAGE)])
PAGE: TypeAdapter[list[Entry]] = TypeAdapter(Annotated[list[Entry], Field(max_length=MAX_PAGE)])
