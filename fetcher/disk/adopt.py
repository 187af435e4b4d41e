"""How a writer of a partial comes by the bytes of the one before it.

    partial/<sha256>/data-<machine>-<pid>-<started>-<random>

A writer that has ended has left its file, which is renamed.  One on another machine that
fell silent may wake up and write on: its bytes are copied, and its file loses its name, so
that whatever it writes then is nobody's.

Promises (tests/disk/test_adopt.py):
  * two writers never have one file open, unless the former one is known to have ended;
  * only one file of bytes is left for each partial.
"""

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from fetcher.core.download import Span
from fetcher.disk.writer import Writer

_PIECE = 1 << 20  # bytes
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def own_data(folder: Path) -> Path:
    """A name for this writer's bytes."""
    return folder / f"data-{Writer.me()}-{secrets.token_hex(4)}"


def adopt(folder: Path, own: Path, *, size: int, spans: Iterable[Span], is_sure: bool) -> bool:
    """Let `own` hold what the former writer left; False if that is nothing of use.

    Args:
        size: Of the whole object, in bytes; a file of another size is of something else.
        spans: Where the former writer says that it has bytes.
        is_sure: Whether it is known to have ended.

    Raises:
        OSError: As the disk says.
    """
    former = [path for path in _data_files(folder) if _size(path) == size]
    if former:
        with contextlib.suppress(FileNotFoundError):  # another writer was faster
            _take(former[-1], own, size, spans, is_sure=is_sure)
    for path in _data_files(folder):
        if path != own:
            path.unlink(missing_ok=True)
    return own.exists()


def _take(former: Path, own: Path, size: int, spans: Iterable[Span], *, is_sure: bool) -> None:
    if is_sure:
        os.rename(former, own)
    else:
        _copy(former, own, size, spans)


def data_room(folder: Path) -> int:
    """Bytes of disk that a partial's data take already (they are preallocated)."""
    room = 0
    for path in _data_files(folder):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        blocks: int = getattr(found, "st_blocks", 0)  # of 512 bytes, POSIX stat
        room = max(room, min(blocks * 512, found.st_size))
    return room


def has_data(folder: Path) -> bool:
    """Whether a former writer has left bytes."""
    return bool(_data_files(folder))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return -1


def _data_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("data-*"))


def _copy(former: Path, own: Path, size: int, spans: Iterable[Span]) -> None:
    with former.open("rb", buffering=0) as source, os.fdopen(os.open(own, _CREATE, 0o600), "wb", buffering=0) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        for span in spans:
            source.seek(span.start)
            file.seek(span.start)
            left = span.stop - span.start
            while left and (piece := source.read(min(_PIECE, left))):
                left -= len(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
