"""Stop a process at each of its file operations, whatever code makes them.

A seccomp filter with user notification (Linux 5.5, seccomp_unotify(2)) hands every system
call that changes a file system to the parent, which lets it happen, answers it with an
error, or kills the process.  SQLite's and every thread's are among them; the count is one
for the whole process.  No right is needed, and nothing of the program is replaced.

Not in here: which operation is to fail (runner.py), what must hold afterwards (scenarios.py).
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

_RET_ALLOW, _RET_NOTIFY = 0x7FFF0000, 0x7FC00000  # linux/seccomp.h
_NEW_LISTENER, _SET_MODE_FILTER, _CONTINUE = 8, 1, 1
_NO_NEW_PRIVS = 38
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # ioctl numbers of the listener
_NOTICE = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, nr, arch, instruction, arguments
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_O_CREAT_OR_TRUNC = os.O_CREAT | os.O_TRUNC
_FICLONE = 0x40049409
_AT_FDCWD = -100

# Name: (number on x86_64, on aarch64); None where the machine has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "write": (1, 64),
    "pwrite64": (18, 68),
    "writev": (20, 66),
    "pwritev": (296, 70),
    "copy_file_range": (326, 285),
    "ioctl": (16, 29),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "syncfs": (306, 267),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "fchmod": (91, 52),
    "open": (2, None),
    "openat": (257, 56),
    "creat": (85, None),
    "truncate": (76, 45),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "utimensat": (280, 88),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH

# Which arguments are a descriptor, or (directory descriptor, path); the last one is the name that changes.
_DESCRIPTOR = {
    "write": 0, "pwrite64": 0, "writev": 0, "pwritev": 0, "copy_file_range": 2, "ioctl": 0, "fsync": 0,
    "fdatasync": 0, "syncfs": 0, "ftruncate": 0, "fallocate": 0, "fchmod": 0,
}  # fmt: skip
_PATH: dict[str, tuple[int | None, int]] = {
    "open": (None, 0), "creat": (None, 0), "truncate": (None, 0), "rename": (None, 1), "link": (None, 1),
    "symlink": (None, 1), "unlink": (None, 0), "mkdir": (None, 0), "rmdir": (None, 0), "chmod": (None, 0),
    "openat": (0, 1), "renameat": (2, 3), "renameat2": (2, 3), "linkat": (2, 3), "symlinkat": (1, 2),
    "unlinkat": (0, 1), "mkdirat": (0, 1), "fchmodat": (0, 1), "fchmodat2": (0, 1), "utimensat": (0, 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A file operation that is about to happen.

    Attributes:
        thread: That makes it.
        path: Of what it changes; absolute.
        arguments: Of the system call, as numbers.
    """

    name: str
    thread: int
    path: str
    arguments: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.path}"


class Kill(Exception):
    """Raised by a judge: the process is to be killed before the operation."""


Judge = Callable[[Operation], int]  # 0 lets it happen, else the errno of its failure


def can_watch() -> bool:
    """Whether this machine has such filters."""
    if platform.system() != "Linux" or platform.machine() not in _MACHINES:
        return False
    child = os.fork()
    if child == 0:
        try:
            _install()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def watch_me(parent: socket.socket) -> None:
    """In the child: hand every file operation from here on to the parent."""
    listener = _install()
    socket.send_fds(parent, [b"!"], [listener])
    os.close(listener)


def supervise(child: int, from_child: socket.socket, judge: Judge) -> None:
    """In the parent: judge each operation of the child until it ends."""
    _, (listener,), _, _ = socket.recv_fds(from_child, 1, 1)
    names = {number: name for name, number in _numbers().items()}
    try:
        while _is_waiting(listener):
            notice = bytearray(_NOTICE.size)
            try:
                fcntl.ioctl(listener, _RECEIVE, notice)
            except (FileNotFoundError, InterruptedError):
                continue  # the thread was killed meanwhile
            number, thread, _, nr, _, _, *arguments = _NOTICE.unpack(notice)
            _answer(listener, number, _judged(judge, child, _operation(names[nr], thread, arguments)))
    finally:
        os.close(listener)


def _judged(judge: Judge, child: int, operation: Operation) -> int:
    try:
        return judge(operation)
    except Kill:
        os.kill(child, 9)
        return errno.EINTR


def _answer(listener: int, number: int, error: int) -> None:
    try:
        fcntl.ioctl(listener, _SEND, _ANSWER.pack(number, 0, -error, 0 if error else _CONTINUE))
    except (FileNotFoundError, InterruptedError):
        return  # the process is dead


def _is_waiting(listener: int) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll())


def _operation(name: str, thread: int, arguments: list[int]) -> Operation:
    try:
        path = _path(name, thread, arguments)
    except OSError:
        path = "?"
    return Operation(name=name, thread=thread, path=path, arguments=tuple(arguments))


def _path(name: str, thread: int, arguments: list[int]) -> str:
    if name in _DESCRIPTOR:
        return os.readlink(f"/proc/{thread}/fd/{_signed(arguments[_DESCRIPTOR[name]])}")
    folder, at = _PATH[name]
    if arguments[at] == 0:  # utimensat(fd, NULL)
        return os.readlink(f"/proc/{thread}/fd/{_signed(arguments[0])}")
    text = _text(thread, arguments[at])
    base = _AT_FDCWD if folder is None else _signed(arguments[folder])
    link = f"/proc/{thread}/cwd" if base == _AT_FDCWD else f"/proc/{thread}/fd/{base}"
    return os.path.join(os.readlink(link), text)


def _signed(value: int) -> int:
    return struct.unpack("i", struct.pack("I", value & 0xFFFFFFFF))[0]  # type: ignore[no-any-return]


def _text(thread: int, address: int) -> str:
    data = read_memory(thread, address, 4096)
    return os.fsdecode(data.partition(b"\0")[0])


def read_memory(thread: int, address: int, size: int) -> bytes:
    """Bytes of the process, as many as there are up to a page's end."""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        try:
            return memory.read(size)
        except OSError:
            memory.seek(address)
            return memory.read(4096 - address % 4096)


def _numbers() -> dict[str, int]:
    column = _MACHINES[platform.machine()][0]
    return {name: found for name, pair in _NUMBERS.items() if (found := pair[column]) is not None}


def _install() -> int:
    library = ctypes.CDLL(None, use_errno=True)
    program = _program()
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("code", ctypes.c_void_p))

    library.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = {"x86_64": 317, "aarch64": 277}[platform.machine()]
    whole = Program(len(program) // 8, ctypes.cast(code, ctypes.c_void_p))
    listener = library.syscall(number, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(whole))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def _program() -> bytes:
    """Classic BPF: notify of the calls above; of open only those that may make or cut a file, of ioctl only clones."""
    load, equal, any_bit, end = 0x20, 0x15, 0x45, 0x06
    architecture = _MACHINES[platform.machine()][1]
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (end, 0, 0, _RET_ALLOW), (load, 0, 0, 0)]
    conditions = {"open": (1, any_bit, _O_CREAT_OR_TRUNC), "openat": (2, any_bit, _O_CREAT_OR_TRUNC)}
    conditions["ioctl"] = (1, equal, _FICLONE)
    for name, number in _numbers().items():
        if name not in conditions:
            lines += [(equal, 0, 1, number), (end, 0, 0, _RET_NOTIFY)]
            continue
        argument, test, value = conditions[name]
        lines += [
            (equal, 0, 4, number),
            (load, 0, 0, 16 + 8 * argument),  # low half of the argument, little endian
            (test, 0, 1, value),
            (end, 0, 0, _RET_NOTIFY),
            (end, 0, 0, _RET_ALLOW),
        ]
    lines.append((end, 0, 0, _RET_ALLOW))
    return b"".join(struct.pack("HBBI", *line) for line in lines)
