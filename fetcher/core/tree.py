"""What `fetcher tree` draws: the locked files of each model in their folders.  Pure; no look at the disk.

Promise (tests/cli/test_tree.py): a file whose bytes other locked files have too names them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fetcher.core.lock import Lock, LockedFile
from fetcher.core.paths import ModelName


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A folder or a file of a model.

    Attributes:
        last: For each level down to it, whether it is in the last branch there.
        name: The last part of its path.
        file: None for a folder.
        same_as: Files of the lock with the same bytes, as `NAME/path`; they take no room of their own in the store.
    """

    last: tuple[bool, ...]
    name: str
    file: LockedFile | None = None
    same_as: tuple[str, ...] = ()


class Twins:
    """Which files of a lock have the same bytes."""

    def __init__(self, lock: Lock) -> None:
        self._labels: dict[str, list[str]] = {}
        for name, model in lock.models.items():
            for file in model.files:
                self._labels.setdefault(file.sha256, []).append(f"{name}/{file.path}")

    def of(self, name: ModelName, file: LockedFile) -> tuple[str, ...]:
        """The others."""
        return tuple(label for label in self._labels[file.sha256] if label != f"{name}/{file.path}")


def branches(name: ModelName, files: Iterable[LockedFile], twins: Twins) -> Iterator[Branch]:
    """A model's files and their folders, each folder in front of what is in it, sorted by name."""
    yield from _below(name, [(file.path.split("/"), file) for file in files], (), twins)


def _below(
    name: ModelName, entries: list[tuple[list[str], LockedFile]], above: tuple[bool, ...], twins: Twins
) -> Iterator[Branch]:
    groups: dict[str, list[tuple[list[str], LockedFile]]] = {}
    for parts, file in entries:
        groups.setdefault(parts[0], []).append((parts[1:], file))
    for part in sorted(groups):
        last = (*above, part == max(groups))
        inner = groups[part]
        if not inner[0][0]:
            file = inner[0][1]
            yield Branch(last=last, name=part, file=file, same_as=twins.of(name, file))
        else:
            yield Branch(last=last, name=part)
            yield from _below(name, inner, last, twins)
