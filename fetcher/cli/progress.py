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
from fetcher.watch import Event, Flat

_EVERY_S = 5.0  # between two lines where there is no terminal
_JSON_EVERY_S = 0.5  # between two events of progress


def events_of(style: Style, lines: "type[Lines] | None" = None) -> Events:
    """What `--progress` names; `auto` is bars if stderr is a terminal, else lines.

    Args:
        lines: The kind of lines, if other than those that begin at once.
    """
    if style is Style.none:
        return NoEvents()
    if style is Style.json:
        return JsonLines()
    if style is Style.auto and sys.stderr.isatty():
        from fetcher.cli.bars import bars  # rich is needed only where it is shown

        return bars() or (lines or Lines)()
    return (lines or Lines)()


class JsonLines(Flat):
    """One JSON object a line; the README lists the events."""

    def __init__(self) -> None:
        super().__init__(every_s=_JSON_EVERY_S)

    def tell(self, event: Event) -> None:
        """Print it."""
        render.event(json.dumps(event.facts(), ensure_ascii=False))


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


class LateLines(Lines):
    """Of what is over in a few seconds nothing is said: for commands whose subject is not the transfer."""

    def transfer_started(self, *, files: int, size: int, have: int) -> None:
        """Begin to count."""
        self.hashing_started(files=files, size=size)
        self._have = self._began_with = have


def retry_text(request: FetchRequest, reason: str, delay_s: float) -> str:
    return f"retry: {request.label}: {reason} Next try in {delay_s:.1f} s."
