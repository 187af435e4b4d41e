"""Who writes: a process of some machine; and the temporary names that tell whose they are.

    .config.json.fetcher-<machine>-<pid>-<started>-<random>

No two writers share such a name, whatever the file system's locks are worth, and whoever
finds one can tell whether its writer still lives: a process number alone cannot, because
another machine or container may have the same, and so may a later process.

Not in here: claims (claim.py), which say who may write.

Promises (tests/disk/test_writer.py):
  * the name of a living writer is never swept, nor that of a writer elsewhere before a day is over;
  * what a killed writer left goes with the next sweep, also when its number was given away since.
"""

import contextlib
import functools
import hashlib
import os
import platform
import re
import secrets
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_FOREIGN_S = 24 * 3600.0  # a file of a writer elsewhere that did not change for so long is nobody's
_TEMPORARY = re.compile(r"\..*\.fetcher-(?P<writer>[0-9a-f]{10}-[0-9]+-[0-9]+)-[0-9a-f]{8}", re.DOTALL)
_STARTED = 22  # field of /proc/<pid>/stat: ticks since boot, proc_pid_stat(5)


class Life(Enum):
    """What can be told of a writer."""

    RUNS = "runs"
    GONE = "gone"
    ELSEWHERE = "elsewhere"  # on another machine or in another container: nobody here can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A process.

    Attributes:
        machine: Stands for the machine, its boot and the container.
        started: When, in a unit of its system's; 0 where that cannot be told.
    """

    machine: str
    pid: int
    started: int

    @classmethod
    def me(cls) -> "Writer":
        """This process."""
        return _me(os.getpid())

    @classmethod
    def parse(cls, text: str) -> "Writer | None":
        """The writer of `str(writer)`; None for anything else."""
        found = re.fullmatch(r"([0-9a-f]{10})-([0-9]{1,10})-([0-9]{1,20})", text)
        return cls(machine=found[1], pid=int(found[2]), started=int(found[3])) if found else None

    def __str__(self) -> str:
        return f"{self.machine}-{self.pid}-{self.started}"

    def life(self) -> Life:
        """Whether it still runs, as far as can be told here."""
        if self.machine != Writer.me().machine:
            return Life.ELSEWHERE
        started = _started(self.pid)
        if started is None:
            return Life.RUNS if _exists(self.pid) else Life.GONE
        return Life.RUNS if started == self.started else Life.GONE


def temporary_name(name: str) -> str:
    """A name for the same folder that no other writer uses; hidden, and known as fetcher's."""
    short = name.encode()[:100].decode(errors="ignore")
    return f".{short}.fetcher-{_my_name(os.getpid())}-{secrets.token_hex(4)}"


def is_temporary(name: str) -> bool:
    """Whether a name is one of `temporary_name`."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path | int) -> None:
    """Remove the temporary files that writers have left who are no more; a folder that is not there is fine.

    Args:
        folder: Its path or an open descriptor.
    """
    with contextlib.suppress(OSError):  # tidiness is not worth an error; the next sweep tries again
        for name in os.listdir(folder):
            found = _TEMPORARY.fullmatch(name)
            writer = Writer.parse(found["writer"]) if found else None
            if writer is not None and _is_nobody_s(writer, folder, name):
                _remove(folder, name)


def _remove(folder: Path | int, name: str) -> None:
    if isinstance(folder, int):
        os.unlink(name, dir_fd=folder)
    else:
        (folder / name).unlink(missing_ok=True)


def _is_nobody_s(writer: Writer, folder: Path | int, name: str) -> bool:
    life = writer.life()
    return life is Life.GONE or (life is Life.ELSEWHERE and time.time() - _changed(folder, name) > _FOREIGN_S)


def _changed(folder: Path | int, name: str) -> float:
    """When the name or the bytes were last changed: a link or a clone has the date of its object."""
    if isinstance(folder, int):
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ctime
    return (folder / name).lstat().st_ctime


@functools.lru_cache(maxsize=1)
def _me(pid: int) -> Writer:
    return Writer(machine=_machine(), pid=pid, started=_started(pid) or 0)


@functools.lru_cache(maxsize=1)
def _my_name(pid: int) -> str:
    return str(_me(pid))


def _machine() -> str:
    """The host's name alone is not enough: containers and copies of virtual machines may share it."""
    marks = [platform.node()]
    with contextlib.suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with contextlib.suppress(OSError):
        marks.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:10]


def _started(pid: int) -> int | None:
    """When a process began; None if that cannot be told, which does not mean that it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # the program's name may hold anything
    if state in ("Z", "X"):
        return -1  # ended, and nobody has asked yet how
    return int(fields[_STARTED - 4])


def _exists(pid: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 would end the process there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
