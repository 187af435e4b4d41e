"""A name that leads to a folder: a relative symlink, replaced at once.

Promise (tests/test_layouts.py): a name that is no link is never replaced.
"""

import os
from pathlib import Path

from fetcher.disk.atomic import disk_errors, make_folder
from fetcher.disk.writer import temporary_name
from fetcher.errors import BlockedError


def lead_to(link: Path, folder: Path) -> None:
    """Make `link` a symlink to `folder`; does nothing if it is.

    Raises:
        BlockedError: Something that is no link has the name.
        DiskError: The disk refuses.
    """
    goal = os.path.relpath(folder, link.parent)
    with disk_errors(link):
        if link.is_symlink():
            if os.readlink(link) == goal:
                return
        elif os.path.lexists(link):
            raise BlockedError(f"{link} is in the way.", fix="move it away and run the same command again")
        make_folder(link.parent)
        fresh = link.with_name(temporary_name(link.name))
        fresh.symlink_to(goal)
        fresh.replace(link)
