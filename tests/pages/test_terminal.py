"""The picture of the README and the tutorial show what the commands say."""

import html
import re

from tests.pages.__main__ import ROOT
from tests.pages.recording import record
from tests.pages.tutorial import PAGE, retyped


def _text(svg: str) -> list[str]:
    """The lines of text in a picture, those at one height together."""
    lines: dict[float, str] = {}
    for x, y, text in re.findall(r'<text class="terminal-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        assert float(x) >= 0
        lines[float(y)] = lines.get(float(y), "") + html.unescape(text).replace("\xa0", " ")
    return [lines[y].rstrip() for y in sorted(lines) if lines[y].strip()]


def _alike(lines: list[str]) -> list[str]:
    """Without what differs from run to run, or with the text of which the model is made."""
    differs = r"\b[0-9a-f]{12}\b|\bin [\d.]+ s\.|\d{4}-?\d\d-?\d\d[T ][\d:]+Z?"  # commits, seconds, times
    return [re.sub(differs, "…", line) for line in lines if line]


def test_the_picture_is_what_the_commands_say() -> None:
    """Drawn by `make picture`; who looks at it shall not be disappointed by the program."""
    shown = (ROOT / "docs/demo.svg").read_text(encoding="utf-8")
    lines, fresh = record()
    assert _text(fresh) == [line for line in lines if line]
    assert _alike(_text(shown)) == _alike(lines)
    assert set(re.findall(r"https?://[^\s\"'<>)]+", shown)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }


def test_the_tutorial_is_what_a_newcomer_sees() -> None:
    """Typed again, command by command, with git and pre-commit; `make picture` writes it anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert _alike(retyped(page).splitlines()) == _alike(page.splitlines())
