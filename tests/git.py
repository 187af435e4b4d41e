"""Real git, without the settings of whoever runs the tests."""

import os
import subprocess
from pathlib import Path


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git without the settings of whoever runs the tests."""
    settings = ("user.name=t", "user.email=t@example.com", "init.defaultBranch=ours", "commit.gpgsign=false")
    options = [word for setting in settings for word in ("-c", setting)]
    return subprocess.run(
        ["git", *options, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
