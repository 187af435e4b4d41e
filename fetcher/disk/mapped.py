"""Bytes of a file in the page cache without a copy of them: a third of the time of a hash that only looks.

A page of a mapping that cannot be had ends the process (SIGBUS) where a read would be an error.
So only files are mapped to which nobody may write (fetcher places them so), as nobody cuts
those short, and all pages are asked for first, which fails as a read does.

Promises (tests/disk/test_prove.py):
  * a file that somebody may write to is not mapped;
  * where nothing is mapped, the caller reads, and has the system's own error.
"""

import mmap
import os
import sys

_WRITABLE = 0o222
_POPULATE_READ = 22  # MADV_POPULATE_READ of Linux 5.14 and newer, madvise(2); older ones refuse it


def mapped(descriptor: int, start: int, size: int) -> mmap.mmap | None:
    """A part of a file, to be closed by the caller; None where it is to be read instead.

    Args:
        start: A multiple of the system's page.
        size: Bytes, at least one.
    """
    if sys.platform != "linux" or os.fstat(descriptor).st_mode & _WRITABLE:
        return None
    try:
        part = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ, offset=start)
    except (OSError, ValueError):  # a file system without mappings; a file that was cut short
        return None
    try:
        part.madvise(_POPULATE_READ)
    except OSError:
        part.close()
        return None
    return part
