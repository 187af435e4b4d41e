"""The connections of a run: who has one, what they bring, and when they wait (office.Office).

Not in here: how many a host is worth (links.py), who does what with them (run.py).
"""

import threading
import time
from collections.abc import Callable

from fetcher.core.connections import Load
from fetcher.core.interfaces import Candidate, Events
from fetcher.core.pace import Pace
from fetcher.errors import InterruptedRun
from fetcher.transfer.jobs import TransferSettings
from fetcher.transfer.line import Line
from fetcher.transfer.links import Link, Links
from fetcher.transfer.slot import Slot

TICK_S = 0.05  # how often one who waits looks around

Sleep = Callable[[float], object]


class Pool:
    """Shared by all workers of a run.

    Args:
        links: Guarded by `changed`, as all that the run decides with them.
        stop: Set from outside to end the run.
        sleep: Waits between tries; None waits for real, until the run is over at most.
        wakes: Whether those that wait are told of a connection given back; `changed` is held.
    """

    def __init__(
        self,
        links: Links,
        *,
        settings: TransferSettings,
        events: Events,
        stop: threading.Event,
        clock: Callable[[], float],
        sleep: Sleep | None,
        wakes: Callable[[], bool],
    ) -> None:
        self.settings = settings
        self.events = events
        self.clock = clock
        self.changed = threading.Condition()
        self.links = links
        self._stop = stop
        self._ended = threading.Event()  # stopped, or a worker met a bug, or the caller an exception
        self.sleep = sleep or self._ended.wait
        self._wakes = wakes
        self._load = Load(cores=settings.cores)
        self._lines: set[Line] = set()
        self._shown = 0  # connections, as last said to the events
        self._pace = Pace(settings.limit_rate) if settings.limit_rate else None
        self._pace_lock = threading.Lock()

    # the run

    def end(self) -> None:
        """Let nobody begin anything more."""
        self._ended.set()

    def is_over(self) -> bool:
        """Whether the run is to end."""
        return self._ended.is_set() or self._stop.is_set()

    def look(self, *, is_wanted: bool, is_many: bool) -> None:
        """Let the number of connections follow what they bring; `changed` is held."""
        now = self.clock()
        is_busy = self._load.is_high(now, time.process_time())
        for link in self.links.all():
            link.look(now, is_wanted=is_wanted and not is_busy, is_many=is_many)

    def show(self) -> None:
        """Say how many connections there are, if that has changed."""
        with self.changed:
            shown, self._shown = self._shown, self.links.connections
        if shown != self._shown:
            self.events.connections(self._shown)

    def reserve(self, slot: Slot, candidate: Candidate) -> bool:
        """Give a slot a connection to a candidate's host, if there is one now; `changed` is held."""
        link = self.links.of(candidate)
        if not link.has_room(self.clock()):
            return False
        slot.given(link)
        return True

    def end_stalled(self) -> None:
        """End the replies that bring nothing."""
        for line in self._open_lines():
            line.look()

    def end_all(self) -> None:
        """End all replies, whatever their readers do."""
        for line in self._open_lines():
            line.end()

    def _open_lines(self) -> list[Line]:
        with self.changed:
            return list(self._lines)

    # its workers (office.Office, slot.Desk)

    def check_stop(self) -> None:
        if self.is_over():
            raise InterruptedRun("Interrupted; what was received is kept.")

    def pause(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)
        self.check_stop()

    def link(self, candidate: Candidate) -> Link:
        with self.changed:
            return self.links.of(candidate)

    def give(self, slot: Slot, link: Link, *, waits: bool) -> bool:
        """Get a connection of a link for a slot."""
        while True:
            self.check_stop()
            with self.changed:
                silence = link.silent_until_s - self.clock()
                if silence <= 0 and link.at_work < link.allowed:
                    slot.given(link)
                    return True
                if not waits:
                    return False
                if silence <= 0:
                    self.changed.wait(TICK_S)
            if silence > 0:
                self.pause(silence)

    def take_back(self, slot: Slot) -> None:
        """Give a slot's connection back."""
        if slot.link is not None:
            with self.changed:
                slot.returned()
                self.wake()

    def wake(self) -> None:
        """Wake those that wait, if it is of use; `changed` is held."""
        if self._wakes():
            self.changed.notify_all()

    def came(self, slot: Slot, link: Link, count: int) -> None:
        """Take note of bytes that came over a slot's connection."""
        with self.changed:
            link.came(count)
            slot.flows(link)

    def keep_waiting(self, link: Link) -> None:
        """Take note that bytes of a connection wait for the disk and the hash."""
        with self.changed:
            link.keep_waiting(self.clock())

    def let_go(self, link: Link) -> None:
        """Take note that they were taken."""
        with self.changed:
            link.let_go(self.clock())

    def be_silent(self, link: Link, seconds: float) -> None:
        with self.changed:
            link.be_silent(self.clock() + seconds)

    def answered(self, link: Link, seconds: float | None) -> None:
        """Take note of an answer, and of the time since its request where that was sent in its turn."""
        with self.changed:
            link.answered(seconds)

    def grain(self, count: int) -> int:
        return min(count, self._pace.grain) if self._pace else count

    def spend(self, line: Line, count: int) -> None:
        if self._pace is None:
            return
        with self._pace_lock:
            wait_s = self._pace.spend(count, self.clock())
        if wait_s > 0:
            line.rest(self.pause, wait_s)

    def watch(self, line: Line) -> None:
        with self.changed:
            self._lines.add(line)

    def unwatch(self, line: Line) -> None:
        with self.changed:
            self._lines.discard(line)
