"""Claims: who may write where.  A claim is a file lock plus a mark that says who holds it.

Not in here: `models.lock`, which is no claim.  A claim ends with its process, however it
ends.  The mark is for file systems on which locks fail or always succeed (some NFS): a
mark of another living writer is believed even when the lock was given to us.

Promises (tests/disk/test_claim.py):
  * one holder at a time among threads, processes, and (by the mark) machines;
  * a killed holder is followed at once on the same machine;
  * a waiter is told who is waited for, and gives up after its wait with BusyError (exit 10).
"""

import contextlib
import errno
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from fetcher.disk.atomic import disk_errors, make_folder
from fetcher.errors import BusyError

_POLL_S = 0.1
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_FRESH_S = 60.0  # a holder elsewhere that wrote nothing for so long is taken for dead

_held: set[str] = set()  # tokens of this process; a mark with our pid and no such token is of a former life

LockType = Callable[[Path], BaseFileLock]


def _file_lock(path: Path) -> BaseFileLock:
    return FileLock(path, timeout=0, thread_local=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Who holds a claim."""

    host: str
    pid: int
    token: str

    @classmethod
    def own(cls) -> "_Mark":
        return cls(host=socket.gethostname(), pid=os.getpid(), token=secrets.token_hex(8))

    @classmethod
    def parse(cls, text: str) -> "_Mark | None":
        fields = text.split()
        if len(fields) != 3 or not fields[1].isdigit():
            return None
        return cls(host=fields[0], pid=int(fields[1]), token=fields[2])

    def __str__(self) -> str:
        return f"{self.host} {self.pid} {self.token}\n"


class Claim:
    """The sole right to write in a folder, until released or the process ends."""

    def __init__(self, folder: Path, lock: BaseFileLock | None, mark: _Mark) -> None:
        self._folder = folder
        self._lock = lock
        self._mark = mark
        _held.add(mark.token)

    @classmethod
    def take(cls, folder: Path, *, lock_type: LockType = _file_lock) -> "Claim | None":
        """Claim a folder, which is made if it is missing; None if another one holds it.

        Raises:
            DiskError: The folder cannot be made or written.
        """
        make_folder(folder)
        with disk_errors(folder):
            lock, held_elsewhere = _try_lock(lock_type(folder / "claim"))
            if held_elsewhere:
                return None
            mark = _Mark.own()
            try:
                taken = _put_mark(folder, mark)
            except BaseException:
                _release(lock)
                raise
            if not taken:
                _release(lock)
                return None
        return cls(folder, lock, mark)

    def is_held(self) -> bool:
        """Whether the mark is still ours (on file systems without locks another may have taken over)."""
        found = _read_mark(self._folder)
        return found is not None and found.token == self._mark.token

    def release(self) -> None:
        """Give the claim up; may be called twice."""
        _held.discard(self._mark.token)
        if self.is_held():
            (self._folder / "owner").unlink(missing_ok=True)
        _release(self._lock)
        self._lock = None

    def end(self) -> None:
        """Give the claim up and remove its files, and the folder if nothing else is in it."""
        (self._folder / "claim").unlink(missing_ok=True)  # while held: a waiter then finds the object
        self.release()
        with contextlib.suppress(OSError):
            self._folder.rmdir()


@contextlib.contextmanager
def claim(path: Path, *, wait_s: float, what: str, stop: threading.Event | None = None) -> Iterator[None]:
    """Hold a file lock for the time of a `with` block.

    Args:
        path: The lock's file; stays afterwards.
        wait_s: Seconds to wait for another holder.
        what: What is claimed, for the message: `the project demo`.
        stop: Ends the wait early.

    Raises:
        BusyError: Another fetcher holds it for longer than the wait.
        DiskError: The file cannot be made or written.
    """
    make_folder(path.parent)
    end = time.monotonic() + wait_s
    with disk_errors(path):
        lock, held_elsewhere = _try_lock(_file_lock(path))
        while held_elsewhere:
            if time.monotonic() >= end or (stop is not None and stop.is_set()):
                raise BusyError(
                    f"Another fetcher is at work on {what}.",
                    facts=[f"claim: {path}", f"waited: {wait_s:g} s"],
                    fix="wait for it to end and run the command again",
                )
            time.sleep(_POLL_S)
            lock, held_elsewhere = _try_lock(_file_lock(path))
    try:
        yield
    finally:
        _release(lock)


def _try_lock(lock: BaseFileLock) -> tuple[BaseFileLock | None, bool]:
    """The lock if it was given (None where locks are not supported), and whether another holds it."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None, True
    except NotImplementedError:
        return None, False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None, False
        raise
    return lock, False


def _release(lock: BaseFileLock | None) -> None:
    if lock is not None:
        lock.release()


def _put_mark(folder: Path, mark: _Mark) -> bool:
    """Leave our mark unless a living writer has left one."""
    path = folder / "owner"
    found = _read_mark(folder)
    if path.exists():
        if found is not None and _is_alive(found, folder):
            return False
        aside = folder / f".owner.fetcher-{mark.pid}-{mark.token}"
        try:
            os.rename(path, aside)  # of two that see a dead owner, one succeeds
        except FileNotFoundError:
            return False
        aside.unlink(missing_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(str(mark))
    except FileExistsError:
        return False
    return True


def _read_mark(folder: Path) -> _Mark | None:
    try:
        return _Mark.parse((folder / "owner").read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return None


def _is_alive(mark: _Mark, folder: Path) -> bool:
    if mark.host == socket.gethostname() and not _runs(mark):
        return False
    return time.time() - last_write(folder) < _FRESH_S


def last_write(folder: Path) -> float:
    """When something in a folder was last written, in seconds since the epoch; 0 if never."""
    latest = 0.0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name != "claim":  # taking the lock may touch it
                with contextlib.suppress(FileNotFoundError):
                    latest = max(latest, entry.stat(follow_symlinks=False).st_mtime)
    return latest


def _runs(mark: _Mark) -> bool:
    if mark.pid == os.getpid():
        return mark.token in _held
    if os.name != "posix":
        return False  # file locks work there, and signal 0 would end the process
    try:
        os.kill(mark.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
