"""Bars on a terminal while bytes move.  The only module that knows rich."""

import threading

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

from fetcher.cli.progress import retry_text
from fetcher.core.interfaces import Events, FetchRequest, NoEvents
from fetcher.core.secrets import SECRETS
from fetcher.core.units import count_text, size_text

_NARROW, _WIDE = 64, 90  # columns of a terminal
_BARS = 8  # of single files, below the total


def bars() -> Events | None:
    """Bars on standard error; None where the terminal cannot draw them."""
    console = Console(stderr=True)
    return Bars(console) if console.is_terminal and not console.is_dumb_terminal else None


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
        text = SECRETS.conceal(retry_text(request, reason, delay_s))
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

    def hashing_started(self, *, files: int, size: int) -> None:
        """Show one bar for all files."""
        self._total = self._progress.add_task("hashing", total=size, completed=0)
        self._progress.start()
        self._progress.console.show_cursor(True)

    def bytes_hashed(self, count: int) -> None:
        """Move it."""
        if self._total is not None:
            self._progress.advance(self._total, count)

    def hashing_done(self) -> None:
        """Take it away."""
        if self._total is not None:
            self._progress.remove_task(self._total)
            self._total = None
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
