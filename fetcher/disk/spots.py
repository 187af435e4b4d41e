"""The folders of a project's spots: reached, made and removed by open directories, never through a symlink.

Below the project no symlink is followed.  The folder of an absolute target is followed as
the user wrote it; below it none is.

Promises (tests/disk/test_place.py, tests/crash: a folder that becomes a symlink at any operation):
  * nothing is written or removed in a folder to which a symlink led;
  * only folders that fetcher made are removed, and only when they are empty.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from fetcher.disk.folder import Folder, descend, walk_to
from fetcher.errors import BlockedError


class Spots:
    """The folders of one project's spots.

    Args:
        root: The project's folder.
        made: Spots of the folders that fetcher made earlier.
    """

    def __init__(self, root: Path, made: Iterable[str]) -> None:
        self.root = root
        self.made = set(made)
        self._stays = False
        self._held: tuple[str, str, Folder] | None = None  # a spot, what of it is below its target, and its folder

    @contextlib.contextmanager
    def staying(self) -> Iterator[None]:
        """In the block `made_folder_of` keeps a folder open until it is asked for another one.

        Whatever happens to the folder's name meanwhile is found out then.

        Raises:
            BlockedError: At another folder or at the end: the folder is no longer where its spots are.
        """
        self._stays = True
        try:
            yield
            self._leave()
        finally:
            self._stays = False
            if self._held is not None:
                self._held[-1].close()
                self._held = None

    @contextlib.contextmanager
    def folder_of(self, spot: str) -> Iterator[Folder]:
        """The folder of a spot.

        Raises:
            FileNotFoundError: It is not there.
            NotADirectoryError: A symlink or no directory is on the way.
        """
        base, parts = self._way(spot, "")
        with walk_to(base, parts, made=None) as folder:
            yield folder

    @contextlib.contextmanager
    def made_folder_of(self, spot: str, path: str = "") -> Iterator[Folder]:
        """The folder of a spot, made if it is missing.

        Args:
            path: The part of the spot that is below the target, if that is known.

        Raises:
            BlockedError: A symlink or no directory is on the way.
        """
        if self._held is not None and self._held[0].rpartition("/")[0] == spot.rpartition("/")[0]:
            yield self._held[-1]
            return
        self._leave()
        folder = self._made(spot, path)
        if self._stays:
            self._held = (spot, path, folder)
            yield folder
        else:
            with folder:
                yield folder

    def _made(self, spot: str, path: str) -> Folder:
        base, parts = self._way(spot, path)
        made: list[str] = []
        if not os.path.isdir(base):
            base.mkdir(parents=True, exist_ok=True)
        try:
            return descend(base, parts, made=made)
        except NotADirectoryError:
            raise in_the_way(spot) from None
        finally:
            prefix = "" if base == self.root else f"{base.as_posix().rstrip('/')}/"
            self.made.update(f"{prefix}{name}" for name in made)

    def _leave(self) -> None:
        """Close the folder that was kept open; it must still be where its spots are."""
        if self._held is None:
            return
        (spot, path, folder), self._held = self._held, None
        base, parts = self._way(spot, path)
        with folder:
            try:
                with walk_to(base, parts, made=None) as here:
                    is_there = here.is_the_same_as(folder)
            except (FileNotFoundError, NotADirectoryError):
                is_there = False
        if not is_there:
            raise in_the_way(spot)

    def remove_empty_above(self, spot: str) -> None:
        """Remove the folders above a spot that fetcher made and that are empty."""
        folder = spot.rpartition("/")[0]
        while folder and folder in self.made:
            with self.folder_of(folder) as parent:
                if not parent.remove_child(folder.rpartition("/")[2]):
                    return
            self.made.discard(folder)
            folder = folder.rpartition("/")[0]

    def missing(self, spots: Iterable[str]) -> set[str]:
        """The folders that would have to be made for some spots."""
        found: set[str] = set()
        for spot in spots:
            folder = spot.rpartition("/")[0]
            while folder and folder not in found and not os.path.lexists(self.root / folder):
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return found

    def _way(self, spot: str, path: str) -> tuple[Path, list[str]]:
        """Where to start, links and all, and the folders to go down from there without any."""
        if not os.path.isabs(spot):
            return self.root, spot.split("/")[:-1]
        if path:
            return Path(spot.removesuffix(path)), path.split("/")[:-1]
        base, parts = spot.rpartition("/")[0], list[str]()
        while base in self.made:
            base, _, name = base.rpartition("/")
            parts.insert(0, name)
        return Path(f"{base}/"), parts


def in_the_way(spot: str) -> BlockedError:
    """The error for what was not there at the look."""
    return BlockedError(
        f"{spot} appeared or changed while fetcher was at work; it was left as it is.",
        fix="run `fetcher status` to see what is in the way",
    )
