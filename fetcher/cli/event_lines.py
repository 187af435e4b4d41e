"""What `--progress json` prints, a line each, as types; made from watch.Event, which leaves out what does not apply.

Promise (tests/cli/test_documents.py): each line that is printed is one of these, and has no other keys.
"""

from typing import (
    Literal,
    NotRequired,  # pydantic reads these only, before Python 3.12
)

from typing_extensions import TypedDict


class Started(TypedDict):
    """A transfer, or hashing, begins; `have` are bytes of it that are here already."""

    event: Literal["transfer-started"]
    files: int
    size: int
    have: int


class HashingStarted(TypedDict):
    """Hashing begins; `size` in bytes."""

    event: Literal["hashing-started"]
    files: int
    size: int


class Counted(TypedDict):
    """How many bytes of `size` are here, or hashed; twice a second at most, and at the end."""

    event: Literal["progress", "transfer-done", "hashing", "hashing-done"]
    have: int
    size: int


class FileStarted(TypedDict):
    """A file is asked for; `sha256` is missing while no listing has told it."""

    event: Literal["file-started"]
    file: str
    sha256: NotRequired[str]
    size: int
    have: int


class FileDone(TypedDict):
    """A file has come, and is proven."""

    event: Literal["file-done"]
    file: str
    sha256: NotRequired[str]
    size: int


class FileFailed(TypedDict):
    """A file was given up."""

    event: Literal["file-failed"]
    file: str
    error: str


class Retrying(TypedDict):
    """A try failed; the next one is in `delay_s` seconds."""

    event: Literal["retrying"]
    file: str
    reason: str
    delay_s: float


class Note(TypedDict):
    """What a person may want to know."""

    event: Literal["note"]
    text: str


EVENTS: tuple[type, ...] = (
    Started,
    HashingStarted,
    Counted,
    FileStarted,
    FileDone,
    FileFailed,
    Retrying,
    Note,
)
