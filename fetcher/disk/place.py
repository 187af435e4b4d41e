"""Bring an object of the store under its final name, and take own files away again.

Not in here: how the bytes come (bring.py), how folders are reached (spots.py), where what
is taken away stays (shelf.py).

Promises (tests/disk/test_place.py):
  * a final name holds the old file or the whole new one, at any instant;
  * a file that appeared or changed since the look is never replaced: BlockedError;
  * no symlink below the project or below an absolute target is followed;
  * what is replaced, removed or moved aside keeps its bytes and its relative path in the trash;
  * what a killed run left beside a spot goes with the next run.
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.core.plan import Leftover, Wanted
from fetcher.disk.atomic import disk_errors
from fetcher.disk.batch import make_durable
from fetcher.disk.bring import bring, copy, later, write_name
from fetcher.disk.folder import NO_SHARING, Folder, StrPath, move_new
from fetcher.disk.index import Row
from fetcher.disk.names import is_content
from fetcher.disk.shelf import Shelf
from fetcher.disk.spots import Spots, in_the_way
from fetcher.disk.writer import temporary_name


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
        self._spots = Spots(root, folders)

    @property
    def folders(self) -> set[str]:
        """Spots of the folders that fetcher made."""
        return self._spots.made

    def place(self, wanted: Wanted, source: StrPath | None, known: Row | None) -> Row:
        """Put the bytes of `source` under the final name.

        Args:
            source: A proven object; None for a name that leads to a snapshot.
            known: The row of fetcher's own file that may be replaced; None if
                nothing may be there.

        Raises:
            BlockedError: Something else stands there now.
            IntegrityError: The object's bytes are not the locked ones.
            DiskError: No space, read-only, no permission.
        """
        name = wanted.path.rpartition("/")[2]
        with (
            disk_errors(self._root, wanted.spot),
            self._spots.made_folder_of(wanted.spot, wanted.below_target) as folder,
        ):
            self._sweep(folder)
            prepared = self._prepared.pop(wanted.spot, None)
            temporary = prepared or temporary_name(name)
            try:
                if source is None:
                    write_name(folder, temporary, wanted)
                elif prepared is None:
                    bring(source, folder, temporary, wanted)
                looked_ns = time.time_ns()  # a copy of gigabytes is dated at its end
                self._publish(folder, temporary, name, wanted.spot, known)
            finally:
                folder.unlink(temporary)
            found = folder.lstat(name)
        if found is None:
            raise in_the_way(wanted.spot)
        self._touched.add(folder.path)
        return Row.of(
            wanted.spot, found, model=wanted.model, sha256=Sha256(wanted.sha256), looked_ns=looked_ns, wrote=True
        )

    def prepare(self, sources: Sequence[tuple[Wanted, StrPath]]) -> None:
        """Copy small objects beside their final names and make them durable together; `place` then only names them.

        A sync for each of 2,000 files costs five times what all else costs (performance.md, "Disk").

        Raises:
            BlockedError, IntegrityError, DiskError: As for `place`.
        """
        paths = []
        for wanted, source in sources:
            with (
                disk_errors(self._root, wanted.spot),
                self._spots.made_folder_of(wanted.spot, wanted.below_target) as folder,
            ):
                self._sweep(folder)
                temporary = self._prepared[wanted.spot] = temporary_name(wanted.path.rpartition("/")[2])
                copy(source, folder, temporary, wanted, sync=later)
                paths.append(os.path.join(folder.path, temporary))
        with disk_errors(self._root):
            try:
                make_durable(paths)
            except (FileNotFoundError, NotADirectoryError) as error:  # a folder was moved away since
                raise in_the_way(str(error.filename)) from None

    @contextlib.contextmanager
    def staying(self) -> Iterator[None]:
        """In the block a folder stays open from one file that is placed in it to the next.

        Raises:
            BlockedError: A folder was moved away or replaced meanwhile.
        """
        with disk_errors(self._root), self._spots.staying():
            yield

    def move_aside(self, spot: str) -> Path:
        """Move whatever stands at a spot into the trash; returns where it is now."""
        path = self._root / spot
        with disk_errors(path), self._spots.folder_of(spot) as folder:
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
        with (
            disk_errors(self._root, spot),
            self._spots.folder_of(origin) as old,
            self._spots.made_folder_of(spot) as new,
        ):
            found = old.lstat(old_name)
            if found is None or not is_own(found, row):
                raise in_the_way(origin)
            try:
                move_new(old, old_name, new, name)
            except FileExistsError:
                raise in_the_way(spot) from None
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                return False
        self._touched.update(((self._root / origin).parent, (self._root / spot).parent))
        self._spots.remove_empty_above(origin)
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
        with (
            disk_errors(self._root, spot),
            self._spots.made_folder_of(spot) as folder,
            self._shelf.opened(kept) as shelf,
        ):
            if over is None:
                try:
                    move_new(shelf, kept.name, folder, name)
                except FileExistsError:
                    raise in_the_way(spot) from None
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
                with self._spots.folder_of(leftover.spot) as folder:
                    found = folder.lstat(path.name)
                    if found is not None:
                        if not is_own(found, row):
                            return False
                        self._shelf.take(folder, leftover.spot, path.name)
            except (FileNotFoundError, NotADirectoryError):
                return True  # its folder went, or became something else: the file is no longer there
            self._touched.add(path.parent)
            self._spots.remove_empty_above(leftover.spot)
        return True

    def sweep(self, spots: Iterable[str]) -> None:
        """Remove the temporary files that killed runs have left beside these spots."""
        for parent in sorted({spot.rpartition("/")[0] for spot in spots}):
            with contextlib.suppress(OSError), self._spots.folder_of(f"{parent}/x" if parent else "x") as folder:
                self._sweep(folder)

    def _sweep(self, folder: Folder) -> None:
        if folder.path not in self._swept:
            self._swept.add(folder.path)
            folder.sweep()

    def flush(self) -> None:
        """Make the names that were changed durable, and remove what was prepared and not placed."""
        for spot, temporary in self._prepared.items():
            with (
                disk_errors(self._root, spot),
                contextlib.suppress(FileNotFoundError, NotADirectoryError),
                self._spots.folder_of(spot) as folder,
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
        with disk_errors(self._root, spot), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._spots.remove_empty_above(spot)

    def remove_empty_but(self, spots: Iterable[str]) -> None:
        """Remove the empty folders that fetcher made and that are above no spot of these; a kill may have left them."""
        needed: set[str] = set()
        for spot in spots:
            folder = spot.rpartition("/")[0]
            while folder and folder not in needed:
                needed.add(folder)
                folder = folder.rpartition("/")[0]
        for folder in sorted(self.folders - needed, key=len, reverse=True):
            self.remove_empty_above(f"{folder}/x")

    def missing_folders(self, spots: Iterable[str]) -> set[str]:
        """The folders that would have to be made for some spots."""
        return self._spots.missing(spots)

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
            raise in_the_way(str(folder.path / name))
        kept = self._shelf.link(folder, spot, name)
        if kept is not None and not is_own(kept.lstat(), known):  # swapped in since: not ours to replace
            kept.unlink()
            raise in_the_way(str(folder.path / name))


def _publish_new(folder: Folder, temporary: str, name: str) -> None:
    try:
        folder.link(temporary, name)  # unlike a rename, a link never replaces
    except FileExistsError:
        raise in_the_way(str(folder.path / name)) from None
    except OSError as error:
        if error.errno not in NO_SHARING:
            raise
        if folder.lstat(name) is not None:
            raise in_the_way(str(folder.path / name)) from None
        folder.replace(temporary, name)


def is_own(found: os.stat_result, row: Row) -> bool:
    """Whether a file is still the one that fetcher wrote."""
    return is_content(found.st_mode) and row.is_unchanged(found)


def rows_after(rows: Mapping[str, Row], placed: Iterable[Row], removed: Iterable[str]) -> dict[str, Row]:
    """The index after a sync: what was placed is in, what was removed is out."""
    gone = set(removed)
    kept = {spot: row for spot, row in rows.items() if spot not in gone}
    kept.update((row.spot, row) for row in placed)
    return kept
