"""`.fetcher/`: made, and refused if it leads elsewhere.

Promise (tests/test_hostile_state.py):
  * nothing is written or removed through a symlink that came with somebody's project.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from fetcher.disk.atomic import disk_errors, make_folder
from fetcher.errors import BlockedError

STAGING = ("partial", "objects")  # staging.py; in the trash the user's own links may lie


def make_state_folder(state: Path) -> None:
    """Make `.fetcher/`, which git is to ignore.

    Raises:
        BlockedError: It is a symlink, or one is in it where only fetcher writes.
        DiskError: It cannot be made.
    """
    with disk_errors(state):
        links = list(links_in(state))
    if links:
        raise BlockedError(
            "A symlink stands where fetcher keeps its state; nothing was written through it.",
            facts=[f"{link} -> {os.readlink(link)}" for link in links[:10]],
            fix=f"remove it, what it leads to stays: rm {links[0]}",
        )
    make_folder(state)
    with disk_errors(state):
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def links_in(state: Path) -> Iterator[Path]:
    """The symlinks where only fetcher writes."""
    if state.is_symlink():
        yield state
    elif state.is_dir():
        yield from (Path(entry.path) for entry in os.scandir(state) if entry.is_symlink())
        for name in STAGING:
            for where, folders, files in os.walk(state / name):
                yield from (path for each in (*folders, *files) if (path := Path(where, each)).is_symlink())
