"""What the trash holds, and what it lets go: fetcher's own files, by age and by size.

What was moved aside is the user's and is never let go by fetcher: it is counted, said in
`status`, and stays until the user removes it.

Promises (tests/disk/test_tidy.py):
  * a file that fetcher did not write, and anything that is no change of fetcher's, stays;
  * a file whose bytes are elsewhere too (the store, a target) counts as nothing;
  * the oldest changes go first, and a killed tidying is finished by the next one.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fetcher.core.change import Act, Bounds, Usage
from fetcher.disk.atomic import disk_errors
from fetcher.disk.names import is_content
from fetcher.disk.trash import Change


def usage(folder: Path, changes: Sequence[Change]) -> Usage:
    """Count what is in a trash; whatever is not known as fetcher's own is the user's.

    Args:
        folder: The trash.
        changes: All of it, of every manifest.
    """
    own = {path: found for change in changes for path, found in _own(change)}
    records = {change.folder / f"{change.state}.jsonl" for change in changes}
    users = [found for path, found in _files(folder) if path not in own and path not in records]
    return Usage(
        changes=sum(change.state in ("open", "done") for change in changes),
        own=len(own),
        own_size=sum(map(_cost, own.values())),
        beside=sum(not path.is_relative_to(folder) for path in own),
        users=len(users),
        users_size=sum(found.st_size for found in users),
    )


def tidy(changes: Sequence[Change], bounds: Bounds) -> int:
    """Let go what is too old or too much; returns how many files went.

    Args:
        changes: All of the trash, oldest first.

    Raises:
        DiskError: A file may not be removed.
    """
    now_s, room, gone = time.time(), bounds.size, 0
    for change in reversed(changes):
        kept = list(_own(change))
        room -= sum(_cost(found) for _, found in kept)
        too_old = now_s - change.began_s > bounds.age_s
        too_much = room < 0 and any(_cost(found) for _, found in kept)
        if change.state == "gone" or too_old or too_much:
            gone += _let_go(change, [path for path, _ in kept])
    return gone


def _let_go(change: Change, own: Iterable[Path]) -> int:
    """Remove a change's own files and, if nothing of the user's is in it, its folder."""
    ended = change if change.state == "gone" else change.end("gone")
    number = 0
    for path in own:
        with disk_errors(path), contextlib.suppress(FileNotFoundError):
            path.unlink()
            number += 1
    for where, _, _ in os.walk(change.folder, topdown=False):
        if Path(where) != change.folder:
            with contextlib.suppress(OSError):  # not empty: something of the user's is below
                os.rmdir(where)
    if os.listdir(change.folder) == ["gone.jsonl"]:
        with disk_errors(change.folder):
            ended.record.unlink()
            change.folder.rmdir()
    return number


def _own(change: Change) -> Iterator[tuple[Path, os.stat_result]]:
    """The files of fetcher's own that a change keeps."""
    was_undone = change.was_undone
    for step in change.steps():
        places = []
        if step.former is not None:
            places.append(change.kept.find(step.home))
        if was_undone and step.act is not Act.ASIDE and step.sha256:
            places.append(change.taken.find(step.spot))
        for path in filter(None, places):
            found = path.lstat()
            if is_content(found.st_mode):
                yield path, found


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for where, folders, names in os.walk(folder):
        for name in (*names, *(each for each in folders if os.path.islink(os.path.join(where, each)))):
            path = Path(where, name)
            yield path, path.lstat()


def _cost(found: os.stat_result) -> int:
    return found.st_size if found.st_nlink == 1 else 0
