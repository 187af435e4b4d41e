"""Starts a program in the place of this one, so that its signals and its exit code are its own.

Promises (tests/cli/test_exec.py):
  * the program finds signals, standard streams and the process id as if it had been started itself;
  * one that cannot be started is told with the exit code of the shells, 127 or 126.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from fetcher.errors import CommandError, ConfigError, NoCommandError

_OF_PYTHON = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")  # ignored by Python's start, as subprocess knows too


def become(words: Sequence[str], environment: Mapping[str, str], *, folder: Path | None = None) -> NoReturn:
    """Run a program and never return.

    Args:
        words: The program and its arguments.
        environment: All that it sees; its PATH is searched.
        folder: Where it starts; None is the current folder.

    Raises:
        NoCommandError: There is no such program.
        CommandError: It cannot be started.
        ConfigError: The folder is none.
    """
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}.", fix="name an existing folder with -C") from None
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if sys.platform == "win32":  # exec there returns to the shell before the program has ended
            sys.exit(subprocess.call(words, env=environment))  # noqa: S603  the user's own command
        for name in _OF_PYTHON:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execvpe(words[0], list(words), environment)  # noqa: S606  the user's own command
    except FileNotFoundError:
        raise _missing(words[0]) from None
    except OSError as error:
        raise CommandError(
            f"{words[0]} cannot be started: {error.strerror}.", fix="check that it is a program and may be run"
        ) from None
    except ValueError as error:
        raise CommandError(f"This command cannot be started: {error}.", fix="correct its words") from None


def _missing(program: str) -> NoCommandError:
    if os.path.exists(program) and os.sep in program:
        return NoCommandError(
            f"{program} cannot be started: the program that its first line names does not exist.",
            fix="correct that line, or name the interpreter: `-- python script.py`",
        )
    where = "" if os.sep in program else " in PATH"
    return NoCommandError(f"There is no program {program}{where}.", fix="check the words after `--`")
