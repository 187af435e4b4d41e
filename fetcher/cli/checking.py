"""`fetcher no-weights` and `digest`: what checks before a commit and caches of CI ask."""

import shlex
from typing import Annotated

import typer

from fetcher.cli import render
from fetcher.cli.common import AllGroups, Common, Groups, Names, open_pins, with_common
from fetcher.core.units import count_text
from fetcher.errors import DifferenceError


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("no-weights", epilog="Example: fetcher no-weights models/gpt2/config.json")(with_common(no_weights))
    app.command(epilog="Example: fetcher digest --group embed")(with_common(digest))


def no_weights(
    common: Common,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="What is to be committed.", show_default=False)
    ] = None,
) -> None:
    """Exit 1 if one of the files is a model's: fetcher places it, or it has the bytes of a large one that it places."""
    from fetcher.weights import weights_among  # brings what hashes files

    found = weights_among(open_pins(common), files or ())
    if found:
        names = shlex.join(each.place for each in found)
        is_one = len(found) == 1
        raise DifferenceError(
            f"{count_text(len(found), 'file')} of the models {'is' if is_one else 'are'} to be committed.",
            facts=[str(each) for each in found],
            fix=f"run `git rm --cached -- {names}`, and name {'it' if is_one else 'them'} in .gitignore",
        )


def digest(common: Common, names: Names = None, group: Groups = None, all_groups: AllGroups = False) -> None:
    """Print one sha256 of the locked files' digests: the key of a cache that changes only when a file does."""
    from fetcher.core.choice import choice_of, chosen_models
    from fetcher.core.lock import content_digest

    pins = open_pins(common)
    lock = pins.frozen_lock()
    chosen = chosen_models(lock, choice_of(names or (), group or (), all_groups=all_groups), pins.layout)
    render.out(content_digest(lock.models[name] for name in chosen))
