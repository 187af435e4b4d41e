"""The one home of write, fsync, rename, fsync folder; and of what a failing disk is called.

Not in here: which bytes belong where.

Promises (tests/disk/test_atomic.py):
  * a reader of `path` sees the old bytes or the new ones, whenever the writer is killed;
  * a failed write leaves the old file and no litter;
  * two writers of one path never share a temporary file, and what a killed one left is removed;
  * where a folder is given, nothing is written through a symlink out of it;
  * a disk that is full, read-only or forbidden is a DiskError with path and fix (exit 11).
"""

import errno
import os
import shlex
import time
from pathlib import Path
from types import TracebackType

from fetcher.disk.writer import sweep, temporary_name
from fetcher.errors import BlockedError, DiskError

_ELSEWHERE = "free some space on the disk that holds this path"

_MEANINGS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("No space is left on the disk.", _ELSEWHERE),
    errno.EDQUOT: ("The disk quota is used up.", _ELSEWHERE),
    errno.EROFS: ("The file system is read-only.", "mount it writable, or work in another folder"),
    errno.EACCES: ("Permission denied.", "check the owner and mode of the folder with `ls -ld`"),
    errno.EPERM: ("The operation is not permitted.", "check the owner and mode of the folder with `ls -ld`"),
    errno.EIO: ("The disk reported an input/output error.", "check the disk's health, then run the command again"),
    errno.ENOTDIR: ("A file stands where a folder is due.", "move the file away, or name another folder"),
    errno.EEXIST: ("A file stands where a folder is due.", "move the file away, or name another folder"),
    errno.ELOOP: ("Something else stands where a file is due.", "move it away, then run the command again"),
    errno.ENXIO: ("Something else stands where a file is due.", "move it away, then run the command again"),
    errno.EFBIG: (
        "The file is too large for this file system.",
        "set FETCHER_STORE to a folder on a file system for large files",
    ),
    errno.EMFILE: ("Too many files are open.", "raise the limit with `ulimit -n 4096`, or lower --jobs"),
    errno.ENFILE: ("Too many files are open on this machine.", "close other programs, or lower --jobs"),
}


class disk_errors:
    """Translate what the disk refuses; any other OSError passes as it is.

    Args:
        path: What the error names.
        below: What it names more closely; joined when there is an error.

    Raises:
        DiskError: No space, quota, read-only, permission, I/O error, too many open files.
    """

    __slots__ = ("_below", "_path")

    def __init__(self, path: Path, *below: str) -> None:
        self._path = path
        self._below = below

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, OSError):
            return
        meaning = _MEANINGS.get(error.errno or 0)
        if meaning is None:
            return
        what, fix = meaning
        raise DiskError(what, facts=[f"path: {Path(self._path, *self._below)}"], fix=fix) from error


def write_atomic(path: Path, data: bytes, *, mode: int | None = None, within: Path | None = None) -> None:
    """Replace a file by one that holds `data`, durably, or leave it untouched.

    Args:
        path: A symlink keeps pointing; the file behind it is replaced.
        mode: Permission bits, which the bytes have from the first one on; None keeps those of
            the old file, or the umask decides.
        within: A folder out of which no symlink may lead.

    Raises:
        BlockedError: One does.
        DiskError: See `disk_errors`.
    """
    name, path = path, Path(os.path.realpath(path))
    if within is not None and not path.is_relative_to(os.path.realpath(within)):
        raise BlockedError(
            f"{name.name} is a symlink out of the project; nothing was written through it.",
            facts=[f"{name} -> {path}"],
            fix=f"remove it, what it leads to stays: rm {shlex.quote(str(name))}",
        )
    sweep(path.parent)
    temporary = path.with_name(temporary_name(path.name))
    with disk_errors(path):
        if mode is None:
            mode = _mode_of(path)
        try:
            _write_new(temporary, data, mode)
            rename_durably(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def backdate(descriptor: int) -> None:
    """Set a file's time a second back, so that any later write shows, whatever the clock's grain."""
    if os.utime in os.supports_fd:
        now = time.time_ns()
        os.utime(descriptor, ns=(now, now - 1_000_000_000))


def rename_durably(source: Path, target: Path) -> None:
    """Rename within one file system, over what is there, and make the new name durable.

    Raises:
        OSError: As `os.replace`.
    """
    os.replace(source, target)
    sync_folder(target.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable; does nothing where folders cannot be opened (Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_descriptor(folder: int) -> None:
    """Make the names in an open folder durable, where its file system has such a call."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have not
            raise


def make_folder(path: Path) -> None:
    """Make a folder and its parents; another process may do the same at the same time.

    Raises:
        DiskError: See `disk_errors`.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    with disk_errors(path):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None


def _write_new(path: Path, data: bytes, mode: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666 if mode is None else mode & 0o666), "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    if mode is not None:
        path.chmod(mode)
