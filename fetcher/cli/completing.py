"""What the shells complete: names of models, of groups and of files.

A mistake in models.toml gives no completion and no message: the command itself tells it.  Shells
evaluate what they are told, and names of files come from the sources, so that only plain ones are.

Promises (tests/cli/test_completion.py, with real shells):
  * what is completed stands in the project that -C and --manifest name;
  * after the `--` of `fetcher exec` the shell completes files, as for any command.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fetcher.errors import FetcherError

if TYPE_CHECKING:
    from fetcher.pins import Pins

AFTER_DASHES = "fetcher.after-dashes"  # in the context's `meta`
_PLAIN = re.compile(r"[\w.+@,=/-]+\Z", re.ASCII)


def model_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """NAMEs of models.toml that are not on the line yet."""
    given = ctx.params.get("names") or ()
    return _found(ctx, incomplete, lambda pins: [name for name in pins.layout.groups if name not in given])


def group_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Groups of models.toml."""
    return _found(ctx, incomplete, lambda pins: sorted({g for groups in pins.layout.groups.values() for g in groups}))


def file_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Files of the model that is on the line."""
    name = ctx.params.get("name")

    def files(pins: "Pins") -> list[str]:
        known = pins.lock_text()
        return (
            [f.path for model, locked in known.lock.models.items() if model == name for f in locked.files]
            if known
            else []
        )

    return _found(ctx, incomplete, files)


def _found(ctx: typer.Context, incomplete: str, names: Callable[["Pins"], Iterable[str]]) -> list[str]:
    if AFTER_DASHES in ctx.meta:
        return []
    from fetcher.pins import Pins

    try:
        pins = Pins.find(_given(ctx, "directory"), manifest=_given(ctx, "manifest") or "models.toml")
        return [name for name in names(pins) if name.startswith(incomplete) and _PLAIN.match(name)]
    except FetcherError:
        return []


def _given(ctx: typer.Context, name: str) -> str | None:
    """What an option says, behind the command or in front of it."""
    before = ctx.parent.params if ctx.parent else {}
    value: str | Path | None = ctx.params.get(name) or before.get(name)
    return str(value) if value else None
