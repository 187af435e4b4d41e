"""`fetcher exec` and `fetcher env`: the models, handed to programs."""

import time
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand

from fetcher.cli import completing, interrupt, render
from fetcher.cli.common import (
    AllGroups,
    Common,
    Groups,
    Json,
    Names,
    Offline,
    Progress,
    Style,
    folder_of,
    open_project,
    watcher,
    with_common,
)
from fetcher.cli.syncing import Frozen, tell_done
from fetcher.errors import ConfigError

if TYPE_CHECKING:
    from typer._click.core import Context

    from fetcher.cli.documents import EnvDocument
    from fetcher.core.choice import Choice
    from fetcher.project import Project

_HELP = {"-h", "--help"}


class CommandAfterDashes(TyperCommand):
    """Leaves the words after the first `--` to another program; they are the common options' `extra`."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """As Command.parse_args, of the words before `--`.

        Raises:
            ConfigError: No command follows.
        """
        place = args.index("--") if "--" in args else len(args)
        own, words = args[:place], args[place + 1 :]
        if not words and not ctx.resilient_parsing and not _HELP & set(own):
            raise ConfigError(
                "No command is named.",
                facts=["words before `--` are names of models and options; those after it are the command"],
                fix="write the command after `--`: fetcher exec gpt2 -- python app.py",
            )
        if place < len(args):
            ctx.meta[completing.AFTER_DASHES] = True
        super().parse_args(ctx, own)
        ctx.args = words
        return words

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:
        """As Command.collect_usage_pieces, with the command."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARG]..."]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    example = "Example: fetcher exec --frozen --offline gpt2 -- python app.py"
    app.command(name="exec", cls=CommandAfterDashes, epilog=example)(with_common(execute))
    app.command(epilog='Example: eval "$(fetcher env gpt2)"')(with_common(env))


def execute(
    common: Common,
    names: Names = None,
    frozen: Frozen = False,
    offline: Offline = False,
    group: Groups = None,
    all_groups: AllGroups = False,
    progress: Progress = Style.auto,
) -> None:
    """Sync if needed, then run COMMAND, which finds the models by its environment.

    FETCHER_MODEL_<NAME> is the folder of each model; the official libraries find those with a layout by id, offline.
    Signals and the exit code are COMMAND's own; 127 if there is none of that name, 126 if it cannot be started.
    """
    from fetcher.core.choice import choice_of
    from fetcher.programs import become

    folder = folder_of(common) if common.directory else None
    project = open_project(common, events=watcher(progress, quiet=common.quiet))
    choice = choice_of(names or (), group or (), all_groups=all_groups)
    variables = _provided(project, choice, frozen=frozen, offline=offline)
    interrupt.give_back()
    become(common.extra, {**project.settings.environment, **variables}, folder=folder)


def env(
    common: Common,
    names: Names = None,
    frozen: Frozen = False,
    offline: Offline = False,
    group: Groups = None,
    all_groups: AllGroups = False,
    progress: Progress = Style.auto,
    json: Json = False,
) -> None:
    """Sync if needed, then print the variables that `fetcher exec` sets, as `export` lines for a shell."""
    from fetcher.core.choice import choice_of

    project = open_project(common, events=watcher(progress, quiet=common.quiet))
    choice = choice_of(names or (), group or (), all_groups=all_groups)
    variables = _provided(project, choice, frozen=frozen, offline=offline)
    if json:
        document: EnvDocument = {"variables": variables}
        render.document(document)
        return
    for name, value in variables.items():
        render.out_export(name, value)


def _provided(project: "Project", choice: "Choice", *, frozen: bool, offline: bool) -> dict[str, str]:
    """The variables, with the models in place; what else the disk holds stays."""
    project.guard = lambda: interrupt.softly(project.stop)
    began = time.monotonic()
    names, groups, every = choice.names, choice.groups, choice.all_groups
    report = project.sync(names, groups=groups, all_groups=every, frozen=frozen, offline=offline, prune=False)
    if not report.is_empty():
        tell_done(report, time.monotonic() - began)
    return project.variables(names, groups=groups, all_groups=every)
