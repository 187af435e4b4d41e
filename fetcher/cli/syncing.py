"""`fetcher sync`."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from fetcher.cli import interrupt, render
from fetcher.cli.common import (
    AllGroups,
    Common,
    Connections,
    DryRun,
    Groups,
    Jobs,
    Json,
    LimitRate,
    Names,
    Offline,
    Progress,
    Style,
    existing_folders,
    open_project,
    watcher,
    with_common,
)
from fetcher.core import answers
from fetcher.core.units import count_text, size_text
from fetcher.errors import DifferenceError

if TYPE_CHECKING:
    from fetcher.cli.documents import SyncDocument, SyncLookDocument
    from fetcher.core.plan import Plan
    from fetcher.project import Project
    from fetcher.sync import Report


Frozen = Annotated[bool, typer.Option("--frozen", help="Use the lock as it is, even if it is stale.")]
Check = Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 when the disk differs.")]
Force = Annotated[bool, typer.Option("--force", help="Move what is in the way into .fetcher/trash/ and go on.")]
NoPrune = Annotated[bool, typer.Option("--no-prune", help="Leave files that are no longer wanted.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Finish the other models when one fails; exit 3.")]
Adopt = Annotated[
    list[Path] | None, typer.Option("--adopt", metavar="DIR", help="Take files with the right bytes from DIR.")
]
Wait = Annotated[
    float | None, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait for another fetcher; then exit 10.")
]


class Chosen(TypedDict):
    """What a look and a sync are told alike."""

    names: Iterable[str]
    groups: Iterable[str]
    all_groups: bool
    frozen: bool
    force: bool
    prune: bool


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher sync --frozen --offline")(with_common(sync))


def sync(
    common: Common,
    names: Names = None,
    frozen: Frozen = False,
    check: Check = False,
    dry_run: DryRun = False,
    offline: Offline = False,
    force: Force = False,
    no_prune: NoPrune = False,
    keep_going: KeepGoing = False,
    adopt: Adopt = None,
    jobs: Jobs = None,
    connections: Connections = None,
    limit_rate: LimitRate = None,
    progress: Progress = Style.auto,
    wait: Wait = None,
    group: Groups = None,
    all_groups: AllGroups = False,
    json: Json = False,
) -> None:
    """Make the disk match models.lock, moving only what is missing or changed.

    Without NAME and --group it is about models in a group of default-groups (models.toml) and in no group; about all
    models where there is no default-groups.
    """
    from fetcher.settings import Flags

    flags = Flags(
        jobs=jobs,
        connections=connections,
        wait_s=wait,
        limit_rate=limit_rate,
        adopt=existing_folders("--adopt", adopt or ()),
    )
    project = open_project(common, flags, events=watcher(progress, quiet=common.quiet))
    chosen: Chosen = {
        "names": names or (),
        "groups": group or (),
        "all_groups": all_groups,
        "frozen": frozen,
        "force": force,
        "prune": not no_prune,
    }
    if check or dry_run:
        _look_only(project, project.plan(**chosen), check=check, json=json)
        return
    project.guard = lambda: interrupt.softly(project.stop)
    began = time.monotonic()
    report = project.sync(**chosen, offline=offline, keep_going=keep_going)
    if json:
        render.document(report_document(report))
    tell_report(project, report, time.monotonic() - began)
    report.require_complete()


def _look_only(project: "Project", plan: "Plan", *, check: bool, json: bool) -> None:
    if json:
        document: SyncLookDocument = {"up_to_date": plan.is_empty(), "plan": render.plan_document(plan)}
        render.document(document)
    if plan.is_empty():
        render.say(answers.up_to_date(len(plan.keep)))
        return
    if not json:
        render.plan(plan)
    if check:
        raise DifferenceError(f"The disk differs from {project.lock_path.name}.", fix="run `fetcher sync`")


def tell_report(project: "Project", report: "Report", seconds: float) -> None:
    """What a sync did, what it left and what it moved aside."""
    render.moved_aside(report.moved_aside, project.root)
    _tell_left(report)
    if report.is_empty():
        empty = not project.layout.targets
        nothing = answers.no_model(project.manifest_path.name)
        render.say(nothing if empty else answers.up_to_date(report.kept))
        return
    tell_done(report, seconds)


def tell_done(report: "Report", seconds: float) -> None:
    """What a sync did, in a line."""
    fetched = sum(wanted.size for wanted in report.fetched)
    parts = [
        f"fetched {count_text(len(report.fetched), 'file')} ({size_text(fetched)})",
        f"placed {len(report.placed)}",
        *([f"moved {len(report.moved)}"] if report.moved else []),
        f"kept {report.kept}",
        f"removed {len(report.removed)}",
    ]
    render.say(f"Synced: {', '.join(parts)} in {seconds:.1f} s.")


def _tell_left(report: "Report") -> None:
    render.listed((f"left, {reason}: {spot}" for spot, reason in report.left.items()), indent="")


def report_document(report: "Report") -> "SyncDocument":
    """What a sync did, as JSON values."""
    return {
        "up_to_date": not (report.placed or report.moved or report.removed or report.failures),
        "kept": report.kept,
        "placed": [wanted.spot for wanted in report.placed],
        "fetched": [{"path": w.spot, "sha256": w.sha256, "size": w.size} for w in report.fetched],
        "removed": list(report.removed),
        "moved": dict(report.moved),
        "left": list(report.left),
        "moved_aside": {spot: str(kept) for spot, kept in report.moved_aside.items()},
        "failed": {name: error.what for name, error in report.failures.items()},
    }
