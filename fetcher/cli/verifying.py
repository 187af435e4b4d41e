"""`fetcher verify`."""

from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import interrupt, render
from fetcher.cli.common import (
    AllGroups,
    Common,
    Groups,
    Json,
    Names,
    Progress,
    Style,
    open_project,
    watcher,
    with_common,
)
from fetcher.core.units import count_text, parse_percent, size_text
from fetcher.errors import ConfigError, DifferenceError, IntegrityError

if TYPE_CHECKING:
    from pathlib import Path

    from fetcher.cli.documents import VerifyDocument
    from fetcher.core.proof import Depth
    from fetcher.survey import Survey
    from fetcher.sync import Report

_SHOWN_SPANS = 8  # of one file


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher verify --repair gpt2")(with_common(verify))


def verify(
    common: Common,
    names: Names = None,
    sha256: Annotated[
        bool, typer.Option("--sha256", help="Believe the lock's sha256 only, not the store's blake3 of each chunk.")
    ] = False,
    sample: Annotated[
        str | None,
        typer.Option("--sample", metavar="N%", help="Read that share of the chunks and small files, at random."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is damaged or missing; only damaged chunks are fetched.")
    ] = False,
    progress: Progress = Style.auto,
    group: Groups = None,
    all_groups: AllGroups = False,
    json: Json = False,
) -> None:
    """Hash every placed file against the lock; exit 4 with the files and byte ranges that differ."""
    from fetcher.core.choice import choice_of
    from fetcher.core.proof import Depth

    project = open_project(common, events=watcher(progress, quiet=common.quiet))
    project.guard = lambda: interrupt.softly(project.stop)
    depth = Depth(by_sha256=sha256, percent=_percent(sample))
    choice = choice_of(names or (), group or (), all_groups=all_groups)
    lock, report = project.frozen_lock(), None
    if repair:
        survey, report = project.repair(lock, choice, depth)
    else:
        survey = project.verify(lock, choice, depth)
    wrong = _wrong(survey)
    if json:
        render.document(_document(survey, wrong, report))
    if report is None or not wrong:
        _conclude(survey, wrong, depth)
    else:
        _conclude_repair(survey, report, project.root)


def _document(survey: "Survey", wrong: dict[str, str], report: "Report | None") -> "VerifyDocument":
    ranges = {spot: [[span.start, span.stop] for span in spans] for spot, spans in survey.scan.differs.items()}
    found: VerifyDocument = {"verified": len(survey.wanted) - len(wrong), "wrong": wrong, "ranges": ranges}
    return found if report is None else {**found, "repaired": [item.spot for item in report.placed]}


def _conclude_repair(survey: "Survey", report: "Report", folder: "Path") -> None:
    render.moved_aside(report.moved_aside, folder)
    render.say(f"Repaired: {count_text(len(report.placed), 'file')}, {size_text(sum(w.size for w in report.placed))}.")
    if report.failures:
        raise next(iter(report.failures.values()))
    survey.plan.require_free_way()


def _percent(sample: str | None) -> float:
    try:
        return 100.0 if sample is None else parse_percent(sample)
    except ValueError as error:
        raise ConfigError(f"--sample: {error}.", fix="give it as --sample 5%") from None


def _wrong(survey: "Survey") -> dict[str, str]:
    """Spots that are not as locked, and why."""
    from fetcher.core.plan import State

    looks = survey.scan.local.looks
    return {
        item.spot: _reason(survey, item.spot) for item in survey.wanted if looks[item.spot].state is not State.RIGHT
    }


def _reason(survey: "Survey", spot: str) -> str:
    from fetcher.core.plan import State

    look = survey.scan.local.looks[spot]
    return look.reason or {State.ABSENT: "missing", State.OURS: "an older version"}.get(look.state, "differs")


def _ranges_text(survey: "Survey", spot: str) -> str:
    """`; differs in bytes 0-16777215`, first and last byte of each span; nothing where that is not known."""
    spans = survey.scan.differs.get(spot, ())
    shown = [f"{span.start}-{span.stop - 1}" for span in spans[:_SHOWN_SPANS]]
    if len(spans) > len(shown):
        shown.append(f"{len(spans) - len(shown)} more")
    return f"; differs in bytes {', '.join(shown)}" if shown else ""


def _conclude(survey: "Survey", wrong: dict[str, str], depth: "Depth") -> None:
    if not wrong:
        size = size_text(sum(wanted.size for wanted in survey.wanted))
        how = f"a sample of {depth.percent:g} % is as locked" if depth.is_sample else "all as locked"
        render.say(f"Verified: {count_text(len(survey.wanted), 'file')}, {size}, {how}.")
        return
    facts = [f"{spot}: {reason}{_ranges_text(survey, spot)}" for spot, reason in sorted(wrong.items())]
    if all(reason == "missing" for reason in wrong.values()):
        raise DifferenceError(
            f"{count_text(len(wrong), 'file')} of the lock {'is' if len(wrong) == 1 else 'are'} missing.",
            facts=facts,
            fix="run `fetcher sync`",
        )
    raise IntegrityError(
        f"{count_text(len(wrong), 'file')} {'differs' if len(wrong) == 1 else 'differ'} from the lock.",
        facts=facts,
        fix="run `fetcher verify --repair`; files that were edited stay: `fetcher sync --force` moves them "
        "into .fetcher/trash/",
    )
