"""A worker's connection (office.Slot).

Not in here: how many connections a host has (links.py), who waits for one (pool.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from fetcher.transfer.links import Link


class Desk(Protocol):
    """What a slot needs of the run (`pool.Pool`)."""

    clock: Callable[[], float]

    def give(self, slot: "Slot", link: Link, *, waits: bool) -> bool: ...
    def take_back(self, slot: "Slot") -> None: ...
    def came(self, slot: "Slot", link: Link, count: int) -> None: ...
    def keep_waiting(self, link: Link) -> None: ...
    def let_go(self, link: Link) -> None: ...
    def answered(self, link: Link, seconds: float | None) -> None: ...


class Slot:
    """A worker's connection (office.Slot)."""

    def __init__(self, desk: Desk, *, waits: bool) -> None:
        self._desk = desk
        self._waits = waits
        self._flows = False
        self.link: Link | None = None
        self.is_ahead = False  # its requests may have been sent long before their turn

    def hold(self, link: Link) -> bool:
        if self.link is link and not link.is_crowded() and self._desk.clock() >= link.silent_until_s:
            return True
        self.release()
        return self._desk.give(self, link, waits=self._waits)

    def release(self) -> None:
        self._desk.take_back(self)

    def came(self, count: int) -> None:
        if self.link is not None:
            self._desk.came(self, self.link, count)

    @contextmanager
    def held(self) -> Iterator[None]:
        link = self.link
        if link is not None:
            self._desk.keep_waiting(link)
        try:
            yield
        finally:
            if link is not None:
                self._desk.let_go(link)

    def answered(self, link: Link, seconds: float) -> None:
        self._desk.answered(link, None if self.is_ahead else seconds)

    def flows(self, link: Link) -> None:
        """Take note that bytes come; the run's lock is held."""
        if not self._flows:
            self._flows = True
            link.flowing += 1

    def given(self, link: Link) -> None:
        """Take note of a connection; the run's lock is held."""
        self.link = link
        link.at_work += 1

    def returned(self) -> None:
        """Take note that it is gone; the run's lock is held."""
        if self.link is not None:
            self.link.at_work -= 1
            self.link.flowing -= int(self._flows)
        self.link, self._flows = None, False
