"""Progress while bytes move: bars on a terminal, a line every few seconds elsewhere, JSON for programs.

All watch through the same door (core.interfaces.Events); all write to stderr.
"""

import json
import threading
import time

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fetcher.cli import render
from fetcher.cli.common import Notes, Style
from fetcher.core.interfaces import Events, FetchRequest, NoEvents
from fetcher.core.secrets import SECRETS
from fetcher.core.units import count_text, size_text

_EVERY_S = 5.0  # between two lines where there is no terminal
_JSON_EVERY_S = 0.5  # between two events of progress
_NARROW, _WIDE = 64, 90  # columns of a terminal
_BARS = 8  # of single files, below the total


def watcher(style: Style) -> Events:
    """What `--progress` names; `auto` is bars if stderr is a terminal, else lines."""
    if style is Style.none:
        return NoEvents()
    if style is Style.json:
        return JsonLines()
    console = Console(stderr=True)
    bars = style is Style.auto and console.is_terminal and not console.is_dumb_terminal
    return Bars(console) if bars else Lines()


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
        with self._mutex:
            self._have += count
            now = time.monotonic()
            if now - self._said < _JSON_EVERY_S:
                return
            self._said = now
            have = self._have
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

    def note(self, text: str) -> None:
        """`note`."""
        self._tell("note", text=text)

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

    def bytes_received(self, request: FetchRequest, count: int) -> None:
        """Say how far it is, every few seconds."""
        with self._mutex:
            self._have += count
            now = time.monotonic()
            if now - self._said < _EVERY_S:
                return
            self._said = now
            line = self._line(now)
        render.say(line)

    def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
        """Say that a try failed."""
        render.say(_retry_text(request, reason, delay_s))

    def _line(self, now: float) -> str:
        speed = (self._have - self._began_with) / max(now - self._began, 0.001)
        left = f", {(self._size - self._have) / speed:.0f} s left" if speed > 0 else ""
        share = 100 * self._have / self._size if self._size else 100
        return f"{share:.0f} % of {size_text(self._size)}, {size_text(speed)}/s{left}"


class Bars(NoEvents):
    """A bar for the total and one for each file on its way."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(*_columns(console.width), console=console, transient=True)
        self._width = console.width
        self._mutex = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._total: TaskID | None = None
        self._files = self._done = 0

    def transfer_started(self, *, files: int, size: int, have: int) -> None:
        """Show the total."""
        self._files = files
        self._total = self._progress.add_task(self._count_text(), total=size, completed=have)
        self._progress.start()
        self._progress.console.show_cursor(True)  # a shell that gets the terminal by Ctrl-Z needs it

    def file_started(self, request: FetchRequest, *, have: int) -> None:
        """Show the file, while there is room."""
        with self._mutex:
            if request.name not in self._tasks and len(self._tasks) < _BARS:
                label = _cropped(request.label, self._width // 3)
                self._tasks[request.name] = self._progress.add_task(label, total=request.size, completed=have)

    def bytes_received(self, request: FetchRequest, count: int) -> None:
        """Move the bars."""
        if self._total is not None:
            self._progress.advance(self._total, count)
        task = self._tasks.get(request.name)
        if task is not None:
            self._progress.advance(task, count)

    def retrying(self, request: FetchRequest, *, reason: str, delay_s: float) -> None:
        """Say it above the bars."""
        text = SECRETS.conceal(_retry_text(request, reason, delay_s))
        self._progress.console.print(text, markup=False, highlight=False)

    def file_done(self, request: FetchRequest) -> None:
        """Take the file's bar away."""
        self._drop(request)

    def file_failed(self, request: FetchRequest, error: Exception) -> None:
        """Take the file's bar away."""
        self._drop(request)

    def transfer_done(self) -> None:
        """Take all bars away."""
        self._progress.stop()

    def note(self, text: str) -> None:
        """Say it above the bars."""
        self._progress.console.print(f"note: {SECRETS.conceal(text)}", markup=False, highlight=False)

    def _drop(self, request: FetchRequest) -> None:
        with self._mutex:
            self._done += 1
            task = self._tasks.pop(request.name, None)
        if task is not None:
            self._progress.remove_task(task)
        if self._total is not None:
            self._progress.update(self._total, description=self._count_text())

    def _count_text(self) -> str:
        return f"{self._done}/{count_text(self._files, 'file')}"


class _Speed(ProgressColumn):
    """Bytes per second in the units of the sizes beside it."""

    def render(self, task: Task) -> Text:
        """The smoothed speed; nothing before the first bytes."""
        speed = task.finished_speed or task.speed
        return Text(f"{size_text(speed)}/s" if speed else "")


def _columns(width: int) -> list[ProgressColumn]:
    """What fits: first the bar goes, then the speed."""
    name = TextColumn("{task.description}", markup=False)
    size = DownloadColumn(binary_units=True)
    if width < _NARROW:
        return [name, size, TimeRemainingColumn()]
    if width < _WIDE:
        return [name, size, _Speed(), TimeRemainingColumn()]
    return [name, BarColumn(style="bar.back", complete_style="bar.complete"), size, _Speed(), TimeRemainingColumn()]


def _cropped(label: str, cells: int) -> str:
    """A label with its middle left out, if it takes more than so many cells of the terminal."""
    if cell_len(label) <= cells:
        return label
    head = set_cell_size(label, cells // 3).rstrip()
    tail = label
    while cell_len(tail) > cells - cell_len(head) - 1:
        tail = tail[1:]
    return f"{head}…{tail}"


def _retry_text(request: FetchRequest, reason: str, delay_s: float) -> str:
    return f"retry: {request.label}: {reason} Next try in {delay_s:.1f} s."
