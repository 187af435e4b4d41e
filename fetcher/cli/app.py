"""The command line's frame: the commands, their common options, exit codes and signals.

Decides nothing about files; project.py does.
"""

import os
import sys
from typing import Annotated

import typer

from fetcher.cli import (
    checking,
    comparing,
    credentials,
    downloading,
    editing,
    explaining,
    interrupt,
    locking,
    looking,
    merging,
    moving,
    render,
    running,
    starting,
    storing,
    syncing,
    undoing,
    verifying,
)
from fetcher.cli.common import Directory, ManifestName, Quiet, Verbose, remember_common
from fetcher.errors import ConfigError, DiskError, FetcherError, InterruptedRun

_EPILOG = (
    "Exit codes: 0 done, 1 a check found a difference, 2 usage, 3 partial, 4 integrity, 5 unreachable, "
    "6 not authorised, 7 not found, 9 would touch your file, 10 busy, 11 disk, 12 offline."
)

app = typer.Typer(
    name="fetcher",
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


starting.add_to(app)
editing.add_to(app)
locking.add_to(app)
merging.add_to(app)
checking.add_to(app)
syncing.add_to(app)
looking.add_to(app)
explaining.add_to(app)
moving.add_to(app)
comparing.add_to(app)
running.add_to(app)
undoing.add_to(app)
downloading.add_to(app)
credentials.add_to(app)
verifying.add_to(app)
storing.add_to(app)


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
