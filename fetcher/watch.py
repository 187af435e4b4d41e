"""What happens in a run, as values, and a function that is called with each; the door for programs.

`Flat` makes one `Event` of each call of `Events`; `Listener` hands them to a function of the
caller's, which may end the run by raising.

Promises (tests/api/test_events.py):
  * the function is called by one thread at a time;
  * what it raises ends the run with its state saved, and is raised where the run was started;
  * after that it is not called again.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Literal

from fetcher.core.interfaces import FetchRequest, NoEvents
from fetcher.core.secrets import SECRETS
from fetcher.errors import InterruptedRun

EventKind = Literal[
    "transfer-started",
    "transfer-done",
    "progress",
    "file-started",
    "file-done",
    "file-failed",
    "retrying",
    "hashing-started",
    "hashing-done",
    "hashing",
    "note",
]
_EVERY_S = 0.1  # between two events of progress; a bar needs no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run; None where it does not apply.

    Attributes:
        event: What happened; the README's table "Progress" says which facts come with it.
        files: How many there are.
        file: Which file, as `NAME/path`.
        size: Bytes in all.
        have: Bytes of it that are here.
        reason: Why a try failed.
        delay_s: Seconds until the next try.
        error: Why a file was given up.
        text: What a person may want to know.
    """

    event: EventKind
    files: int | None = None
    file: str | None = None
    sha256: str | None = None
    size: int | None = None
    have: int | None = None
    reason: str | None = None
    delay_s: float | None = None
    error: str | None = None
    text: str | None = None

    def facts(self) -> dict[str, str | int | float]:
        """What applies, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


class Flat(NoEvents):
    """Makes one value of each event, and adds the bytes up.

    Args:
        every_s: Seconds at least between two `progress`.
    """

    def __init__(self, *, every_s: float) -> None:
        self._counting = threading.Lock()
        self._every_s = every_s
        self._size = self._have = 0
        self._said = 0.0

    def tell(self, event: Event) -> None:
        """Take an event; called from several threads."""
        raise NotImplementedError

    def transfer_started(self, *, files: int, size: int, have: int) -> None:
        """`transfer-started`."""
        self._size, self._have = size, have
        self.tell(Event(event="transfer-started", files=files, size=size, have=have))

    def file_started(self, request: FetchRequest, *, have: int) -> None:
        """`file-started`."""
        self.tell(Event(event="file-started", file=request.label, sha256=request.sha256, size=request.size, have=have))

    def bytes_received(self, request: FetchRequest, count: int) -> None:
        """`progress`, now and then."""
        if (have := self._advanced(count)) is not None:
            self.tell(Event(event="progress", have=have, size=self._size))

    def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
        """`retrying`."""
        self.tell(
            Event(event="retrying", file=request.label, reason=SECRETS.conceal(reason), delay_s=round(delay_s, 3))
        )

    def file_done(self, request: FetchRequest) -> None:
        """`file-done`."""
        self.tell(Event(event="file-done", file=request.label, sha256=request.sha256, size=request.size))

    def file_failed(self, request: FetchRequest, error: Exception) -> None:
        """`file-failed`."""
        self.tell(Event(event="file-failed", file=request.label, error=SECRETS.conceal(str(error).partition("\n")[0])))

    def transfer_done(self) -> None:
        """`transfer-done`."""
        self.tell(Event(event="transfer-done", have=self._have, size=self._size))

    def hashing_started(self, *, files: int, size: int) -> None:
        """`hashing-started`."""
        self._size, self._have = size, 0
        self.tell(Event(event="hashing-started", files=files, size=size))

    def bytes_hashed(self, count: int) -> None:
        """`hashing`, now and then."""
        if (have := self._advanced(count)) is not None:
            self.tell(Event(event="hashing", have=have, size=self._size))

    def hashing_done(self) -> None:
        """`hashing-done`."""
        self.tell(Event(event="hashing-done", have=self._have, size=self._size))

    def note(self, text: str) -> None:
        """`note`."""
        self.tell(Event(event="note", text=SECRETS.conceal(text)))

    def _advanced(self, count: int) -> int | None:
        """Bytes so far, if it is time to say so."""
        with self._counting:
            self._have += count
            now = time.monotonic()
            if now - self._said < self._every_s:
                return None
            self._said = now
            return self._have


class Listener(Flat):
    """Calls a function with each event; what it raises ends the run.

    Attributes:
        stop: Set by what the function raises; it is the run's own.
    """

    def __init__(self, call: Callable[[Event], object]) -> None:
        super().__init__(every_s=_EVERY_S)
        self.stop = threading.Event()
        self._call = call
        self._calling = threading.RLock()
        self._failure: BaseException | None = None

    def tell(self, event: Event) -> None:
        """Call the function, unless it has raised."""
        with self._calling:
            if self._failure is not None:
                return
            try:
                self._call(event)
            except BaseException as error:  # noqa: BLE001  raised where the run was started
                self._failure = error
                self.stop.set()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Around a run: raise what the function has raised, once the run has saved its state."""
        try:
            yield
        except InterruptedRun:
            self._raise()
            raise
        self._raise()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            self.stop.clear()
            raise failure
