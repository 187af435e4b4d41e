"""models.lock beside an earlier one: of a revision of git, or a file.

Asks no network, looks at no target, writes nothing.  Not in here: the comparison (core/lockdiff.py).

Promises (tests/cli/test_diff.py):
  * a revision is never taken for an option of git;
  * a lock that the revision does not have is one without models; one that cannot be read is an error.
"""

from collections.abc import Mapping
from pathlib import Path

from fetcher.core.lock import Lock
from fetcher.core.lockdiff import LockDiff, diff_of
from fetcher.errors import ConfigError
from fetcher.formats.lock_toml import read_lock
from fetcher.own_git import own_git
from fetcher.pins import Pins


def diff_to_file(pins: Pins, path: Path, *, name: str) -> LockDiff:
    """What the lock changes against that of a file.

    Raises:
        ConfigError: One of them cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}.", fix="name another file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8 text (byte {error.start}).", fix="name a lock") from None
    return diff_of(read_lock(text, file=name).lock, _lock_now(pins), base=name, commit=None)


def diff_to_revision(pins: Pins, revision: str) -> LockDiff:
    """What the lock changes against the one that git has at a revision.

    Raises:
        ConfigError: No git, no repository, no such revision, or a lock that cannot be used.
    """
    git = _Git(pins.root, pins.settings.environment)
    commit = git.commit_of(revision)
    text = git.text_at(commit, pins.lock_path.name)
    before = read_lock(text, file=f"{pins.lock_path.name} of {revision}").lock if text is not None else Lock()
    return diff_of(before, _lock_now(pins), base=revision, commit=commit)


def _lock_now(pins: Pins) -> Lock:
    """The lock, if it is as it was written; without one, no models."""
    return pins.frozen_lock() if pins.lock_path.exists() else Lock()


class _Git:
    """What the user's own git tells of a folder's repository.

    Args:
        environment: The user's variables.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        own = {"GIT_LITERAL_PATHSPECS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
        self._environment = {**environment, **own}

    def commit_of(self, revision: str) -> str:
        """The commit that a revision names.

        Raises:
            ConfigError: None, or there is no repository.
        """
        found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if found is not None:
            return found.decode("ascii").strip()
        if self._run("rev-parse", "--git-dir") is None:
            raise ConfigError(
                f"{self._folder} is in no git repository.", fix="name a file to compare with: `fetcher diff FILE`"
            )
        raise ConfigError(
            f"{revision} is neither a file nor a commit, branch or tag of this repository.",
            fix="name one that `git log` knows, or a file",
        )

    def text_at(self, commit: str, name: str) -> str | None:
        """The text of a file of the folder in a commit; None where it has none.

        Raises:
            ConfigError: It is no file, or its bytes are not in this clone.
        """
        entry = self._run("ls-tree", "-z", commit, "--", name)
        if not entry:
            return None
        kind, blob = entry.partition(b"\t")[0].decode("ascii").split()[1:]
        data = self._run("cat-file", "blob", blob)
        if data is None:
            raise ConfigError(
                f"git does not give {name} of {commit[:12]}.",
                facts=[f"object: {kind} {blob}"],
                fix="fetch that commit whole, or name another",
            )
        return data.decode("utf-8", "replace").replace("\r\n", "\n")

    def _run(self, *words: str) -> bytes | None:
        """What git prints; None if it fails."""
        done = own_git(self._folder, *words, environment=self._environment)
        return done.stdout if done.returncode == 0 else None
