"""Several values after one --include or --exclude, as `modelscope download` takes them."""

from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from fetcher.errors import ConfigError

if TYPE_CHECKING:
    from typer._click.core import Context

_SEVERAL = ("--include", "--exclude")

Includes = Annotated[
    list[str] | None, typer.Option("--include", metavar="PATTERN...", help="Only these files.", show_default=False)
]
Excludes = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="PATTERN...", help="Not these files.", show_default=False)
]


class SeveralValues(TyperCommand):
    """Takes several values after one --include, as `modelscope download` does."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """As Command.parse_args, with the flag repeated for each value."""
        return super().parse_args(ctx, spread(args))


def nothing_named(what: str, command: str, *, patterns: bool) -> ConfigError:
    """The error where no word is left for `what`; with patterns on the line, they may have taken it."""
    swallowed = ["after --include and --exclude all words up to the next option are patterns"] if patterns else []
    example = " --include '*.json'" if patterns else ""
    return ConfigError(
        f"No {what} is named.", facts=swallowed, fix=f"name it first: fetcher {command} OWNER/NAME{example}"
    )


def spread(arguments: list[str]) -> list[str]:
    """`--include a b` as `--include a --include b`; all words up to the next option are values."""
    found: list[str] = []
    flag, fresh = "", False
    for place, word in enumerate(arguments):
        if word == "--":
            return [*found, *arguments[place:]]
        if word in _SEVERAL:
            flag, fresh = word, True
        elif word.startswith("-") and len(word) > 1:
            flag = ""
            found.append(word)
        elif flag:
            found += [flag, word]
            fresh = False
        else:
            found.append(word)
        if fresh and (place + 1 == len(arguments) or arguments[place + 1].startswith("-")):
            found.append(word)  # without a value: let it be told
            fresh = False
    return found
