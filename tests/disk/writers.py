"""Writers that tests need: one that has ended, and one on another machine."""

import dataclasses

from fetcher.disk.writer import Writer

_NO_SUCH_PID = 4_194_305  # above the largest that Linux gives (proc_sys_kernel(5), pid_max)

GONE = dataclasses.replace(Writer.me(), pid=_NO_SUCH_PID, started=1)
ELSEWHERE = Writer(machine="0123456789", pid=1, started=5)
LEASE_ELSEWHERE = f"elsewhere {ELSEWHERE} abcd 1700000000\n"
