"""`fetcher sync`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from fetcher.cli import interrupt, render
from fetcher.cli.common import (
    Directory,
    Groups,
    Json,
    ManifestName,
    Names,
    Quiet,
    Style,
    Verbose,
    open_project,
    remember_common,
)
from fetcher.core.interfaces import Events, NoEvents
from fetcher.core.lock import Lock
from fetcher.core.units import count_text, size_text
from fetcher.errors import DifferenceError, FetcherError, PartialError
from fetcher.project import Choice, Project, Survey
from fetcher.settings import Flags
from fetcher.sync import Report


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher sync --frozen --offline")(sync)


def sync(
    ctx: typer.Context,
    names: Names = None,
    frozen: Annotated[bool, typer.Option("--frozen", help="Use the lock as it is, even if it is stale.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 when the disk differs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done; change nothing.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network; exit 12 if it is needed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move what is in the way into .fetcher/trash/ and go on.")
    ] = False,
    no_prune: Annotated[bool, typer.Option("--no-prune", help="Leave files that are no longer wanted.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Finish the other models when one fails; exit 3.")
    ] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Files at a time.", show_default="8")] = None,
    connections: Annotated[
        int | None, typer.Option("--connections", min=1, help="Connections to one host.", show_default="16")
    ] = None,
    limit_rate: Annotated[
        str | None, typer.Option("--limit-rate", metavar="RATE", help="Bytes per second in all, such as 20M.")
    ] = None,
    progress: Annotated[Style, typer.Option("--progress", help="How progress is shown.")] = Style.auto,
    wait: Annotated[
        float | None, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait for another fetcher; then exit 10.")
    ] = None,
    group: Groups = None,
    json: Json = False,
    directory: Directory = None,
    manifest: ManifestName = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Make the disk match models.lock, moving only what is missing or changed."""
    common = remember_common(ctx, directory, manifest, quiet, verbose, json=json)
    flags = Flags(jobs=jobs, connections=connections, wait_s=wait, limit_rate=limit_rate, keep_going=keep_going)
    project = open_project(common, flags, events=_watcher(progress, quiet=common.quiet))
    lock = project.frozen_lock() if frozen else project.fresh_lock()
    wishes = _Wishes(
        choice=Choice(names=tuple(names or ()), groups=tuple(group or ())),
        prune=not no_prune,
        force=force,
        offline=offline,
        keep_going=keep_going,
    )
    survey = _survey(project, lock, wishes)
    if check or dry_run:
        _look_only(project, survey, check=check, json=json)
    elif survey.plan.is_empty():
        _nothing_to_do(project, survey, json=json)
    else:
        _change(project, lock, wishes, json=json)


def _watcher(style: Style, *, quiet: bool) -> Events:
    if quiet and style is not Style.json:
        return NoEvents()
    from fetcher.cli.progress import watcher  # rich is needed only where something is shown

    return watcher(style)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What the flags say about the plan."""

    choice: Choice
    prune: bool
    force: bool
    offline: bool
    keep_going: bool


def _survey(project: Project, lock: Lock, wishes: _Wishes) -> Survey:
    survey = project.survey(lock, wishes.choice)
    if not wishes.prune:
        survey = project.with_plan(survey, survey.plan.without_remove())
    return project.forced(survey) if wishes.force else survey


def _look_only(project: Project, survey: Survey, *, check: bool, json: bool) -> None:
    if json:
        render.document({"up_to_date": survey.plan.is_empty(), "plan": render.plan_document(survey.plan)})
    if survey.plan.is_empty():
        render.say(f"Up to date: {count_text(len(survey.plan.keep), 'file')}.")
        return
    if not json:
        render.plan(survey.plan)
    if check:
        raise DifferenceError(f"The disk differs from {project.lock_path.name}.", fix="run `fetcher sync`")


def _nothing_to_do(project: Project, survey: Survey, *, json: bool) -> None:
    project.remember(survey)
    report = Report(kept=len(survey.plan.keep), left={item.spot: item.reason for item in survey.plan.left})
    if json:
        render.document(_document(report))
    _tell_left(report)
    if not project.manifest.models:
        render.say(f"{project.manifest_path.name} declares no model yet.")
        return
    render.say(f"Up to date: {count_text(len(survey.plan.keep), 'file')}.")


def _change(project: Project, lock: Lock, wishes: _Wishes, *, json: bool) -> None:
    """Look again under the claim, carry the plan out, and say what was done."""
    began = time.monotonic()
    with project.claimed():
        survey = _survey(project, lock, wishes)
        blocked = survey.plan.blocked_models() if wishes.keep_going else {}
        survey = project.with_plan(survey, survey.plan.without_models(blocked))
        survey.plan.require_free_way()
        survey = project.prove_stored(survey)
        if wishes.offline:
            survey.plan.require_no_fetch()
        with interrupt.softly(project.stop):
            report = project.carry_out(survey)
    if json:
        render.document(_document(report))
    _tell(report, time.monotonic() - began)
    _conclude({**blocked, **report.failures}, keep_going=wishes.keep_going)


def _conclude(failures: Mapping[str, FetcherError], *, keep_going: bool) -> None:
    if failures and not keep_going:
        raise next(iter(failures.values()))
    if failures:
        raise PartialError(
            f"{count_text(len(failures), 'model')} failed; the others are done.",
            facts=[
                line
                for name, error in sorted(failures.items())
                for line in (f"{name}: {error.what}", *(f"  {fact}" for fact in error.facts[:5]))
            ],
            fix="mend the causes and run `fetcher sync` again; what was received is kept",
        )


def _tell(report: Report, seconds: float) -> None:
    for spot, kept in report.moved_aside.items():
        render.say(f"moved aside: {spot} -> {kept}")
    _tell_left(report)
    fetched = sum(wanted.size for wanted in report.fetched)
    parts = [
        f"fetched {count_text(len(report.fetched), 'file')} ({size_text(fetched)})",
        f"placed {len(report.placed)}",
        f"kept {report.kept}",
        f"removed {len(report.removed)}",
    ]
    render.say(f"Synced: {', '.join(parts)} in {seconds:.1f} s.")


def _tell_left(report: Report) -> None:
    render.listed((f"left, {reason}: {spot}" for spot, reason in report.left.items()), indent="")


def _document(report: Report) -> dict[str, object]:
    return {
        "up_to_date": not (report.placed or report.removed or report.failures),
        "kept": report.kept,
        "placed": [wanted.spot for wanted in report.placed],
        "fetched": [{"path": w.spot, "sha256": w.sha256, "size": w.size} for w in report.fetched],
        "removed": list(report.removed),
        "left": list(report.left),
        "moved_aside": {spot: str(kept) for spot, kept in report.moved_aside.items()},
        "failed": {name: error.what for name, error in report.failures.items()},
    }
