"""The Python files and notebooks of a project, within bounds.

Promises (tests/disk/test_pythons.py):
  * nothing of a virtual environment, of a hidden folder or behind a symlink is read;
  * a huge file, and any number of files, cost no more than the bounds.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

MAX_FILES = 5000
MAX_PROGRAM = 1 << 20  # bytes of a Python file
MAX_NOTEBOOK = 8 << 20  # bytes; pictures are in it
MAX_BYTES = 64 << 20  # of all
ENDINGS = (".py", ".ipynb")
_FOREIGN = frozenset({"venv", "env", "node_modules", "site-packages", "__pycache__"})


def programs_below(root: Path) -> Iterator[str]:
    """Paths of programs below a folder, with `/`, sorted folder by folder; what cannot be read is passed over."""
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_foreign(Path(parent, name)))
        for name in sorted(files):
            if name.endswith(ENDINGS):
                yield Path(parent, name).relative_to(root).as_posix()


def contents(root: Path, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The programs of these paths with their bytes, until the bounds are reached."""
    count = total = 0
    known: dict[Path, bool] = {}
    for path in paths:
        if count == MAX_FILES or total > MAX_BYTES:
            return
        parents = list(Path(path).parents)[:-1]
        if not path.isprintable() or any(known.setdefault(each, _is_foreign(root / each)) for each in parents):
            continue
        count += 1
        data = _content(root / path, MAX_NOTEBOOK if path.endswith(".ipynb") else MAX_PROGRAM)
        if data is not None:
            total += len(data)
            yield path, data


def _is_foreign(folder: Path) -> bool:
    """Whether others wrote what is in a folder."""
    if folder.name.startswith(".") or folder.name in _FOREIGN or folder.is_symlink():
        return True
    return (folder / "pyvenv.cfg").exists()


def _content(path: Path, most: int) -> bytes | None:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            return None
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return None
