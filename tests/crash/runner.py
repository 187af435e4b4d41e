"""Runs `fetcher` again and again, each time with another file operation that fails or is the last.

A process of its own that has imported everything once and forks for each command, so that
hundreds of runs take seconds.  It reads one order a line and answers with one line:

    {"argv": [...], "cwd": ..., "env": {...}, "roots": [...], "out": ..., "mode": ..., "at": k}
    {"code": ..., "count": ..., "operation": ...}

In the mode `swap` an order has "swap" too: a folder, and where it is moved and a link to elsewhere put instead.

`code` is the exit code, -9 after SIGKILL.  `count` is how many operations below one of the
roots were seen, `operation` what the k-th of them was.  Modes: see `Mode`.
"""

import errno
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from tests.crash.syscalls import Kill, Operation, read_memory, supervise, watch_me


class Mode(StrEnum):
    """What happens at the k-th operation."""

    none = "none"  # nothing; the command is only counted
    kill = "kill"  # SIGKILL instead of it
    tear = "tear"  # SIGKILL in the middle of it, if it is a write; else instead of it
    eio = "eio"  # it alone fails
    full = "full"  # it and all that take room after it fail: the disk is full
    broken = "broken"  # it and all after it fail: the disk became read-only
    swap = "swap"  # right before it somebody moves a folder away and puts a link to elsewhere in its place


_TAKES_ROOM = {"write", "pwrite64", "writev", "pwritev", "copy_file_range", "ioctl", "fallocate", "fsync", "fdatasync",
               "syncfs", "open", "openat", "creat", "link", "linkat", "mkdir", "mkdirat", "rename", "renameat",
               "renameat2", "symlink", "symlinkat"}  # fmt: skip


class _Watch:
    """Counts the operations and decides at the k-th."""

    def __init__(self, roots: Sequence[str], mode: Mode, at: int, swap: Sequence[str]) -> None:
        self._roots = tuple(roots)
        self._swap = swap
        self._mode = mode
        self._at = at
        self.count = 0
        self.operation = ""

    def judge(self, operation: Operation) -> int:
        if not operation.path.startswith(self._roots):
            return 0
        self.count += 1
        if self.count < self._at or self._mode is Mode.none:
            return 0
        if self.count == self._at:
            self.operation = str(operation)
        return self._fail(operation)

    def _fail(self, operation: Operation) -> int:
        if self._mode is Mode.swap:
            if self.count == self._at:
                _swap(*self._swap)
            return 0
        if self._mode is Mode.tear and operation.name in ("write", "pwrite64"):
            _write_half(operation)
        if self._mode in (Mode.kill, Mode.tear):
            raise Kill
        if self._mode is Mode.broken:
            return errno.EROFS
        if self._mode is Mode.full:
            return errno.ENOSPC if operation.name in _TAKES_ROOM else 0
        return errno.EIO if self.count == self._at else 0


def _swap(folder: str, away: str, elsewhere: str) -> None:
    """Put a link in a folder's place, or where it would be made."""
    if os.path.isdir(folder):
        os.rename(folder, away)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    os.symlink(elsewhere, folder)


def _write_half(operation: Operation) -> None:
    """What a disk holds after a power cut in the middle of a write."""
    descriptor, address, size, offset = operation.arguments[:4]
    here = f"/proc/{operation.thread}"
    if operation.name == "write":
        with open(f"{here}/fdinfo/{descriptor}", encoding="ascii") as info:
            offset = int(info.readline().split()[1])
    data = read_memory(operation.thread, address, size // 2)
    file = os.open(f"{here}/fd/{descriptor}", os.O_WRONLY)
    offset = os.fstat(file).st_size if _appends(here, descriptor) else offset
    os.pwrite(file, data, offset)
    os.close(file)


def _appends(here: str, descriptor: int) -> bool:
    with open(f"{here}/fdinfo/{descriptor}", encoding="ascii") as info:
        flags = int(info.read().split("flags:")[1].split()[0], 8)
    return bool(flags & os.O_APPEND)


def _run(order: Mapping[str, Any]) -> dict[str, object]:
    watch = _Watch(order["roots"], Mode(order["mode"]), order["at"], order["swap"])
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        _be_fetcher(order, theirs)
    theirs.close()
    with ours:
        supervise(child, ours, watch.judge)
    status = os.waitpid(child, 0)[1]
    return {"code": os.waitstatus_to_exitcode(status), "count": watch.count, "operation": watch.operation}


def _be_fetcher(order: Mapping[str, Any], parent: socket.socket) -> None:
    """The child: what a fresh process would do, from here on watched; never returns."""
    code = 70
    try:
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        sys.argv = ["fetcher", *order["argv"]]
        out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        watch_me(parent)
        parent.close()
        from fetcher.__main__ import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Carry out orders until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import fetcher.cli.app
    import fetcher.cli.progress
    import fetcher.net.http
    import fetcher.project
    import fetcher.sources.catalog
    import fetcher.sources.modelscope  # noqa: F401  imported once for all runs

    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
