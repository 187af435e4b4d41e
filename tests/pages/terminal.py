"""A real shell in a pseudo-terminal, typed into and looked at as a person would; its screen as a picture (SVG).

    with Terminal(folder, environment, columns=80, rows=30) as terminal:
        terminal.type("fetcher lock")
        said = terminal.type("fetcher sync")
        svg = terminal.picture(title="fetcher")

pyte keeps the screen as a terminal would; rich draws it.
"""

import contextlib
import fcntl
import io
import itertools
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

_PROMPT = b"\x1b]133;A\x07"  # FinalTerm's mark of a prompt, which terminals do not show
_WAIT_S = 60
_FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*", flags=re.DOTALL)


class Terminal:
    """bash at a prompt `$`, in a folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, columns: int = 80, rows: int = 30) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._unread = b""
        mark = _PROMPT.decode().replace("\x1b", r"\e").replace("\x07", r"\a")
        self._environment = {
            **environment,
            "PS1": rf"\[{mark}\]\n\[\e[32m\]$\[\e[0m\] ",
            "TERM": "xterm-256color",
            "INPUTRC": os.devnull,
            "HISTFILE": os.devnull,
        }
        self._folder = folder
        self._size = struct.pack("HHHH", rows, columns, 0, 0)

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self._size)
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=self._folder,
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches the command
        )
        os.close(theirs)
        self.wait_for_prompt()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)

    def type(self, line: str) -> list[str]:
        """Type a line and wait for the next prompt; returns the answer, as long as the screen does not scroll."""
        above = self._screen.cursor.y  # where the answer before it ended; the prompt begins with an empty row
        os.write(self._ours, line.encode() + b"\n")
        self.wait_for_prompt()
        typed = 1 + len(f"$ {line}") // self._screen.columns
        answer = self._screen.display[above + 1 + typed : self._screen.cursor.y + 1]
        return "\n".join(each.rstrip() for each in answer).rstrip().splitlines()

    def wait_for_prompt(self) -> None:
        """Show what comes until the shell asks for the next line.

        Raises:
            TimeoutError: None came in a minute.
        """
        end = time.monotonic() + _WAIT_S
        while _PROMPT not in self._unread:
            if not select.select([self._ours], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("\n".join(self.lines()))
            self._unread += os.read(self._ours, 1 << 16)
        before, _, self._unread = self._unread.partition(_PROMPT)
        self._stream.feed(before)

    def lines(self) -> list[str]:
        """The text of the screen, without empty lines at its begin and end."""
        return "\n".join(line.rstrip() for line in self._screen.display).strip().splitlines()

    def picture(self, *, title: str) -> str:
        """The screen as SVG; it loads nothing from elsewhere."""
        used = [row for row, line in enumerate(self._screen.display) if line.strip()]
        console = Console(width=self._screen.columns, record=True, file=io.StringIO(), legacy_windows=False)
        for row in range(used[0], used[-1] + 1):
            console.print(self._row(row), soft_wrap=True)
        svg = console.export_svg(title=title, unique_id="terminal")
        return _FONT_FROM_ELSEWHERE.sub("", svg).replace("font-family: Fira Code, monospace", f"font-family: {_FONTS}")

    def _row(self, row: int) -> Text:
        cells = [self._screen.buffer[row][column] for column in range(self._screen.columns)]
        text = Text()
        for style, run in itertools.groupby(cells, key=_style):
            text.append("".join(cell.data for cell in run), style)
        text.rstrip()
        return text


def _style(cell: pyte.screens.Char) -> Style:
    colour = None if cell.fg == "default" else _COLOURS.get(cell.fg, f"#{cell.fg}")
    with contextlib.suppress(ValueError):
        return Style(color=colour, bold=cell.bold, italic=cell.italics, underline=cell.underscore)
    return Style()


# pyte's names of colours that rich calls otherwise.
_COLOURS = {"brown": "yellow"} | {name: name for name in ("black", "red", "green", "blue", "magenta", "cyan", "white")}
