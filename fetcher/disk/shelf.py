"""Where one change keeps what it takes from the project: a folder in `.fetcher/trash/`.

    project/models/gpt2/config.json      what was at that spot of the project
    absolute/data/gpt2/config.json       what was at an absolute spot

Only names change, so nothing is copied and nothing can be cut short.  What is on a file
system of its own stays there, in its own folder, under a hidden name.

Promises (tests/disk/test_shelf.py, tests/test_hostile_state.py):
  * no symlink is followed on the way to what is kept;
  * what is kept is found again by its spot, also by another process;
  * nothing that is kept already is replaced.
"""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from fetcher.disk.folder import NO_SHARING, Folder, walk_to


class Shelf:
    """What one change keeps.

    Args:
        root: The project's folder.
        folder: This change's folder in the trash, or one in it.
        label: Told apart in the hidden names: the change's number.
    """

    def __init__(self, *, root: Path, folder: Path, label: str) -> None:
        self._root = root
        self._folder = folder
        self._label = label
        self.touched: set[Path] = set()

    def place_of(self, spot: str) -> Path:
        """Where what stood at a spot is kept, if it is on the trash's file system."""
        if not os.path.isabs(spot):
            return self._folder / "project" / spot
        return self._folder / "absolute" / (spot.replace(":", "") if os.name == "nt" else spot).lstrip("/")

    def find(self, spot: str) -> Path | None:
        """Where what stood at a spot is kept; None if it is not."""
        for path in (self.place_of(spot), self._beside(spot)):
            if os.path.lexists(path) and self._is_here(path):
                return path
        return None

    @contextlib.contextmanager
    def opened(self, path: Path, *, made: list[str] | None = None) -> Iterator[Folder]:
        """The folder of a kept file.

        Args:
            made: When given, missing folders are made.

        Raises:
            NotADirectoryError: A symlink is on the way to it.
        """
        for base in (self._folder.parent, self._root):
            if path.is_relative_to(base):
                if made is not None:
                    base.mkdir(parents=True, exist_ok=True)
                with walk_to(base, [*path.parent.relative_to(base).parts], made=made) as folder:
                    yield folder
                return
        with Folder.at(path.parent) as folder:
            yield folder

    def _is_here(self, path: Path) -> bool:
        try:
            with self.opened(path) as folder:
                return folder.lstat(path.name) is not None
        except (FileNotFoundError, NotADirectoryError):
            return False

    def link(self, source: Folder, spot: str, name: str) -> Path | None:
        """Keep a file that also keeps its name, by a hard link; None where links cannot be made."""
        place = self.place_of(spot)
        try:
            with self.opened(place, made=[]) as trash:
                source.link_to(name, trash, place.name)
        except FileExistsError:
            return place
        except OSError as error:
            if error.errno not in NO_SHARING:
                raise
            return self._link_beside(source, spot, name)
        self.touched.add(place.parent)
        return place

    def take(self, source: Folder, spot: str, name: str) -> Path:
        """Move whatever has this name here; returns where it is now."""
        place = self.place_of(spot)
        with self.opened(place, made=[]) as trash:
            if trash.lstat(place.name) is not None:
                place = place.with_name(f"{place.name}.{secrets.token_hex(3)}")
            try:
                trash.take_in(place.name, source, name)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                beside = self._beside(spot)
                source.replace(name, beside.name)
                return beside
        self.touched.add(place.parent)
        return place

    def _link_beside(self, source: Folder, spot: str, name: str) -> Path | None:
        beside = self._beside(spot)
        try:
            source.link(name, beside.name)
        except FileExistsError:
            return beside
        except OSError as error:
            if error.errno not in NO_SHARING:
                raise
            return None
        return beside

    def _beside(self, spot: str) -> Path:
        path = self._root / spot
        short = path.name.encode()[:100].decode(errors="ignore")
        mark = hashlib.sha256(spot.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return path.with_name(f".{short}.fetcher-kept-{self._label}-{mark}")
