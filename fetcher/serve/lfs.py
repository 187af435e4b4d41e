"""Which files git keeps a pointer of only: the large ones, and those that `.gitattributes` names.  Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from fetcher.serve.repositories import LFS_SIZE, StoredFile

ATTRIBUTES = ".gitattributes"
MAX_ATTRIBUTES = 1 << 20  # bytes that are read of it


def lfs_files(files: Mapping[str, StoredFile], attributes: str) -> frozenset[str]:
    """The paths of a tree that are kept by git-lfs.

    Args:
        attributes: Text of the root's `.gitattributes` (gitattributes(5)); the last line that
            fits a path decides.
    """
    rules = [rule for rule in map(_rule, attributes.splitlines()) if rule is not None]
    return frozenset(path for path, file in files.items() if file.size >= LFS_SIZE or _is_named(path, rules))


def _rule(line: str) -> tuple[str, bool] | None:
    """A pattern, and whether what fits it goes through the filter; None for a line about something else."""
    pattern, *attributes = line.split() or [""]
    if not pattern or pattern.startswith("#"):
        return None
    said = [name for name in attributes if name.lstrip("-!").partition("=")[0] == "filter"]
    return (
        (pattern.removeprefix("/") if pattern.count("/") == 1 else pattern, said[-1] == "filter=lfs") if said else None
    )


def _is_named(path: str, rules: list[tuple[str, bool]]) -> bool:
    named = False
    for pattern, is_lfs in rules:
        subject = path if "/" in pattern else path.rpartition("/")[2]
        if fnmatchcase(subject, pattern.replace("**/", "*")):
            named = is_lfs
    return named
