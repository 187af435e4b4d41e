"""Bring an object of the store under its final name, and take own files away again.

Placing shares bytes with the store (reflink, else hard link); files under 1 MiB and
file systems that can do neither get a copy that is hashed while it is written.

Promises (tests/disk/test_place.py):
  * a final name holds the old file or the whole new one, at any instant;
  * a file that appeared or changed since the look is never replaced: BlockedError;
  * no symlink below the project is followed;
  * what is replaced, removed or moved aside keeps its bytes and its relative path in the trash;
  * what a killed run left beside a spot goes with the next run.
"""

import contextlib
import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.plan import Leftover, Wanted
from fetcher.disk.atomic import backdate, disk_errors
from fetcher.disk.batch import make_durable
from fetcher.disk.folder import NO_SHARING, Folder, move_new, walk_to
from fetcher.disk.index import Row
from fetcher.disk.share import clone
from fetcher.disk.shelf import Shelf
from fetcher.disk.writer import temporary_name
from fetcher.errors import BlockedError, IntegrityError

COPY_BELOW = 1 << 20  # bytes; an edit of a small file in place must not reach the store
_PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A final name: the folder to start from, the folders below it, the name."""

    base: Path
    parts: list[str]
    name: str


class Placer:
    """Places, replaces, moves aside and removes files of one project.

    Args:
        root: The project's folder.
        shelf: Takes what is replaced, removed or moved aside.
        folders: Spots of the folders that fetcher made earlier.
    """

    def __init__(self, *, root: Path, shelf: Shelf, folders: Iterable[str]) -> None:
        self._root = root
        self._shelf = shelf
        self._touched: set[Path] = set()
        self._swept: set[Path] = set()
        self._prepared: dict[str, str] = {}  # temporary names, by spot
        self.folders = set(folders)

    def place(self, wanted: Wanted, source: Path, known: Row | None) -> Row:
        """Put the bytes of `source` under the final name.

        Args:
            source: A proven object.
            known: The row of fetcher's own file that may be replaced; None if
                nothing may be there.

        Raises:
            BlockedError: Something else stands there now.
            IntegrityError: The object's bytes are not the locked ones.
            DiskError: No space, read-only, no permission.
        """
        spot = self._spot(wanted.spot, str(wanted.path))
        with disk_errors(self._root / wanted.spot), self._folder(spot, wanted.spot) as folder:
            self._sweep(folder)
            looked_ns = time.time_ns()
            prepared = self._prepared.pop(wanted.spot, None)
            temporary = prepared or temporary_name(spot.name)
            try:
                if prepared is None:
                    _bring(source, folder, temporary, wanted)
                self._publish(folder, temporary, spot.name, wanted.spot, known)
            finally:
                folder.unlink(temporary)
            found = folder.lstat(spot.name)
        if found is None:
            raise _in_the_way(wanted.spot)
        self._touched.add((self._root / wanted.spot).parent)
        return Row.of(
            wanted.spot, found, model=wanted.model, sha256=Sha256(wanted.sha256), looked_ns=looked_ns, wrote=True
        )

    def prepare(self, sources: Sequence[tuple[Wanted, Path]]) -> None:
        """Copy small objects beside their final names and make them durable together; `place` then only names them.

        A sync for each of 2,000 files costs five times what all else costs (performance.md, "Disk").

        Raises:
            IntegrityError, DiskError: As for `place`.
        """
        paths = []
        for wanted, source in sources:
            spot = self._spot(wanted.spot, str(wanted.path))
            with disk_errors(self._root / wanted.spot), self._folder(spot, wanted.spot) as folder:
                self._sweep(folder)
                temporary = self._prepared[wanted.spot] = temporary_name(spot.name)
                _copy(source, folder, temporary, wanted, sync=_later)
                paths.append(os.fspath(folder.path / temporary))
        with disk_errors(self._root):
            make_durable(paths)

    def move_aside(self, spot: str) -> Path:
        """Move whatever stands at a spot into the trash; returns where it is now."""
        path = self._root / spot
        with disk_errors(path), self._parent(spot) as folder:
            kept = self._shelf.take(folder, spot, path.name)
        self._touched.add(path.parent)
        return kept

    def move(self, origin: str, spot: str, row: Row) -> bool:
        """Rename a file of fetcher's own to a spot where nothing may be.

        Returns:
            False if the two are on different file systems; nothing was changed.

        Raises:
            BlockedError: The file changed since the look, or something stands at the spot now.
            DiskError: Read-only, no permission.
        """
        name, old_name = (each.rpartition("/")[2] for each in (spot, origin))
        with disk_errors(self._root / spot), self._parent(origin) as old, self._made_parent(spot) as new:
            found = old.lstat(old_name)
            if found is None or not is_own(found, row):
                raise _in_the_way(origin)
            try:
                move_new(old, old_name, new, name)
            except FileExistsError:
                raise _in_the_way(spot) from None
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                return False
        self._touched.update(((self._root / origin).parent, (self._root / spot).parent))
        self._remove_empty(origin.rpartition("/")[0])
        return True

    def restore(self, spot: str, kept: Path, over: Row | None) -> None:
        """Rename what was kept back to its spot; the file that it replaces is kept instead.

        Args:
            over: The file of fetcher's own that is there now; None if nothing may be there.

        Raises:
            BlockedError: Something else stands there now.
            DiskError: Read-only, no permission.
        """
        name = spot.rpartition("/")[2]
        with disk_errors(self._root / spot), self._made_parent(spot) as folder, Folder.at(kept.parent) as shelf:
            if over is None:
                try:
                    move_new(shelf, kept.name, folder, name)
                except FileExistsError:
                    raise _in_the_way(spot) from None
            else:
                self._keep(folder, name, spot, over)
                folder.take_in(name, shelf, kept.name)
        self._touched.update((kept.parent, (self._root / spot).parent))

    def remove(self, leftover: Leftover, row: Row) -> bool:
        """Move a file of fetcher's own into the trash; the folders made for it that are empty now go.

        Returns:
            False if the file changed since the look; it stays.
        """
        path = self._root / leftover.spot
        with disk_errors(path):
            try:
                with self._parent(leftover.spot) as folder:
                    found = folder.lstat(path.name)
                    if found is not None:
                        if not is_own(found, row):
                            return False
                        self._shelf.take(folder, leftover.spot, path.name)
            except (FileNotFoundError, NotADirectoryError):
                return True  # its folder went, or became something else: the file is no longer there
            self._touched.add(path.parent)
            self._remove_empty(leftover.spot.rpartition("/")[0])
        return True

    def sweep(self, spots: Iterable[str]) -> None:
        """Remove the temporary files that killed runs have left beside these spots."""
        for parent in sorted({spot.rpartition("/")[0] for spot in spots}):
            with contextlib.suppress(OSError), self._parent(f"{parent}/x" if parent else "x") as folder:
                self._sweep(folder)

    def _sweep(self, folder: Folder) -> None:
        if folder.path not in self._swept:
            self._swept.add(folder.path)
            folder.sweep()

    def flush(self) -> None:
        """Make the names that were changed durable, and remove what was prepared and not placed."""
        for spot, temporary in self._prepared.items():
            with (
                disk_errors(self._root / spot),
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                self._parent(spot) as folder,
            ):
                folder.unlink(temporary)
        self._prepared.clear()
        for path in sorted(self._touched | self._shelf.touched):
            with (
                disk_errors(path),
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                Folder.at(path) as folder,
            ):
                folder.flush()
        self._touched.clear()
        self._shelf.touched.clear()

    def remove_empty_above(self, spot: str) -> None:
        """Remove the folders above a spot that fetcher made and that are empty."""
        with disk_errors(self._root / spot), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._remove_empty(spot.rpartition("/")[0])

    def missing_folders(self, spots: Iterable[str]) -> set[str]:
        """The folders that would have to be made for some spots."""
        missing: set[str] = set()
        for spot in spots:
            folder = spot.rpartition("/")[0]
            while folder and folder not in missing and not os.path.lexists(self._root / folder):
                missing.add(folder)
                folder = folder.rpartition("/")[0]
        return missing

    def _remove_empty(self, spot: str) -> None:
        while spot and spot in self.folders:
            with self._parent(spot) as folder:
                if not folder.remove_child(spot.rpartition("/")[2]):
                    return
            self.folders.discard(spot)
            spot = spot.rpartition("/")[0]

    def _publish(self, folder: Folder, temporary: str, name: str, spot: str, known: Row | None) -> None:
        found = folder.lstat(name) if known is not None else None
        if known is None or found is None:
            _publish_new(folder, temporary, name)
            return
        self._keep(folder, name, spot, known)
        folder.replace(temporary, name)

    def _keep(self, folder: Folder, name: str, spot: str, known: Row) -> None:
        """Keep a file that is about to be replaced, if it is the known one."""
        found = folder.lstat(name)
        if found is None or not is_own(found, known):
            raise _in_the_way(str(folder.path / name))
        kept = self._shelf.link(folder, spot, name)
        if kept is not None and not is_own(kept.lstat(), known):  # swapped in since: not ours to replace
            kept.unlink()
            raise _in_the_way(str(folder.path / name))

    @contextlib.contextmanager
    def _parent(self, spot: str) -> Iterator[Folder]:
        """The folder of a spot; below the project, no symlink on the way is followed."""
        if os.path.isabs(spot):
            with Folder.at(Path(spot).parent) as folder:
                yield folder
            return
        with walk_to(self._root, spot.split("/")[:-1], made=None) as folder:
            yield folder

    @contextlib.contextmanager
    def _made_parent(self, spot: str) -> Iterator[Folder]:
        """The folder of a spot, made if it is missing."""
        with self._folder(self._spot(spot, spot.rpartition("/")[2]), spot) as folder:
            yield folder

    def _spot(self, spot: str, path: str) -> Spot:
        if not os.path.isabs(spot):
            *parts, name = spot.split("/")
            return Spot(base=self._root, parts=parts, name=name)
        *parts, name = path.split("/")
        return Spot(base=Path(spot.removesuffix(path)), parts=parts, name=name)

    @contextlib.contextmanager
    def _folder(self, spot: Spot, label: str) -> Iterator[Folder]:
        made: list[str] = []
        spot.base.mkdir(parents=True, exist_ok=True)
        try:
            with walk_to(spot.base, spot.parts, made=made) as folder:
                yield folder
        except NotADirectoryError:
            raise _in_the_way(label) from None
        finally:
            prefix = "" if spot.base == self._root else f"{spot.base.as_posix()}/"
            self.folders.update(f"{prefix}{name}" for name in made)


def _bring(source: Path, folder: Folder, temporary: str, wanted: Wanted) -> None:
    """Make the temporary name hold the object's bytes, shared where possible."""
    if wanted.size >= COPY_BELOW:
        if _clone(source, folder, temporary):
            return
        try:
            folder.link_here(source, temporary)
        except OSError as error:
            if error.errno not in NO_SHARING:
                raise
        else:
            return
    _copy(source, folder, temporary, wanted)


def _clone(source: Path, folder: Folder, temporary: str) -> bool:
    """Reflink (btrfs, xfs); False where the file system cannot."""
    if sys.platform != "linux":
        return False
    descriptor = folder.create(temporary)
    try:
        with source.open("rb") as file:
            if not clone(file.fileno(), descriptor):
                folder.unlink(temporary)
                return False
        os.fchmod(descriptor, 0o444)
        backdate(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _later(descriptor: int) -> None:
    """Leave it to `make_durable`."""


def _copy(
    source: Path, folder: Folder, temporary: str, wanted: Wanted, *, sync: Callable[[int], object] = os.fsync
) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as read, os.fdopen(folder.create(temporary), "wb", buffering=0) as write:
        while piece := read.read(_PIECE):
            digest.update(piece)
            view = memoryview(piece)
            while view:
                view = view[write.write(view) :]
        backdate(write.fileno())
        sync(write.fileno())
    if digest.hexdigest() != wanted.sha256:
        raise IntegrityError(
            f"The store's object of {wanted.label} is damaged.",
            facts=[f"locked: sha256 {wanted.sha256}", f"found:  sha256 {digest.hexdigest()}"],
            fix="run `fetcher sync` again; the object is fetched anew",
        )


def _publish_new(folder: Folder, temporary: str, name: str) -> None:
    try:
        folder.link(temporary, name)  # unlike a rename, a link never replaces
    except FileExistsError:
        raise _in_the_way(str(folder.path / name)) from None
    except OSError as error:
        if error.errno not in NO_SHARING:
            raise
        if folder.lstat(name) is not None:
            raise _in_the_way(str(folder.path / name)) from None
        folder.replace(temporary, name)


def is_own(found: os.stat_result, row: Row) -> bool:
    """Whether a file is still the one that fetcher wrote."""
    return stat.S_ISREG(found.st_mode) and row.is_unchanged(found)


def _in_the_way(spot: str) -> BlockedError:
    return BlockedError(
        f"{spot} appeared or changed while fetcher was at work; it was left as it is.",
        fix="run `fetcher status` to see what is in the way",
    )


def rows_after(rows: Mapping[str, Row], placed: Iterable[Row], removed: Iterable[str]) -> dict[str, Row]:
    """The index after a sync: what was placed is in, what was removed is out."""
    gone = set(removed)
    kept = {spot: row for spot, row in rows.items() if spot not in gone}
    kept.update((row.spot, row) for row in placed)
    return kept
