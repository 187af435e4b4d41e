"""Every error that fetcher raises on purpose.  Imports nothing.

One class for each thing that a caller can do about it; each has its exit status
(design: exit codes).

    FetcherError
    ├── DifferenceError      1   a check found a difference: stale lock, disk differs
    ├── ConfigError          2   flags, models.toml, an unreadable or too new lock
    ├── PartialError         3   some models failed, the others are done
    ├── IntegrityError       4   size or hash differs from the lock; a hostile name
    │   └── PointerError     4   a git-lfs pointer came where a file's content was due
    ├── SourceError          5   a source did not answer, or not in a way that can be used
    ├── AuthError            6   a token is missing or was refused
    ├── NotFoundError        7   repository, revision or file does not exist
    ├── PolicyError          8   the project's policy refuses
    ├── BlockedError         9   would touch a file of the user
    ├── BusyError           10   another fetcher holds the claim
    ├── DiskError           11   no space, read-only, no permission
    ├── OfflineError        12   something is missing and the network is not to be used
    ├── CommandError       126   `fetcher exec`: the command cannot be started
    │   └── NoCommandError 127   there is no such command
    └── InterruptedRun     130   Ctrl-C; TerminatedRun (143): SIGTERM

The text of an error is: what happened, the facts one a line, and the fix.
"""

from collections.abc import Iterable
from typing import ClassVar


class FetcherError(Exception):
    """An error with its facts and its fix.

    Args:
        what: One sentence that says what happened.
        facts: Short lines that show it (`locked: 12 bytes`).
        fix: What to do or to run; starts with a verb.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, facts: Iterable[str] = (), fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.facts = tuple(facts)
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what, *(f"  {fact}" for fact in self.facts)]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class DifferenceError(FetcherError):
    """A check found a difference: the lock is stale or the disk differs."""

    exit_code = 1


class ConfigError(FetcherError):
    """A flag, models.toml or models.lock cannot be used as it is."""

    exit_code = 2


class PartialError(FetcherError):
    """Some models failed and the others are done (`--keep-going`)."""

    exit_code = 3


class IntegrityError(FetcherError):
    """Bytes, sizes or names are not what the lock or good sense allows."""

    exit_code = 4


class PointerError(IntegrityError):
    """A git-lfs pointer came where a file's content was due; no source of these bytes has the file."""


class SourceError(FetcherError):
    """A source did not answer, or answered in a way that cannot be used.

    Args:
        transient: Another try may work (a cut, a stall, 429, 5xx).
        retry_after_s: Seconds that the server asked to wait, if it did.
    """

    exit_code = 5

    def __init__(
        self,
        what: str,
        *,
        facts: Iterable[str] = (),
        fix: str | None = None,
        transient: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, facts=facts, fix=fix)
        self.transient = transient
        self.retry_after_s = retry_after_s


class AuthError(FetcherError):
    """A token is missing, was refused, or does not open this repository."""

    exit_code = 6


class NotFoundError(FetcherError):
    """The repository, the revision or the file does not exist upstream."""

    exit_code = 7


class PolicyError(FetcherError):
    """The project's policy refuses what was asked for."""

    exit_code = 8


class BlockedError(FetcherError):
    """Something that fetcher did not write, or that was edited since, is in the way."""

    exit_code = 9


class BusyError(FetcherError):
    """Another fetcher holds the claim for longer than the wait."""

    exit_code = 10


class DiskError(FetcherError):
    """The disk is full, read-only, or may not be written."""

    exit_code = 11


class OfflineError(FetcherError):
    """Something is missing and the network is not to be used."""

    exit_code = 12


class CommandError(FetcherError):
    """The command of `fetcher exec` cannot be started; the code is that of the shells."""

    exit_code = 126


class NoCommandError(CommandError):
    """There is no such command; the code is that of the shells."""

    exit_code = 127


class InterruptedRun(FetcherError):
    """The run was interrupted (SIGINT); what was received is kept."""

    exit_code = 130


class TerminatedRun(InterruptedRun):
    """The run was terminated (SIGTERM); what was received is kept."""

    exit_code = 143
