"""Runs a command where there is no network."""

import functools
import shutil
import subprocess


@functools.cache
def without_network() -> list[str]:
    """What a command begins with to have no network at all; nothing where the system does not let it."""
    words = ["unshare", "--user", "--map-root-user", "--net"]
    can = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if can else []
