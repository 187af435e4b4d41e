"""`fetcher setup git`, and `fetcher git-merge`, which git then calls."""

from pathlib import Path
from typing import Annotated

import typer

from fetcher.cli import render
from fetcher.cli.common import Common, open_pins, with_common
from fetcher.errors import ConfigError

_setup = typer.Typer(
    name="setup",
    help="Make other programs at home with models.lock.",
    no_args_is_help=True,
    epilog="Example: fetcher setup git",
)
_Version = Annotated[Path, typer.Argument(show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    _setup.command("git", epilog="Example: fetcher setup git --remove")(with_common(set_up_git))
    app.add_typer(_setup)
    app.command("git-merge", hidden=True, epilog="Example: fetcher git-merge base.lock ours.lock theirs.lock")(
        git_merge
    )


def set_up_git(
    common: Common,
    remove: Annotated[bool, typer.Option("--remove", help="Take the driver away again.")] = False,
) -> None:
    """Have git merge models.lock model by model in this clone, and name the driver in .gitattributes."""
    from fetcher.repository import remove_driver, set_up_driver  # brings what reads locks

    lock = open_pins(common).lock_path
    done = remove_driver(lock) if remove else set_up_driver(lock)
    if not done.changed:
        render.say(f"Nothing to remove for {lock.name}." if remove else f"git merges {lock.name} by fetcher already.")
    elif remove:
        render.say(f"git merges {lock.name} by lines again; commit {done.attributes.name} if it changed.")
    else:
        render.say(f"git now merges {lock.name} by fetcher, in this clone.")
        render.say(f"Next: commit {done.attributes.name}; who clones runs `fetcher setup git` once.")


def git_merge(
    base: _Version,
    ours: _Version,
    theirs: _Version,
    name: Annotated[str, typer.Option("--name", metavar="PATH", help="What the file is called.")] = "models.lock",
    marker_size: Annotated[int, typer.Option("--marker-size", min=1, help="Characters of a conflict marker.")] = 7,
) -> None:
    """Merge three versions of a lock into OURS, offline; git calls it.  Prints `merged`, or `conflict` and exits 1."""
    from fetcher.repository import CONFLICT, MERGED, merge_files  # brings what reads locks

    merged = merge_files(base, ours, theirs, marker_size=marker_size)
    if merged is None:
        raise ConfigError(
            f"{name} is not as `fetcher lock` writes it, on one side at least.",
            fix="have its lines merged by git, then run `fetcher lock`",
        )
    if not merged.conflicts:
        render.out(MERGED)
        return
    render.out(CONFLICT)
    render.listed([f"{name}: both sides changed {each}" for each in merged.conflicts], indent="")
    render.say("Settle models.toml, then run `fetcher lock`, which merges the lock.")
    raise typer.Exit(1)
