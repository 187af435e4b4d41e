"""A folder of this machine as a source: `file:DIR`, with the rules of a hub.

A folder has no commits: what it holds now is what it is.  `resolve` makes the digest of the
files that a model takes its commit; files are hashed where they are, not copied, at lock time.

Promises (tests/test_urls_and_folders.py):
  * no link leads a reader out of the folder, and no device or pipe is opened;
  * names that cannot stand on every system are refused, with the entry;
  * a file of another size than the locked one is refused before its first byte.
"""

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from fetcher.core.digest import Commit
from fetcher.core.interfaces import Closing, Head, RemoteAddress, RemoteFile, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath, refuse_twins
from fetcher.errors import ConfigError, IntegrityError, NotFoundError, SourceError

_LEFT_OUT = frozenset({".git", ".fetcher"})  # what a hub never has; git's own files and ours
_OPEN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FolderSource:
    """One folder.  Used by several threads at once.

    Args:
        folder: Where it is.
        label: As the manifest writes it.
        project: The folder of the manifest; a source that holds it would hold its own targets.
    """

    def __init__(self, folder: Path, *, label: str, project: Path) -> None:
        self._label = label
        self._folder = folder
        self._real = os.path.realpath(folder)
        self._project = os.path.realpath(project)

    @property
    def label(self) -> str:
        """The source string."""
        return self._label

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        """Everything that the folder holds now, without hashes (core.interfaces.Source).

        The commit is a stamp of names, sizes and times: it tells states apart on this machine only.
        """
        if self._project == self._real or self._project.startswith(os.path.join(self._real, "")):
            raise ConfigError(
                f"{self.label} holds the project itself, and so the files that it would be copied to.",
                facts=[f"folder: {self._real}"],
                fix="name a folder beside or below models.toml",
            )
        if not os.path.isdir(self._real):
            raise NotFoundError(
                f"There is no folder {self.label}.",
                facts=[f"folder: {self._real}"],
                fix="correct `source`; a folder is relative to models.toml",
            )
        found = sorted(self._walk(""))
        try:
            refuse_twins(path for path, _ in found)
        except ValueError as error:
            raise self._hostile(None, str(error)) from None
        stamp = hashlib.sha256()
        files = []
        for path, state in found:
            stamp.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ino}\n".encode())
            files.append(RemoteFile(path=path, size=state.st_size, sha256=None))
        if not files:
            raise NotFoundError(f"{self.label} holds no file.", facts=[f"folder: {self._real}"], fix="correct `source`")
        return Snapshot(ref=ref, commit=Commit(stamp.hexdigest()), files=tuple(files))

    def path_of(self, address: RemoteAddress) -> Path:
        """Where a file is, links followed (core.interfaces.OnThisMachine)."""
        path = os.path.realpath(os.path.join(self._real, address.path))
        if not self._is_inside(path) or not os.path.isfile(path):
            raise NotFoundError(
                f"{self.label} no longer has {address.path}.",
                facts=[f"folder: {self._real}"],
                fix="put the file back, or run `fetcher lock --upgrade` to pin what is there now",
            )
        return Path(path)

    def open(self, address: RemoteAddress, start: int, stop: int) -> "FileBody":
        """The bytes of a file (core.interfaces.Source)."""
        path = self.path_of(address)
        try:
            descriptor = os.open(path, _OPEN)
        except OSError as error:
            raise self._unreadable(address.path, error) from None
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise self._hostile(address.path, "it is no file any more")
        head = Head(status=206, first=start, total=found.st_size, length=stop - start, host=self.label)
        return FileBody(descriptor, head, path=address.path, start=start, stop=stop)

    def close(self) -> None:
        """Nothing is kept open (core.interfaces.Source)."""

    def _walk(self, below: str) -> Iterator[tuple[RepoPath, os.stat_result]]:
        try:
            with os.scandir(os.path.join(self._real, below)) as entries:
                listed = list(entries)
        except OSError as error:
            raise self._unreadable(below or ".", error) from None
        for entry in listed:
            if entry.name in _LEFT_OUT:
                continue
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(f"{path}/")
            else:
                yield self._file(path, entry)

    def _file(self, path: str, entry: "os.DirEntry[str]") -> tuple[RepoPath, os.stat_result]:
        try:
            safe = RepoPath(path)
        except ValueError as error:
            raise self._hostile(path, str(error)) from None
        if entry.is_symlink() and not self._is_inside(os.path.realpath(entry.path)):
            raise self._hostile(path, "it is a link that leads out of the folder, or to nothing")
        try:
            found = entry.stat()
        except OSError as error:
            raise self._unreadable(path, error) from None
        if not stat.S_ISREG(found.st_mode):
            kind = "a link to a folder" if stat.S_ISDIR(found.st_mode) else "a device, a pipe or a socket"
            raise self._hostile(path, f"it is no file but {kind}")
        return safe, found

    def _is_inside(self, path: str) -> bool:
        return path.startswith(os.path.join(self._real, "")) and os.path.exists(path)

    def _hostile(self, path: str | None, reason: str) -> IntegrityError:
        entry = [] if path is None else [f"entry: {ascii(path)[1:-1] if not path.isprintable() else path}"]
        return IntegrityError(
            f"{self.label} holds a file that cannot be taken.",
            facts=[*entry, f"reason: {reason}"],
            fix="rename or move the file, or copy what is wanted into a folder of its own",
        )

    def _unreadable(self, path: str, error: OSError) -> SourceError:
        return SourceError(
            f"{self.label} cannot be read.",
            facts=[f"entry: {path}", f"reason: {(error.strerror or type(error).__name__).lower()}"],
            fix="make it readable for this user, then run the command again",
        )


class FileBody(Closing):
    """Bytes of a file on disk (core.interfaces.Body); may be closed by another thread."""

    def __init__(self, descriptor: int, head: Head, *, path: str, start: int, stop: int) -> None:
        self._descriptor: int | None = descriptor
        self._head = head
        self._path = path
        self._at = start
        self._stop = stop
        self._lock = threading.Lock()

    @property
    def head(self) -> Head:
        """Says the size that the file has now."""
        return self._head

    def readinto(self, buffer: memoryview) -> int:
        """As core.interfaces.Body."""
        with self._lock:
            if self._descriptor is None:
                raise SourceError(f"The file of {self._head.host} was closed.", transient=True)
            try:
                data = os.pread(self._descriptor, min(len(buffer), self._stop - self._at), self._at)
            except OSError as error:
                raise SourceError(
                    f"{self._head.host} cannot be read.",
                    facts=[f"entry: {self._path}", f"reason: {(error.strerror or type(error).__name__).lower()}"],
                    fix="look after the disk, then run the command again",
                ) from None
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """As core.interfaces.Body."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
