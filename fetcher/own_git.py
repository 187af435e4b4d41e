"""The user's own git, asked about the repository around a project.

With the user's settings and variables, as typed in that folder; git for foreign servers, which
needs neither, is sources/git_lfs/program.py.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from fetcher.errors import ConfigError


def own_git(
    folder: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git to its end; whoever calls judges how it ended.

    Args:
        words: None of them from outside, unless behind `--end-of-options`.
        environment: All variables; None is this process's.

    Raises:
        ConfigError: There is no git.
    """
    command = ["git", "-C", str(folder), *words]
    try:
        return subprocess.run(command, capture_output=True, check=False, env=environment)  # noqa: S603
    except FileNotFoundError:
        raise ConfigError("There is no program git in PATH.", fix="install git") from None
