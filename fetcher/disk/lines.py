"""Lines of a text file of the user's, such as `.gitattributes`: added and taken away, the others untouched."""

from collections.abc import Sequence
from pathlib import Path

from fetcher.disk.atomic import disk_errors, write_atomic


def add_lines(path: Path, lines: Sequence[str]) -> bool:
    """Append the lines that are not there yet; returns whether there were any.

    Raises:
        DiskError: It cannot be read or written.
    """
    with disk_errors(path):
        there = path.read_bytes() if path.exists() else b""  # in whatever encoding
        missing = [line for line in lines if line.encode() not in there.splitlines()]
        if not missing:
            return False
        begin = "" if not there or there.endswith(b"\n") else "\n"
        write_atomic(path, there + (begin + "".join(f"{line}\n" for line in missing)).encode())
    return True


def take_line(path: Path, line: str) -> bool:
    """Take a line away wherever it stands, and the file with the last one; returns whether it was there.

    Raises:
        DiskError: It cannot be read or written.
    """
    with disk_errors(path):
        there = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        left = b"".join(each for each in there if each.rstrip(b"\r\n") != line.encode())
        if left == b"".join(there):
            return False
        if left:
            write_atomic(path, left)
        else:
            path.unlink()
    return True
