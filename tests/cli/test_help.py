"""Every command says what it is for, shows an example that works, and has its place in the documents."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fetcher.cli import commands
from fetcher.cli.app import app
from fetcher.cli.commands import MODULES, commands_of

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_MADE = "reference"  # pages that list every command by themselves
_PROSE = ("is", "does", "did")  # what follows the word `fetcher` in sentences


def _all(group: Any, *above: str) -> Iterator[tuple[str, Any]]:
    """Each command that does something, with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _all(command, *above, name)
        else:
            yield " ".join((*above, name)), command


_COMMANDS: dict[str, Any] = dict(_all(typer.main.get_command(app)))
_SHOWN = [words for words, command in _COMMANDS.items() if not command.hidden]


def _options(command: Any) -> set[str]:
    return {"-h", "--help", *(word for each in command.params for word in (*each.opts, *each.secondary_opts))}


def _page_texts() -> Iterator[str]:
    for path in (_ROOT / "docs").rglob("*.md"):
        if path.parent.name != _MADE:
            yield path.read_text(encoding="utf-8")


@pytest.mark.parametrize("words", _COMMANDS)
def test_a_command_has_a_sentence_of_help_and_each_option_too(words: str) -> None:
    """What `--help` and the lists above it show."""
    command = _COMMANDS[words]
    first = (command.help or "").partition("\n")[0]
    assert re.fullmatch(r"[A-Z].{15,}\.", first), first
    told = [each for each in command.params if not getattr(each, "hidden", False) and each.name not in ("ctx", "help")]
    assert command.hidden or [each.name for each in told if not getattr(each, "help", "")] == []


def test_each_command_is_told_of_with_its_module() -> None:
    """Each is loaded by itself; one that is missing in the table could not be called."""
    assert {module: [*commands_of(module)] for module in MODULES.values()} == {
        module: [name for name, its in MODULES.items() if its == module] for module in MODULES.values()
    }
    modules = Path(commands.__file__).parent.glob("*.py")
    adding = {path.stem for path in modules if "\ndef add_to(" in path.read_text(encoding="utf-8")}
    assert adding == set(MODULES.values())


@pytest.mark.parametrize("words", _COMMANDS)
def test_a_command_has_an_example_that_parses(words: str) -> None:
    """The example is what people copy."""
    command = _COMMANDS[words]
    (example,) = re.findall(r"Example: (.+)", command.epilog)
    inner = re.sub(r'.*"\$\((fetcher [^)]*)\).*', r"\1", example)
    typed = shlex.split(re.split(r" [<>|] ", inner)[0])
    assert typed[: len(words.split()) + 1] == ["fetcher", *words.split()]
    command.make_context(words, typed[len(words.split()) + 1 :])


@pytest.mark.parametrize("words", _SHOWN)
def test_a_command_has_a_page_that_shows_it(words: str) -> None:
    """Besides the reference that is made of `--help`: somebody has written what it is good for."""
    line = re.compile(rf"\bfetcher {words}(?![\w-])|`{words}`")
    assert any(line.search(text) for text in _page_texts())


@pytest.mark.parametrize("words", sorted({words.split()[0] for words in _COMMANDS}))
def test_the_readme_names_every_command(words: str) -> None:
    """A command that no document names does not exist for its users."""
    assert f"fetcher {words}" in _README or f"`{words}`" in _README


@pytest.mark.parametrize("page", ["README.md", "docs"])
def test_commands_and_options_that_are_shown_exist(page: str) -> None:
    """A command line that is shown must be one that works."""
    texts = [_README] if page == "README.md" else list(_page_texts())
    firsts = {words.split()[0] for words in _COMMANDS}
    for text in texts:
        for line in re.findall(r"(?:`|^)fetcher ((?:--?[a-z].*?|[a-z-]+\b.*?))(?:`|$)", text, flags=re.MULTILINE):
            typed = re.split(r" -- | [#<>|] ", line)[0].split()
            if not typed or typed[0].startswith("-") or typed[0] in _PROSE:
                continue
            assert typed[0] in firsts, line
            words = typed[0] if typed[0] in _COMMANDS else " ".join(typed[:2])
            given = {word.split("=")[0] for word in typed if re.match(r"--?[a-zA-Z]", word)}
            assert words in _COMMANDS or typed[1:] == [], line
            if words in _COMMANDS:
                assert given <= _options(_COMMANDS[words]), line
