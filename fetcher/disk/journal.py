"""The journal of a partial: which of its bytes are durable, with their blake3.

    fetcher-partial 1 <name of the partial> <size of the object>
    <start> <stop> <blake3> <check>
    …

Later lines replace the earlier ones that they overlap; a line that is torn is passed over.

Not in here: proving what it says, and when to write (partial.py).

Promises (tests/disk/test_partial.py):
  * a line is believed only if its check fits, and it lies in one chunk of the object;
  * a journal of something else says nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from fetcher.core.chunk import CHUNK, chunk_stop
from fetcher.core.digest import Sha256
from fetcher.disk.atomic import write_atomic

_FORMAT = "fetcher-partial 1"
_sync_data = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A line of the journal: these bytes have this blake3."""

    start: int
    stop: int
    blake3: str

    def __str__(self) -> str:
        text = f"{self.start} {self.stop} {self.blake3}"
        return f"{text} {_check(text)}\n"

    @classmethod
    def parse(cls, line: str, size: int) -> "Record | None":
        """None for a line that is torn or does not fit an object of `size` bytes."""
        text, _, check = line.rpartition(" ")
        fields = text.split(" ")
        if check != _check(text) or len(fields) != 3 or not (fields[0].isdigit() and fields[1].isdigit()):
            return None
        record = cls(start=int(fields[0]), stop=int(fields[1]), blake3=fields[2])
        fits = record.start < record.stop <= chunk_stop(record.start, size)
        return record if fits and record.stop <= size else None


class Journal:
    """A journal open for writing; made anew with what is believed so far.

    Args:
        path: Replaced.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, name: Sha256, size: int, records: list[Record]) -> None:
        text = "".join([f"{_FORMAT} {name} {size}\n", *map(str, records)])
        write_atomic(path, text.encode("ascii"))
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))

    def append(self, records: list[Record]) -> None:
        """Add lines and make them durable; their bytes must be durable already."""
        rest = memoryview("".join(map(str, records)).encode("ascii"))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        _sync_data(self._descriptor)

    def close(self) -> None:
        """Release it."""
        os.close(self._descriptor)


def recorded_size(folder: Path) -> int:
    """Bytes that a partial's journal records, unproven; 0 without one."""
    path = folder / "journal"
    try:
        head = path.read_text(encoding="ascii", errors="replace").partition("\n")[0].split(" ")
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if len(head) != 4 or not head[3].isdigit():
        return 0
    return sum(record.stop - record.start for record in read_journal(path, Sha256(folder.name), int(head[3])))


def read_journal(path: Path, name: Sha256, size: int) -> list[Record]:
    """The last good records, in file order, none overlapping; none from a journal of something else."""
    try:
        head, *lines = path.read_text(encoding="ascii", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    if head != f"{_FORMAT} {name} {size}":
        return []
    found: dict[int, list[Record]] = {}  # by chunk
    for line in lines:
        record = Record.parse(line, size)
        if record is not None:
            known = found.setdefault(record.start // CHUNK, [])
            known[:] = [r for r in known if r.stop <= record.start or record.stop <= r.start]
            known.append(record)
    return sorted((record for known in found.values() for record in known), key=lambda record: record.start)


def _check(text: str) -> str:
    return str(blake3(text.encode("ascii", errors="replace")).hexdigest()[:8])
