"""Progress while bytes move: bars on a terminal, a line every few seconds elsewhere, JSON for programs.

All watch through the same door (core.interfaces.Events); all write to stderr.
"""

import json
import sys
import threading
import time

from fetcher.cli import render
from fetcher.cli.common import Notes, Style
from fetcher.core.interfaces import Events, FetchRequest, NoEvents
from fetcher.core.units import count_text, size_text

_EVERY_S = 5.0  # between two lines where there is no terminal
_JSON_EVERY_S = 0.5  # between two events of progress


def events_of(style: Style) -> Events:
    """What `--progress` names; `auto` is bars if stderr is a terminal, else lines."""
    if style is Style.none:
        return NoEvents()
    if style is Style.json:
        return JsonLines()
    if style is Style.auto and sys.stderr.isatty():
        from fetcher.cli.bars import bars  # rich is needed only where it is shown

        return bars() or Lines()
    return Lines()


class JsonLines(NoEvents):
    """One JSON object a line; the README lists the events."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._size = self._have = 0
        self._said = 0.0

    def transfer_started(self, *, files: int, size: int, have: int) -> None:
        """`transfer-started`."""
        self._size, self._have = size, have
        self._tell("transfer-started", files=files, size=size, have=have)

    def file_started(self, request: FetchRequest, *, have: int) -> None:
        """`file-started`."""
        self._tell("file-started", file=request.label, sha256=request.sha256, size=request.size, have=have)

    def bytes_received(self, request: FetchRequest, count: int) -> None:
        """`progress`, twice a second at most."""
        if (have := self._advanced(count)) is not None:
            self._tell("progress", have=have, size=self._size)

    def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
        """`retrying`."""
        self._tell("retrying", file=request.label, reason=reason, delay_s=round(delay_s, 3))

    def file_done(self, request: FetchRequest) -> None:
        """`file-done`."""
        self._tell("file-done", file=request.label, sha256=request.sha256, size=request.size)

    def file_failed(self, request: FetchRequest, error: Exception) -> None:
        """`file-failed`."""
        self._tell("file-failed", file=request.label, error=str(error).partition("\n")[0])

    def transfer_done(self) -> None:
        """`transfer-done`."""
        self._tell("transfer-done", have=self._have, size=self._size)

    def hashing_started(self, *, files: int, size: int) -> None:
        """`hashing-started`."""
        self._size, self._have = size, 0
        self._tell("hashing-started", files=files, size=size)

    def bytes_hashed(self, count: int) -> None:
        """`hashing`, twice a second at most."""
        if (have := self._advanced(count)) is not None:
            self._tell("hashing", have=have, size=self._size)

    def hashing_done(self) -> None:
        """`hashing-done`."""
        self._tell("hashing-done", have=self._have, size=self._size)

    def note(self, text: str) -> None:
        """`note`."""
        self._tell("note", text=text)

    def _advanced(self, count: int) -> int | None:
        """Bytes so far, if it is time to say so."""
        with self._mutex:
            self._have += count
            now = time.monotonic()
            if now - self._said < _JSON_EVERY_S:
                return None
            self._said = now
            return self._have

    def _tell(self, event: str, **facts: object) -> None:
        render.event(json.dumps({"event": event, **facts}, ensure_ascii=False))


class Lines(Notes):
    """One line every few seconds: for logs and pipes."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._size = self._have = self._began_with = 0
        self._began = self._said = 0.0

    def transfer_started(self, *, files: int, size: int, have: int) -> None:
        """Begin to count."""
        self._size, self._have, self._began_with = size, have, have
        self._began = self._said = time.monotonic()
        kept = f", {size_text(have)} of it here already" if have else ""
        render.say(f"Fetching {count_text(files, 'file')}, {size_text(size)}{kept}.")

    def hashing_started(self, *, files: int, size: int) -> None:
        """Begin to count; what takes no time is not told."""
        self._size, self._have, self._began_with = size, 0, 0
        self._began = self._said = time.monotonic()

    def bytes_hashed(self, count: int) -> None:
        """Say how far it is, every few seconds."""
        self._advance(count)

    def bytes_received(self, request: FetchRequest, count: int) -> None:
        """Say how far it is, every few seconds."""
        self._advance(count)

    def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
        """Say that a try failed."""
        render.say(retry_text(request, reason, delay_s))

    def _advance(self, count: int) -> None:
        with self._mutex:
            self._have += count
            now = time.monotonic()
            if now - self._said < _EVERY_S:
                return
            self._said = now
            line = self._line(now)
        render.say(line)

    def _line(self, now: float) -> str:
        speed = (self._have - self._began_with) / max(now - self._began, 0.001)
        left = f", {(self._size - self._have) / speed:.0f} s left" if speed > 0 else ""
        share = 100 * self._have / self._size if self._size else 100
        return f"{share:.0f} % of {size_text(self._size)}, {size_text(speed)}/s{left}"


def retry_text(request: FetchRequest, reason: str, delay_s: float) -> str:
    return f"retry: {request.label}: {reason} Next try in {delay_s:.1f} s."
