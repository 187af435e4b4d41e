"""Run one command and write what it cost as JSON; a process of its own.

    python -I -S launch.py REPORT TIMEOUT_S COMMAND [ARGUMENT…]

The kernel counts the memory of whoever starts a program as that program's own peak, so
the starter must be small: this one takes about 10 MiB, below which no peak is seen.
Wall time is that from before the start to the end of the command; CPU time and peak
memory are wait4's, with all descendants that the command waited for.  Imports little on
purpose and nothing of this package.
"""

import json
import os
import signal
import sys
import time


def main() -> None:
    """Run, wait, report."""
    report, timeout_s, *command = sys.argv[1:]
    parent = os.getppid()
    begin_s = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)

    def look(*_: object) -> None:
        """End a command that takes too long, or that nobody waits for any more."""
        if os.getppid() != parent or time.perf_counter() - begin_s > int(timeout_s):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - begin_s
    signal.setitimer(signal.ITIMER_REAL, 0)
    cost = {
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,  # KiB on Linux
        "exit": os.waitstatus_to_exitcode(status),
    }
    with open(report, "w", encoding="utf-8") as stream:
        json.dump(cost, stream)


if __name__ == "__main__":
    main()
