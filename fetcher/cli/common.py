"""Options that every command takes, and the project that they name."""

import inspect
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from fetcher.cli import completing, render
from fetcher.core.events import Events, NoEvents
from fetcher.errors import ConfigError

if TYPE_CHECKING:
    from fetcher.core.manifest import Endpoint
    from fetcher.pins import Pins
    from fetcher.project import Project
    from fetcher.settings import Flags, Settings

_Opened = TypeVar("_Opened", bound="Pins")

Directory = Annotated[
    Path | None, typer.Option("--directory", "-C", metavar="DIR", help="Work as if started in DIR.", show_default=False)
]
ManifestName = Annotated[
    str | None,
    typer.Option("--manifest", metavar="FILE", help="Another manifest; other.toml goes with other.lock."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, metavar="", show_default=False, help="Say more; twice for debugging."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Only these models.", show_default=False, autocompletion=completing.model_names
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="GROUP",
        help="Only models of this group.",
        show_default=False,
        autocompletion=completing.group_names,
    ),
]
AllGroups = Annotated[bool, typer.Option("--all-groups", help="All models, whatever default-groups says.")]


_COMMON: dict[str, tuple[object, object]] = {  # name: its type, its default
    "directory": (Directory, None),
    "manifest": (ManifestName, None),
    "quiet": (Quiet, False),
    "verbose": (Verbose, 0),
}


class Style(StrEnum):
    """How progress is shown."""

    auto = "auto"
    plain = "plain"
    json = "json"
    none = "none"


Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Files at a time.", show_default="16")]
Connections = Annotated[
    int | None, typer.Option("--connections", min=1, help="Connections to one host.", show_default="16")
]
LimitRate = Annotated[
    str | None, typer.Option("--limit-rate", metavar="RATE", help="Bytes per second in all, such as 20M.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the network; exit 12 if it is needed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done; change nothing.")]
Progress = Annotated[Style, typer.Option("--progress", help="How progress is shown.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What the common options say; `extra` holds arguments for which the command has no parameter."""

    directory: Path | None = None
    manifest: str | None = None
    quiet: bool = False
    verbose: int = 0
    extra: tuple[str, ...] = ()


def with_common(command: Callable[..., None], *, leave_out: str = "") -> Callable[..., None]:
    """Give a command the common options, after its own; it takes what they say as its first parameter, `common`.

    Args:
        leave_out: Name of the one that means nothing to it.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = [each for name, each in inspect.signature(command).parameters.items() if name != "common"]
    added = [
        inspect.Parameter(name, kind, annotation=hint, default=default)
        for name, (hint, default) in _COMMON.items()
        if name != leave_out
    ]

    @wraps(command)
    def run(ctx: typer.Context, **given: Any) -> None:
        values = {name: given.pop(name, default) for name, (_, default) in _COMMON.items()}
        common = remember_common(ctx, **values, json=given.get("json", False))
        command(replace(common, extra=tuple(ctx.args)), **given)

    parameters = [inspect.Parameter("ctx", kind, annotation=typer.Context), *own, *added]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def remember_common(
    ctx: typer.Context, directory: Path | None, manifest: str | None, quiet: bool, verbose: int, json: bool = False
) -> Common:
    """Combine options before the command with those after it; the latter win."""
    from fetcher.cli.logs import log_to_stderr  # no command's help must pay for it

    before = ctx.obj if isinstance(ctx.obj, Common) else Common()
    common = Common(
        directory=directory or before.directory,
        manifest=manifest or before.manifest,
        quiet=quiet or before.quiet,
        verbose=max(verbose, before.verbose),
    )
    log_to_stderr(common.verbose)
    render.set_quiet(common.quiet)
    render.repeat_in_fixes(_options(common))
    if json:
        render.expect_document()
    ctx.obj = common
    return common


def _options(common: Common) -> str:
    words = []
    if common.directory:
        words += ["-C", str(common.directory)]
    if common.manifest:
        words += ["--manifest", common.manifest]
    return f" {shlex.join(words)}" if words else ""


def folder_of(common: Common) -> Path:
    """The folder named by -C, else the current one.

    Raises:
        ConfigError: It is no folder.
    """
    folder = (common.directory or Path.cwd()).absolute()
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder.", fix="name an existing folder with -C")
    return folder


def open_project(common: Common, flags: "Flags | None" = None, *, events: Events | None = None) -> "Project":
    """The project that the options name; without `events`, notes are said in lines."""
    from fetcher.project import Project  # the whole road: no command's help must pay for it

    return _found(Project, common, flags, events)


def open_pins(common: Common) -> "Pins":
    """Manifest and lock that the options name, without the road to the disk; notes are said in lines."""
    from fetcher.pins import Pins

    return _found(Pins, common)


def _found(
    kind: "type[_Opened]", common: Common, flags: "Flags | None" = None, events: Events | None = None
) -> "_Opened":
    from fetcher.settings import MANIFEST

    manifest = common.manifest or MANIFEST
    folder = folder_of(common)
    if (folder / manifest).is_dir():
        raise ConfigError(f"{manifest} is a folder, not a manifest.", fix="name the folder with -C")
    if Path(manifest).name != manifest:
        folder, manifest = (folder / manifest).parent, Path(manifest).name
    return kind.find(
        folder,
        manifest=manifest,
        settings=settings_of(flags),
        events=events or Notes(),
    )


def settings_and_sources(common: Common) -> "tuple[Settings, Mapping[str, Endpoint]]":
    """Settings, and `[sources]` of the manifest if there is one; for commands that need no project."""
    folder_of(common)
    try:
        project = open_project(common)
    except ConfigError:
        if common.manifest:
            raise
        return settings_of(), {}
    return project.settings, project.endpoints


def existing_folders(option: str, folders: Sequence[Path]) -> tuple[Path, ...]:
    """Folders that an option names.

    Raises:
        ConfigError: One is no folder.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{option}: {folder} is no folder.", fix="name an existing folder")
    return tuple(folder.absolute() for folder in folders)


def watcher_of_lock(style: Style, *, quiet: bool) -> Events:
    """Who watches while files are hashed to be locked; lines are said only if it takes a while."""
    if quiet and style is not Style.json:
        return NoEvents()
    from fetcher.cli.progress import LateLines, events_of

    return events_of(style, LateLines)


def watcher(style: Style, *, quiet: bool) -> Events:
    """Who watches a run and shows its progress."""
    if quiet and style is not Style.json:
        return NoEvents()
    from fetcher.cli.progress import events_of  # needed only where something is shown

    return events_of(style)


def settings_of(flags: "Flags | None" = None) -> "Settings":
    """Of flags and the environment, for commands that need no project."""
    from fetcher.settings import Flags, Settings

    return Settings.of(os.environ, flags or Flags())


class Notes(NoEvents):
    """Says what a person may want to know."""

    def note(self, text: str) -> None:
        """Say it."""
        render.say(f"note: {text}")
