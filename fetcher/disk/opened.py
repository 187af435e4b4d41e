"""Files opened for reading: the file that has the name, and nothing else.

Promises (tests/disk/test_hashing.py):
  * no link is followed, and nobody waits for a pipe or reads a device that took a file's name.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

_OPEN = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[int]:
    """A descriptor of a regular file, for reading.

    Raises:
        OSError: It cannot be opened, or is a symlink, a pipe or a device.
    """
    descriptor = os.open(path, _OPEN)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENXIO, "it is no file", os.fspath(path))  # what the kernel says of a socket
        yield descriptor
    finally:
        os.close(descriptor)
