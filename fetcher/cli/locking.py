"""`fetcher lock`."""

from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import completing, render
from fetcher.cli.common import (
    Common,
    Json,
    Progress,
    Style,
    open_pins,
    open_project,
    watcher_of_lock,
    with_common,
)
from fetcher.core import answers
from fetcher.errors import ConfigError

if TYPE_CHECKING:
    from fetcher.cli.documents import LockCheckDocument, LockDocument, LockedChange
    from fetcher.pins import Pins
    from fetcher.project import Project
    from fetcher.resolve import Upgrade
    from fetcher.results import LockChange


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher lock --upgrade gpt2")(with_common(lock))


def lock(
    common: Common,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="With --upgrade: only these models.", autocompletion=completing.model_names
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing, ask nobody; exit 1 with the fields that are stale, 8 if the policy refuses."
        ),
    ] = False,
    upgrade: Annotated[bool, typer.Option("--upgrade", "-U", help="Move pins to what the sources have now.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; write nothing.")] = False,
    json: Json = False,
    progress: Progress = Style.auto,
) -> None:
    """Pin every file of every model (commit, size, sha256) into models.lock; merge it where git left a conflict."""
    if names and not upgrade:
        raise ConfigError("NAME goes with --upgrade.", fix=f"run `fetcher lock --upgrade {' '.join(names)}`")
    if check and (upgrade or dry_run):
        raise ConfigError(
            "--check changes nothing and asks nobody; it goes with neither --upgrade nor --dry-run.",
            fix="leave one of them out",
        )
    if check:
        _check(open_pins(common), json=json)
        return
    from fetcher.resolve import KEEP_PINS, Upgrade  # brings the sources' rules; `--check` needs none

    _resolve(
        open_project(common, events=watcher_of_lock(progress, quiet=common.quiet)),
        Upgrade(names=frozenset(names) if names else None) if upgrade else KEEP_PINS,
        dry_run,
        json,
    )


def _check(pins: "Pins", *, json: bool) -> None:
    found = pins.staleness()
    known = pins.lock_text()
    fresh = not found and known is not None
    if json:
        document: LockCheckDocument = {
            "fresh": fresh,
            "stale": found,
            "policy": pins.findings(known.lock) if known else [],
        }
        render.document(document)
    if fresh and known:
        pins.require_allowed(known.lock)
        render.say(answers.fresh(pins.lock_path.name, pins.manifest_path.name))
        return
    if json:
        raise typer.Exit(1)
    pins.fresh_lock()  # raises with the list and the fix


def _resolve(project: "Project", upgrade: "Upgrade", dry_run: bool, json: bool) -> None:
    change = project.resolve(upgrade)
    written = False if dry_run else project.save_lock(change)
    if json:
        render.document(_document(change, written=written))
    render.listed((f"merged {verdict}" for verdict in change.merged if verdict.reason), indent="")
    render.lock_changes(change.changes)
    name = project.lock_path.name
    if not change.lock.models:
        render.say(answers.no_model(project.manifest_path.name))
    if dry_run:
        render.say(f"{name} would {'change' if change.differs else 'stay as it is'}; nothing was written.")
    else:
        render.say(f"Wrote {name}." if written else f"{name} is up to date.")


def _document(change: "LockChange", *, written: bool) -> "LockDocument":
    return {
        "written": written,
        "differs": change.differs,
        "merged": [{"model": v.name, "taken": v.taken, "reason": v.reason} for v in change.merged],
        "models": {
            name: {"commit": model.commit, "tree": model.tree, "files": len(model.files), "size": model.size}
            for name, model in change.lock.models.items()
        },
        "changes": changes_document(change),
    }


def changes_document(change: "LockChange") -> "list[LockedChange]":
    """The models that differ, as JSON values."""
    return [
        {"model": c.name, "kind": c.kind, "files": len(c.files), "fetch_size": c.fetch_size} for c in change.changes
    ]
