"""The command line's frame: common options, exit codes and signals.

Decides nothing about files; project.py does.
"""

import os
import sys
from typing import Annotated

import typer

from fetcher.cli import interrupt, render
from fetcher.cli.commands import Commands
from fetcher.cli.common import Directory, ManifestName, Quiet, Verbose, remember_common
from fetcher.errors import ConfigError, DiskError, FetcherError, InterruptedRun

_EPILOG = (
    "Exit codes: 0 done, 1 a check found a difference, 2 usage, 3 partial, 4 integrity, 5 unreachable, "
    "6 not authorised, 7 not found, 9 would touch your file, 10 busy, 11 disk, 12 offline."
)

app = typer.Typer(
    name="fetcher",
    cls=Commands,
    help="Declares, locks and syncs the model files of a repository.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        render.version()
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    directory: Directory = None,
    manifest: ManifestName = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Declares, locks and syncs the model files of a repository."""
    remember_common(ctx, directory, manifest, quiet, verbose)


def run() -> None:
    """Run the command line; turns errors into their text and exit code."""
    interrupt.install()
    render.prepare()
    try:
        _require_locale()
        _call()
    except InterruptedRun as error:
        render.error(error)
        sys.stdout.flush()
        os._exit(error.exit_code)  # threads that still wait for a silent server must not hold it up
    except FetcherError as error:
        render.error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        problem = _disk_error(error)
        render.error(problem)
        sys.exit(problem.exit_code)


def _call() -> None:
    """The command, and its output written to the end."""
    try:
        app()
    except SystemExit:
        sys.stdout.flush()
        raise


def _require_locale() -> None:
    if os.name == "posix" and sys.getfilesystemencoding() not in ("utf-8", "utf8"):
        raise ConfigError(
            "This locale cannot name all files.",
            facts=[f"encoding of file names: {sys.getfilesystemencoding()}"],
            fix="run it with LC_ALL=C.UTF-8",
        )


def _disk_error(error: OSError) -> DiskError:
    """The last resort, for a disk that refuses where nobody expected it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit would fail to flush again
    path = [f"path: {error.filename}"] if error.filename else []
    reason = f"reason: {error.strerror or type(error).__name__}"
    return DiskError("The disk or the output refuses.", facts=[*path, reason], fix="check its room, owner and mode")
