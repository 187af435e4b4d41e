"""A directory held open, so that nothing can be swapped in between check and use.

On systems without directory descriptors (Windows) the full path is used instead.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from fetcher.core.interfaces import Closing
from fetcher.disk.atomic import sync_descriptor
from fetcher.disk.writer import sweep

NO_SHARING = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}
_BY_DESCRIPTOR = {os.open, os.mkdir, os.rename, os.unlink, os.link, os.stat, os.rmdir} <= os.supports_dir_fd
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | os.O_RDONLY

StrPath = str | os.PathLike[str]


class Folder(Closing):
    """One directory; every name is taken relative to it and never followed."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open an existing directory; symlinks in `path` itself are followed."""
        if not _BY_DESCRIPTOR:
            return cls(path, None)
        return cls(path, os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)))

    def child(self, name: str) -> "Folder":
        """Open a directory in this one.

        Raises:
            FileNotFoundError: It is not there.
            NotADirectoryError: It is a symlink or no directory.
        """
        if self._descriptor is None:
            if not stat.S_ISDIR((self.path / name).lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.path / name))
            return Folder(self.path / name, None)
        try:
            return Folder(self.path / name, os.open(name, _DIRECTORY, dir_fd=self._descriptor))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.path / name)) from None
            raise

    def make_child(self, name: str) -> bool:
        """Make a directory; returns False if it is there already."""
        try:
            os.mkdir(self._name(name), dir_fd=self._descriptor)
        except FileExistsError:
            return False
        return True

    def lstat(self, name: str) -> os.stat_result | None:
        """What stands under a name, not followed; None for nothing."""
        try:
            return os.stat(self._name(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def create(self, name: str) -> int:
        """Create a file that must not exist; returns a descriptor for writing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        return os.open(self._name(name), flags, 0o666, dir_fd=self._descriptor)

    def link_to_name(self, goal: str, name: str) -> None:
        """Make a symlink that must not exist, dated a second back (atomic.py says why)."""
        os.symlink(goal, self._name(name), dir_fd=self._descriptor)
        if os.utime in os.supports_follow_symlinks:
            now = time.time_ns()
            times = (now, now - 1_000_000_000)
            os.utime(self._name(name), ns=times, dir_fd=self._descriptor, follow_symlinks=False)

    def link_here(self, source: StrPath, name: str) -> None:
        """Hard link `source` under a new name; an existing name is an error, never replaced."""
        os.link(source, self._name(name), dst_dir_fd=self._descriptor, follow_symlinks=False)

    def link(self, old: str, new: str) -> None:
        """Give a file of this directory a second name that must not exist."""
        os.link(
            self._name(old),
            self._name(new),
            src_dir_fd=self._descriptor,
            dst_dir_fd=self._descriptor,
            follow_symlinks=False,
        )

    def link_to(self, old: str, other: "Folder", new: str) -> None:
        """Give a file of this directory a name in another one, which must not exist."""
        os.link(
            self._name(old),
            other._name(new),  # noqa: SLF001 - its own kind
            src_dir_fd=self._descriptor,
            dst_dir_fd=other._descriptor,  # noqa: SLF001
            follow_symlinks=False,
        )

    def replace(self, old: str, new: str) -> None:
        """Rename within this directory, over what stands there."""
        os.replace(self._name(old), self._name(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def take_in(self, name: str, source: "Folder", old: str) -> None:
        """Rename into this directory, from another one of the same file system."""
        os.rename(source._name(old), self._name(name), src_dir_fd=source._descriptor, dst_dir_fd=self._descriptor)  # noqa: SLF001 - its own kind

    def unlink(self, name: str) -> None:
        """Remove a name; a missing one is fine."""
        try:
            os.unlink(self._name(name), dir_fd=self._descriptor)
        except FileNotFoundError:
            return

    def remove_child(self, name: str) -> bool:
        """Remove a directory if it is empty; returns whether it is gone."""
        try:
            os.rmdir(self._name(name), dir_fd=self._descriptor)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def sweep(self) -> None:
        """Remove what writers have left here who are no more (writer.py)."""
        sweep(self.path if self._descriptor is None or os.listdir not in os.supports_fd else self._descriptor)

    def flush(self) -> None:
        """Make the names in this directory durable (no-op where that cannot be asked for)."""
        if self._descriptor is not None:
            sync_descriptor(self._descriptor)

    def is_the_same_as(self, other: "Folder") -> bool:
        """Whether both are one directory."""
        mine, others = (os.stat(each.path if each._descriptor is None else each._descriptor) for each in (self, other))  # noqa: SLF001
        return os.path.samestat(mine, others)

    def close(self) -> None:
        """Release the descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _name(self, name: str) -> str:
        return name if self._descriptor is not None else str(self.path / name)


def descend(root: Path, parts: list[str], *, made: list[str] | None) -> Folder:
    """Go down from `root`, never through a symlink; returns the folder, open.

    Args:
        root: Where to start; followed as it is.
        parts: Names to descend.
        made: When given, missing directories are made and their paths below
            `root` (with `/`) appended; None makes nothing.

    Raises:
        FileNotFoundError: A part is missing and `made` is None.
        NotADirectoryError: A part is a symlink or no directory.
    """
    here = Folder.at(root)
    try:
        for depth, name in enumerate(parts, start=1):
            try:
                below = here.child(name)
            except FileNotFoundError:
                if made is None:
                    raise
                if here.make_child(name):
                    made.append("/".join(parts[:depth]))
                below = here.child(name)
            here.close()
            here = below
    except BaseException:
        here.close()
        raise
    return here


@contextmanager
def walk_to(root: Path, parts: list[str], *, made: list[str] | None) -> Iterator[Folder]:
    """As `descend`, for a block."""
    with descend(root, parts, made=made) as folder:
        yield folder


def move_new(source: Folder, old: str, target: Folder, new: str) -> None:
    """Rename without replacing.

    Raises:
        FileExistsError: Something has the new name.
        OSError: With EXDEV: they are on different file systems.
    """
    try:
        source.link_to(old, target, new)  # unlike a rename, a link never replaces
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_SHARING:
            raise
        if target.lstat(new) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
        target.take_in(new, source, old)
    else:
        source.unlink(old)
