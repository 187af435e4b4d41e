"""Where targets really are: what the text of models.toml cannot tell.

Promises (tests/test_targets.py):
  * no absolute target leads into a folder of git's or of fetcher's, by whatever links;
  * no file has two spots through a link, so that none is owned twice;
  * a folder into which nothing may be written is told before the first byte is fetched.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from fetcher.core.paths import is_own_folder
from fetcher.core.plan import Wanted
from fetcher.errors import ConfigError, DiskError

_KEY = "models.toml: models.{}.target"


def real_targets(targets: Mapping[str, str], root: Path) -> dict[str, str]:
    """The targets without links in them: one of the project is relative, wherever a link to it was.

    Args:
        targets: NAME to folder: relative to the project with `/`, or absolute.

    Raises:
        ConfigError: An absolute one leads into a folder of git or of fetcher.
    """
    if not any(map(os.path.isabs, targets.values())):
        return dict(targets)
    real_root = Path(os.path.realpath(root))
    return {
        name: _real(name, Path(target), real_root) if os.path.isabs(target) else target
        for name, target in targets.items()
    }


def _real(name: str, target: Path, real_root: Path) -> str:
    require_users_folder(target, f"{_KEY.format(name)} = {str(target)!r}")
    path = Path(os.path.realpath(target))
    return path.relative_to(real_root).as_posix() if path.is_relative_to(real_root) else path.as_posix()


def require_users_folder(folder: Path, wish: str) -> None:
    """Refuse a folder that is or leads into one of git's or of fetcher's.

    Args:
        wish: What asked for it.

    Raises:
        ConfigError: Files of a model there could run commands, or say what is fetcher's.
    """
    path = Path(os.path.realpath(folder))
    if any(map(is_own_folder, path.parts)):
        raise ConfigError(
            "A model would be placed in a folder of git or of fetcher.",
            facts=[wish, f"leads to: {path}"],
            fix="name another folder",
        )


def require_writable(wanted: Iterable[Wanted], root: Path) -> None:
    """Refuse to begin where the files could not be placed in the end.

    Raises:
        DiskError: A folder of the wanted files is read-only or somebody else's.
    """
    parents = {(root / item.spot).parent: item for item in wanted}
    grounds: dict[Path, Wanted] = {}
    for parent, item in parents.items():
        grounds.setdefault(_existing(parent), item)
    refusing = [(folder, item) for folder, item in grounds.items() if not _may_write(folder)]
    if refusing:
        raise DiskError(
            "Files cannot be placed: the folder may not be written; nothing was fetched.",
            facts=[f"{folder}: {_why(folder)}; wanted there: {item.label}" for folder, item in refusing[:10]],
            fix=f"check its owner and mode with `ls -ld {refusing[0][0]}`, or choose another folder",
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if os.path.lexists(path))


def _may_write(folder: Path) -> bool:
    if not folder.is_dir():
        return True  # in the way, and told as that
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _why(folder: Path) -> str:
    read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
    return "its file system is read-only" if read_only else "permission denied"
