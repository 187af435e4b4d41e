"""Where on this machine bytes may be that a sync would fetch otherwise.

Files that fetcher placed, in any project that uses the store; files of the official
clients' caches; files of folders that the user names (`--adopt`).  Whatever is found is a
guess: salvage.py hashes it before it is taken, and leaves it as it is.

Promises (tests/disk/test_copies.py):
  * a folder is walked once, whatever number of files is wanted, and no symlink is followed;
  * what cannot be read is no copy.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.plan import Wanted
from fetcher.disk.registry import KnownProject

_SHA256_NAME = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A file that may hold a digest's bytes.

    Attributes:
        is_own: fetcher wrote it, nobody touched it since, and nobody may write to it: it may be linked.
        is_damaged: fetcher wrote it, and some of its chunks may still be right.
    """

    path: Path
    is_own: bool = False
    is_damaged: bool = False


class Copies:
    """Looks for copies.

    Args:
        projects: Those whose placed files count.
        folders: Walked for files of the right size.
    """

    def __init__(self, *, projects: Callable[[], Sequence[KnownProject]], folders: Sequence[Path]) -> None:
        self._projects = projects
        self._folders = folders

    def of(self, wanted: Iterable[Wanted]) -> Mapping[Sha256, list[Copy]]:
        """Copies of each digest: fetcher's own first, then damaged ones, then files of the right size."""
        items = list(wanted)
        found: dict[Sha256, list[Copy]] = {item.sha256: [] for item in items}
        if not items:
            return found
        for sha256, copy in self._placed(found):
            found[sha256].append(copy)
        for copies in found.values():
            copies.sort(key=lambda copy: (copy.is_damaged, not copy.is_own))
        by_size: dict[int, list[Sha256]] = {}
        for sha256, size in {item.sha256: item.size for item in items}.items():
            by_size.setdefault(size, []).append(sha256)
        for folder in self._folders:
            for path, size in _files(folder):
                for sha256 in by_size.get(size, ()):
                    if not _SHA256_NAME.match(path.name) or path.name == sha256:
                        found[sha256].append(Copy(path=path))
        return found

    def _placed(self, digests: Mapping[Sha256, object]) -> Iterator[tuple[Sha256, Copy]]:
        for project in self._projects():
            for row in project.rows():
                if row.sha256 not in digests:
                    continue
                path = project.root / row.spot
                try:
                    status = path.lstat()
                except OSError:
                    continue
                if not stat.S_ISREG(status.st_mode) or status.st_size != row.size:
                    continue
                is_sound = row.is_unchanged(status) and not row.damaged
                is_own = row.wrote and is_sound and not status.st_mode & 0o222
                yield row.sha256, Copy(path=path, is_own=is_own, is_damaged=row.wrote and not is_sound)


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Regular files below a folder that are not empty, with their sizes; what cannot be read is passed over."""
    for parent, names, files in os.walk(folder):
        names.sort()
        for name in sorted(files):
            path = Path(parent, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_size:
                yield path, status.st_size
