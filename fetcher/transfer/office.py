"""The doors between a fetch and the run that it belongs to."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from fetcher.core.interfaces import Candidate, Events
from fetcher.transfer.jobs import TransferSettings
from fetcher.transfer.line import Line
from fetcher.transfer.links import Link


class Slot(Protocol):
    """A worker's right to one connection."""

    def hold(self, link: Link) -> bool:
        """Get a connection of a link, instead of any other; waits, or says that there is none."""
        ...

    def release(self) -> None:
        """Give the connection back."""
        ...

    def came(self, count: int) -> None:
        """Take note of bytes that came over it."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """As long as the disk and the hash take its bytes."""
        ...

    def answered(self, link: Link, seconds: float) -> None:
        """Take note of the time from a request to its answer."""
        ...


class Office(Protocol):
    """What a fetch needs of the run that it belongs to."""

    settings: TransferSettings
    events: Events
    clock: Callable[[], float]

    def check_stop(self) -> None:
        """Raise InterruptedRun if the run is over."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is over."""
        ...

    def link(self, candidate: Candidate) -> Link:
        """What is known of a candidate's host."""
        ...

    def be_silent(self, link: Link, seconds: float) -> None:
        """Begin no request to a host for a while."""
        ...

    def grain(self, count: int) -> int:
        """How many of `count` bytes to ask for at once."""
        ...

    def spend(self, line: Line, count: int) -> None:
        """Take note of bytes; waits if the run is faster than it may be."""
        ...

    def watch(self, line: Line) -> None:
        """Look after a reply from now on."""
        ...

    def unwatch(self, line: Line) -> None:
        """Look after it no longer."""
        ...
