"""Chunks of placed files hashed while the rest of `fetcher verify` is still being loaded.

Loading takes one core as long as hashing a GiB would; a thread that the front room starts uses
another one meanwhile.  It hashes the large files that `.fetcher/ready` names, until a Prover
takes over.  To begin early it imports next to nothing, neither paths nor dataclasses.  What it
found is kept by what the file was, so that a digest speaks of no other file and of no earlier
state of it; the names are believed for nothing.  Whether a digest is right, and everything that
is not plain, is left to the Prover.

Promises (tests/disk/test_ahead.py):
  * a digest is used only for the very file, size and time of which it was taken;
  * nothing is loaded before it begins that it does not need (tests/test_architecture.py);
  * where nothing can be hashed ahead, nothing happens, and the thread ends with the command.
"""

import atexit
import os
from _thread import allocate_lock, start_new_thread

from blake3 import blake3

from fetcher.core.chunk import CHUNK, chunk_stop
from fetcher.disk.mapped import mapped
from fetcher.disk.opened import opened
from fetcher.disk.ready import Ready

Digests = dict[tuple[int, int, int, int, int], str]  # by device, inode, size, mtime_ns, start of the chunk


def chunk_key(found: os.stat_result, start: int) -> tuple[int, int, int, int, int]:
    """What tells one chunk of one state of one file from any other."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, start)


class Ahead:
    """Hashes, by a thread of its own, until it is told to end.

    Attributes:
        digests: What it has found so far.
    """

    def __init__(self, root: str, ready: str) -> None:
        self.digests: Digests = {}
        self._is_over = False
        self._runs = allocate_lock()  # not `threading`, which costs what a chunk does
        self._runs.acquire()
        start_new_thread(self._run, (root, ready))
        atexit.register(self.end)  # a command that ends in an error, too, ends without it

    def end(self) -> None:
        """Wait for the chunk that is being hashed, and hash no other."""
        self._is_over = True
        with self._runs:
            pass

    def _run(self, root: str, ready: str) -> None:
        try:
            for path in _large_files(root, ready):
                self._hash(path)
        except (OSError, ValueError):
            pass  # the Prover will find the same, and say so
        finally:
            self._runs.release()

    def _hash(self, path: str) -> None:
        with opened(path) as descriptor:
            found = os.fstat(descriptor)
            for start in range(0, found.st_size, CHUNK):
                part = None if self._is_over else mapped(descriptor, start, chunk_stop(start, found.st_size) - start)
                if part is None:
                    return
                with part:
                    self.digests[chunk_key(found, start)] = blake3(part).hexdigest()


def _large_files(root: str, ready: str) -> list[str]:
    """Those with more than one chunk; fewer bytes are not worth a thread."""
    with open(ready, "rb") as file:
        known = Ready.of(file.read())
    if known is None:
        return []
    sizes = memoryview(known.stamps).cast("Q")[::3]
    return [
        os.path.join(root, os.fsdecode(name)) for name, size in zip(known.files, sizes, strict=True) if size > CHUNK
    ]


_ahead: Ahead | None = None


def begin(root: str, ready: str) -> Ahead:
    """Hash what can be hashed from now on.

    Args:
        root: The project's folder.
        ready: Path of its file of answers (disk/ready.py).
    """
    global _ahead
    _ahead = Ahead(root, ready)
    return _ahead


def take_over() -> Digests | None:
    """What was hashed so far, and no more is; None if nothing was begun."""
    global _ahead
    if _ahead is None:
        return None
    ahead, _ahead = _ahead, None
    ahead.end()
    return ahead.digests
