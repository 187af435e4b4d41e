"""What is told to whoever watches a run.

A module of its own, because the command line needs no other door (interfaces.py) to say what a command does.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fetcher.core.interfaces import FetchRequest


class Events(Protocol):
    """Watches a run; called from several threads.  `NoEvents` does nothing."""

    def transfer_started(self, *, files: int, size: int, have: int) -> None:
        """A transfer begins: files, their bytes, and the bytes already on disk."""

    def file_started(self, request: "FetchRequest", *, have: int) -> None:
        """A file begins; `have` bytes of it are on disk already."""

    def bytes_received(self, request: "FetchRequest", count: int) -> None:
        """`count` more bytes are on disk; negative when a partial was thrown away."""

    def retrying(self, request: "FetchRequest", *, reason: str, delay_s: float) -> None:
        """A try failed and the next begins after `delay_s` seconds."""

    def file_done(self, request: "FetchRequest") -> None:
        """A file is verified and in the store."""

    def file_failed(self, request: "FetchRequest", error: Exception) -> None:
        """A file was given up."""

    def transfer_done(self) -> None:
        """The transfer ended, well or not."""

    def connections(self, count: int) -> None:
        """So many connections are in use from now on."""

    def hashing(self, label: str, size: int) -> None:
        """`size` bytes of a file on disk are about to be hashed."""

    def hashing_started(self, *, files: int, size: int) -> None:
        """Files on disk are about to be proven, or hashed to be locked: at most so many, and their bytes."""

    def bytes_hashed(self, count: int) -> None:
        """`count` more bytes of files on disk were hashed."""

    def hashing_done(self) -> None:
        """That ended, well or not."""

    def note(self, text: str) -> None:
        """Something that a person may want to know (a pattern that matched nothing)."""


class NoEvents:
    """Events that go nowhere."""

    def transfer_started(self, *, files: int, size: int, have: int) -> None: ...
    def file_started(self, request: "FetchRequest", *, have: int) -> None: ...
    def bytes_received(self, request: "FetchRequest", count: int) -> None: ...
    def retrying(self, request: "FetchRequest", *, reason: str, delay_s: float) -> None: ...
    def file_done(self, request: "FetchRequest") -> None: ...
    def file_failed(self, request: "FetchRequest", error: Exception) -> None: ...
    def transfer_done(self) -> None: ...
    def connections(self, count: int) -> None: ...
    def hashing(self, label: str, size: int) -> None: ...
    def hashing_started(self, *, files: int, size: int) -> None: ...
    def bytes_hashed(self, count: int) -> None: ...
    def hashing_done(self) -> None: ...
    def note(self, text: str) -> None: ...
