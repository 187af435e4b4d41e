"""Claims: who may write where.  A file lock, and a lease that says who holds it.

    <folder>/claim     the file that is locked
    <folder>/owner     the lease: host, writer (writer.py), token, since when; touched every 10 s

(`x.claim` and `x.owner` for a claim of a name of its own.)

Claims are politeness: they spare work that two would do twice.  That files end right does not
rest on them, because every writer has names of its own and gives final names by rename or link.
A claim ends with its process, however it ends.  The lease is for file systems on which
locks fail or are given to everybody (some NFS): that of another living writer is believed
even when the lock was given to us.

Not in here: `models.lock`, which is no claim.

Promises (tests/disk/test_claim.py):
  * one holder at a time among threads, processes, and (by the lease) machines;
  * a killed holder is followed at once on the same machine, and after a minute on another;
  * a waiter is told who is waited for, and gives up after its wait with BusyError (exit 10).
"""

import contextlib
import errno
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fetcher.disk.atomic import disk_errors, make_folder
from fetcher.disk.writer import Life, Writer, sweep, temporary_name
from fetcher.errors import BusyError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_OWN_NAMES = ("claim", "owner")
_POLL_S = 0.1
_BEAT_S = 10.0
_END_S = 1.0  # for the thread that touches leases to end; it may be writing to a slow disk
_SILENT_S = 60.0  # a holder elsewhere that did not touch its lease for so long is taken for dead
_UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}
_TRIES = 10  # of a folder that others remove at the same time

LockType = Callable[[Path], "BaseFileLock"]


def _file_lock(path: Path) -> "BaseFileLock":
    from filelock import FileLock  # takes as long to load as two claims; who only looks makes none

    return FileLock(path, timeout=0, thread_local=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lease:
    """Who holds a claim.

    Attributes:
        host: For people; `writer` tells machines apart.
        since: Seconds since the epoch.
    """

    host: str
    writer: Writer
    token: str
    since: int

    @classmethod
    def own(cls) -> "_Lease":
        host = "".join(platform.node().split()) or "localhost"
        return cls(host=host, writer=Writer.me(), token=secrets.token_hex(8), since=int(time.time()))

    @classmethod
    def parse(cls, text: str) -> "_Lease | None":
        fields = text.split()
        writer = Writer.parse(fields[1]) if len(fields) == 4 else None
        if writer is None or not (fields[3].isascii() and fields[3].isdigit() and len(fields[3]) < 12):
            return None
        return cls(host=fields[0], writer=writer, token=fields[2], since=int(fields[3]))

    @classmethod
    def read(cls, path: Path) -> "_Lease | None":
        """None for one that is not there, or is not whole."""
        try:
            return cls.parse(path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return None

    def __str__(self) -> str:
        return f"{self.host} {self.writer} {self.token} {self.since}\n"

    def told(self) -> str:
        """For a message."""
        since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.since))
        return f"process {self.writer.pid} on {self.host} since {since}"


class _Place:
    """The files of a claim."""

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        self.folder = lock.parent
        self.owner = lock.with_name("owner") if lock.name == "claim" else lock.with_suffix(".owner")


class _Pulse:
    """Touches the leases of this process, so that others see that it lives."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._leases: dict[str, Path] = {}  # by token
        self._thread: threading.Thread | None = None

    def holds(self, token: str) -> bool:
        return token in self._leases

    def begin(self, token: str, owner: Path) -> None:
        with self._changed:
            self._leases[token] = owner
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, name="fetcher-pulse", daemon=True)
                self._thread.start()

    def end(self, token: str) -> None:
        """Let go of a lease; with the last one the thread ends, before this returns."""
        with self._changed:
            self._leases.pop(token, None)
            self._changed.notify_all()
            thread = self._thread
            if thread is None or not thread.is_alive():
                return
            self._changed.wait_for(lambda: self._leases or self._thread is not thread, _END_S)
            if self._thread is thread:
                return
        thread.join(_END_S)

    def _beat(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._leases, _BEAT_S)
                if not self._leases:
                    self._thread = None
                    self._changed.notify_all()
                    return
                held = dict(self._leases)
            for token, owner in held.items():
                _touch(owner, token)


_pulse = _Pulse()


class Claim:
    """The sole right to write in a folder, until released or the process ends.

    Attributes:
        is_sure: Whether nobody else can be at work: false after a holder elsewhere fell silent,
            who may wake up.
    """

    def __init__(self, place: _Place, lock: "BaseFileLock | None", lease: _Lease, *, is_sure: bool) -> None:
        self.is_sure = is_sure
        self._place = place
        self._lock = lock
        self._lease = lease

    @classmethod
    def take(cls, folder: Path, *, lock_type: LockType = _file_lock) -> "Claim | None":
        """Claim a folder, which is made if it is missing; None if another one holds it.

        Raises:
            DiskError: The folder cannot be made or written.
        """
        return cls.take_at(folder / "claim", lock_type=lock_type)

    @classmethod
    def take_at(cls, path: Path, *, lock_type: LockType = _file_lock) -> "Claim | None":
        """The same for a claim that is not the only one of its folder: `x.claim`, with `x.owner`."""
        place = _Place(path)
        for _ in range(_TRIES):
            make_folder(place.folder)
            with disk_errors(path), contextlib.suppress(FileNotFoundError):  # its last holder removed it just now
                return cls._take(place, lock_type)
        return None

    @classmethod
    def _take(cls, place: _Place, lock_type: LockType) -> "Claim | None":
        lock, held_elsewhere = _try_lock(lock_type(place.lock))
        if held_elsewhere:
            return None
        lease = _Lease.own()
        _pulse.begin(lease.token, place.owner)
        followed = None
        try:
            followed = _put_lease(place.owner, lease)
        finally:
            if followed is None:
                _pulse.end(lease.token)
                _release(lock)
        return None if followed is None else cls(place, lock, lease, is_sure=followed is not Life.ELSEWHERE)

    def is_held(self) -> bool:
        """Whether the lease is still ours (on file systems without locks another may have taken over)."""
        found = _Lease.read(self._place.owner)
        return found is not None and found.token == self._lease.token

    def release(self) -> None:
        """Give the claim up; may be called twice.

        Raises:
            DiskError: Its files cannot be removed.
        """
        try:
            with disk_errors(self._place.owner):
                if self.is_held():
                    self._place.owner.unlink(missing_ok=True)
        finally:
            _pulse.end(self._lease.token)
            _release(self._lock)
            self._lock = None

    def end(self) -> None:
        """Give the claim up and remove its files, and the folder if nothing else is in it.

        Raises:
            DiskError: They cannot be removed.
        """
        try:
            with disk_errors(self._place.lock):
                self._place.lock.unlink(missing_ok=True)  # while held: a waiter then finds the object
        finally:
            self.release()
        with contextlib.suppress(OSError):
            self._place.folder.rmdir()


@contextlib.contextmanager
def claim(path: Path, *, wait_s: float, what: str, stop: threading.Event | None = None) -> Iterator[None]:
    """Hold the claim of a folder for the time of a `with` block.

    Args:
        path: The file that is locked, `claim` or `x.claim`; stays afterwards.
        wait_s: Seconds to wait for another holder.
        what: What is claimed, for the message: `the project demo`.
        stop: Ends the wait early.

    Raises:
        BusyError: Another fetcher holds it for longer than the wait.
        DiskError: The file cannot be made or written.
    """
    end = time.monotonic() + wait_s
    held = Claim.take_at(path)
    while held is None:
        if time.monotonic() >= end or (stop is not None and stop.is_set()):
            raise BusyError(
                f"Another fetcher is at work on {what}.",
                facts=[*holder_facts(path.parent, path.name), f"claim: {path}", f"waited: {wait_s:g} s"],
                fix="wait for it to end and run the command again",
            )
        time.sleep(_POLL_S)
        held = Claim.take_at(path)
    try:
        yield
    finally:
        with disk_errors(path):
            held.release()


def holder_facts(folder: Path, name: str = "claim") -> list[str]:
    """Who holds a folder's claim, for an error; nothing where that is not known."""
    found = _Lease.read(_Place(folder / name).owner)
    return [f"holder: {found.told()}"] if found else []


def last_write(folder: Path) -> float:
    """When a file in a claimed folder was last written, in seconds since the epoch; 0 if never."""
    latest = 0.0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in _OWN_NAMES:  # the claim's own life is no progress
                with contextlib.suppress(FileNotFoundError):
                    latest = max(latest, entry.stat(follow_symlinks=False).st_mtime)
    return latest


def _try_lock(lock: "BaseFileLock") -> "tuple[BaseFileLock | None, bool]":
    """The lock if it was given (None where locks are not supported), and whether another holds it."""
    from filelock import Timeout

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


def _release(lock: "BaseFileLock | None") -> None:
    if lock is not None:
        lock.release()


def _put_lease(owner: Path, lease: _Lease) -> Life | None:
    """Leave our lease unless a living writer has left one.

    Returns:
        None if one has; else what is known of the former holder, GONE where there was none.
    """
    sweep(owner.parent)
    own = owner.with_name(temporary_name(owner.name))
    followed = Life.GONE
    try:
        with own.open("x", encoding="utf-8") as file:
            file.write(str(lease))
        now = own.stat().st_mtime  # by the clock of the file system, which dates the others' leases too
        for _ in range(2):
            if _link(own, owner):
                return followed
            found = _Lease.read(owner)
            life = _life(found, owner, now)
            if life is Life.RUNS:
                return None
            followed = life
            _set_aside(owner, found)
        return None
    finally:
        own.unlink(missing_ok=True)


def _life(lease: _Lease | None, owner: Path, now: float) -> Life:
    """ELSEWHERE is for a holder who may live, but was not heard of for long."""
    if lease is None:
        return Life.GONE  # torn, or gone by now
    if lease.writer == Writer.me():
        return Life.RUNS if _pulse.holds(lease.token) else Life.GONE
    life = lease.writer.life()
    if life is not Life.ELSEWHERE:
        return life
    try:
        return Life.RUNS if now - owner.stat().st_mtime < _SILENT_S else Life.ELSEWHERE
    except FileNotFoundError:
        return Life.GONE


def _link(own: Path, owner: Path) -> bool:
    """Give the lease its name; False if the name is taken."""
    try:
        os.link(own, owner)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with contextlib.suppress(FileExistsError), owner.open("x", encoding="utf-8") as file:
            file.write(own.read_text(encoding="utf-8"))
            return True
        return False
    return True


def _set_aside(owner: Path, judged: _Lease | None) -> None:
    """Remove the lease of a dead holder; one that was put there meanwhile is put back."""
    aside = owner.with_name(temporary_name(owner.name))
    try:
        os.rename(owner, aside)  # of two that see a dead holder, one succeeds
    except FileNotFoundError:
        return
    try:
        if _Lease.read(aside) != judged:
            _link(aside, owner)
    finally:
        aside.unlink(missing_ok=True)


def _touch(owner: Path, token: str) -> None:
    """Show that we live; a disk that refuses is for others to report."""
    with contextlib.suppress(OSError):
        found = _Lease.read(owner)
        if found is not None and found.token == token:
            os.utime(owner)
