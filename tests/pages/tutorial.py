"""Types the commands of docs/tutorial.md on a terminal and writes what they answer: `make picture`.

In its `console` blocks a line after `$ ` is typed, and the lines below are the answer; a block with a title is a file
that is written before the next command.  tests/pages/test_terminal.py compares the page with a fresh run.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fetcher.cli.babbler import write_model
from fetcher.serve.hub import Hub
from tests.pages.recording import environment_of
from tests.pages.terminal import Terminal

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
_BLOCK = re.compile(r'^```(?P<kind>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE)
_IDENTITY = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com"}
_COLUMNS, _ROWS = 130, 500


def retyped(page: str) -> str:
    """The page with the answers of today."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_model(root / "published/demo/babbler", smoothing=0.0005)
        with Hub(root / "published") as hub:
            environment = environment_of(root, hub.url) | _IDENTITY
            environment |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in _IDENTITY.items()}
            with Terminal(root, environment, columns=_COLUMNS, rows=_ROWS) as terminal:
                return _BLOCK.sub(lambda block: _block(block, terminal, root / "project"), page)


def _block(block: re.Match[str], terminal: Terminal, project: Path) -> str:
    if block["title"]:
        (project / block["title"]).write_text(block["text"], encoding="utf-8")
    if block["kind"] != "console":
        return block[0]
    return "\n".join(["```console", *_answered(block["text"], terminal), "```"])


def _answered(text: str, terminal: Terminal) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("$ "):
            yield line
            yield from terminal.type(line.removeprefix("$ "))


if __name__ == "__main__":
    PAGE.write_text(retyped(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
