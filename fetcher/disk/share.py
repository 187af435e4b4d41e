"""Read and write at a place of an open file; bytes of one file in another, shared where the file system can.

Sharing (reflink) is Linux only; elsewhere bytes go through memory.

Promises (tests/disk/test_share.py):
  * what cannot be shared is copied, byte for byte;
  * on btrfs and xfs two files that share cost the room of one.
"""

import errno
import os
import sys
import threading

_FICLONE = 0x40049409  # linux/fs.h
_PIECE = 1 << 20  # bytes
_NOT_HERE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EBADF}
_seeking = threading.Lock()  # for systems without pwrite and preadv (Windows)


def clone(source: int, target: int) -> bool:
    """Make one open file hold the bytes of another without copying them; False where that cannot be done."""
    if sys.platform != "linux":
        return False
    import fcntl  # Linux only

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def copy_range(source: int, target: int, start: int, stop: int) -> None:
    """Copy bytes to the same place of another open file; the kernel shares them where it can.

    Raises:
        OSError: One cannot be read, or the other not be written.
    """
    at = start
    try:
        while hasattr(os, "copy_file_range") and at < stop:
            count = os.copy_file_range(source, target, stop - at, at, at)
            if count == 0:
                return  # cut short by somebody else
            at += count
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    buffer = memoryview(bytearray(min(_PIECE, max(0, stop - at))))
    while at < stop and (count := read_at(source, buffer[: stop - at], at)):
        written = 0
        while written < count:
            written += write_at(target, buffer[written:count], at + written)
        at += count


def read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Fill a buffer from an offset of an open file; returns the number of bytes, 0 at the end."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        piece = os.read(descriptor, len(buffer))
    buffer[: len(piece)] = piece
    return len(piece)


def write_at(descriptor: int, view: memoryview, offset: int) -> int:
    """Write the begin of a buffer at an offset of an open file; returns the number of bytes."""
    if hasattr(os, "pwrite"):
        return os.pwrite(descriptor, view, offset)
    with _seeking:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, view)
