"""Which files are of models, so that they do not belong into a commit.  Pure.

Promises (tests/test_weights.py):
  * a file in the place of a locked one is of its model, whatever is in it;
  * elsewhere only large files are known by their bytes: small ones, as licences and `{}`, are anybody's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from fetcher.core.digest import Sha256
from fetcher.core.lock import LockedFile, LockedModel
from fetcher.core.paths import ModelName

LARGE = 1 << 20  # bytes; what hubs keep out of git, and fetcher shares between projects


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A file that a model has.

    Attributes:
        place: As it was named.
        is_spot: Whether it stands where fetcher places the file; else it has the same bytes.
    """

    place: str
    model: str
    file: LockedFile
    is_spot: bool

    def __str__(self) -> str:
        if self.is_spot:
            return f"{self.place}: fetcher places it there, for {self.model}"
        return f"{self.place}: the same bytes as {self.file.path} of {self.model}"


class Weights:
    """What the models of a lock have.

    Args:
        models: From the lock.
        folders: NAME to the folder of its files, absolute and normal, with `/`.
    """

    def __init__(self, models: Iterable[LockedModel], folders: Mapping[ModelName, str]) -> None:
        files = [(model.name, file) for model in models for file in model.files]
        self._spots = {f"{folders[name]}/{file.path}": (name, file) for name, file in files}
        self._bytes = {(file.size, file.sha256): (name, file) for name, file in files if file.size >= LARGE}
        self._sizes = {size for size, _ in self._bytes}

    def find(self, place: str, path: str, size: int | None, sha256: Callable[[], Sha256]) -> Weight | None:
        """What a file is; None if it is of no model.

        Args:
            place: As a person knows it.
            path: Absolute and normal, with `/`.
            size: Bytes; None where it is no file.
            sha256: Hashes it; called only if a file of a model has this size.
        """
        if path in self._spots:
            model, file = self._spots[path]
            return Weight(place=place, model=model, file=file, is_spot=True)
        if size is None or size not in self._sizes or (size, digest := sha256()) not in self._bytes:
            return None
        model, file = self._bytes[size, digest]
        return Weight(place=place, model=model, file=file, is_spot=False)
