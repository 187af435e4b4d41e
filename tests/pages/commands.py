"""Makes docs/reference/commands.md: what `--help` says of each command, from the same objects."""

from typing import Any

import typer

from fetcher.cli.app import app

_HEAD = """\
# Commands

What `fetcher COMMAND --help` says, for reading and searching. Written by `make pages`; do not edit.

Every error says what happened and what to run; [what each exit code means](errors.md).
"""
_COMMON = ("directory", "manifest", "quiet", "verbose")
_WORDS = {"directory": "`-C`", "manifest": "`--manifest`", "quiet": "`-q`", "verbose": "`-v`"}


def commands_page() -> str:
    """The text of the page."""
    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name="fetcher")
    parts = [_HEAD, _frame(root, context)]
    for name in sorted(root.commands):
        parts += _sections(root.commands[name], name, context)
    return "\n".join(parts)


def _frame(root: Any, context: Any) -> str:
    """The options before any command, which most commands take behind their name too."""
    lines = [_item(each, context) for each in root.get_params(context) if each.name != "help"]
    return (
        f"## Common options\n\n```text\n{_usage(root, context)}\n```\n\n"
        + "\n".join(lines)
        + "\n- `-h, --help`: Show what a command does, and end.\n"
    )


def _sections(command: Any, name: str, above: Any) -> list[str]:
    """One command, and the commands below it."""
    context = typer.Context(command, info_name=name, parent=above)
    below = getattr(command, "commands", {})
    parts = [f"## {context.command_path.removeprefix('fetcher ')}", _said(command.help)]
    if not below:
        parts.append(f"```text\n{_usage(command, context)}\n```")
        told = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
        own = [each for each in told if each.name not in (*_COMMON, "help")]
        common = [_WORDS[each.name] for each in told if each.name in _COMMON]
        parts.append("\n".join(_item(each, context) for each in own))
        if common:
            parts.append(f"Common options: {', '.join(common)}.")
        parts.append(_example(command.epilog))
    found = ["\n\n".join(part for part in parts if part) + "\n"]
    for each in below:
        found += _sections(below[each], each, context)
    return found


def _usage(command: Any, context: Any) -> str:
    return f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}"


def _item(parameter: Any, context: Any) -> str:
    name, text = parameter.get_help_record(context)
    return f"- `{name}`: {' '.join(text.split())}"


def _said(text: str | None) -> str:
    return " ".join((text or "").split())


def _example(epilog: str | None) -> str:
    """`Example: …` as it stands below the help, as a block to copy."""
    lines = [line.strip().removeprefix("Example:").strip() for line in (epilog or "").splitlines()]
    shown = [line for line in lines if line]
    return "```sh\n" + "\n".join(shown) + "\n```" if shown else ""
