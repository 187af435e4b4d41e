"""Names that come from outside, made safe once.

A path inside a repository becomes a `RepoPath` or is refused; a list of them goes
through `refuse_twins`.  Everything further in relies on that and checks nothing again.

Promises (tests/core/test_paths.py):
  * a RepoPath joined to a folder stays inside that folder on Linux, macOS and Windows;
  * two paths of one list never land on the same file, on any of the three.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Self

MAX_PATH_BYTES = 1024  # macOS PATH_MAX; Linux allows 4096 for the whole path
MAX_DEPTH = 64  # folders; no model is deeper than 10, and a listing of deep paths would cost much memory
MAX_PART_BYTES = 255  # NAME_MAX of ext4, xfs, btrfs, APFS, NTFS

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_ -]*\Z")
_FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\\\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\u3164\ufeff\ud800-\udfff]"
)
_DRIVE = re.compile(r"[A-Za-z]:")
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$)(?: *\..*)?\Z",
    re.IGNORECASE,
)
_IGNORABLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")  # HFS+ leaves them out of names
_OWN_FOLDERS = frozenset({".git", "git~1", ".fetcher"})  # git~1: the short name of .git on NTFS
_SUSPECT = re.compile(r"\A\Z|//|/\Z|(?:\A|/)\.\.?(?:/|\Z)|\x00|\.git|git~1|\.fetcher", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class RepoPath(str):
    """A path of a file from its repository's root: relative, `/`, safe on every system."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        reason = _why_unsafe(text)
        if reason:
            raise ValueError(f"unsafe path {text[:200]!r}: {reason}")
        return super().__new__(cls, text)


class ModelName(str):
    """The NAME of `[models.NAME]`: also a folder's name and a part of a variable's name."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _NAME.match(text) or _why_part_unsafe(text):
            raise ValueError(
                f"unsafe name {text[:120]!r}: use letters, digits, `.`, `_` and `-`, starting with a letter or digit"
            )
        return super().__new__(cls, text)


def _why_unsafe(text: str) -> str | None:
    if not text:
        return "it is empty"
    if _FORBIDDEN.search(text):
        return "it holds a backslash or a control character"
    if text.startswith("/"):
        return "it is absolute"
    if _DRIVE.match(text):
        return "it starts with a drive letter"
    if len(text.encode("utf-8")) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    if text.count("/") > MAX_DEPTH:
        return f"it is more than {MAX_DEPTH} folders deep"
    for part in text.split("/"):
        if _PLAIN.match(part) and len(part) > 6 and len(part) <= MAX_PART_BYTES and part[-1] != " ":
            continue  # longer than any reserved name, nothing special in it
        reason = _why_part_unsafe(part)
        if reason:
            return reason
    return None


def _why_part_unsafe(part: str) -> str | None:
    if part in ("", ".", ".."):
        return f"it has {part!r} as a part"
    if part[-1] in ". ":
        return "a part ends with a dot or a space"
    if ":" in part:
        return "a part holds a colon"
    if is_own_folder(part):
        return f"{part!r} is a folder of git or of fetcher"
    if _RESERVED.match(part):
        return f"{part!r} is a reserved name on Windows"
    if len(part.encode("utf-8")) > MAX_PART_BYTES:
        return f"a part is longer than {MAX_PART_BYTES} bytes"
    return None


def why_unsafe_spot(spot: str, *, absolute: bool) -> str | None:
    """Why a spot that was read from `.fetcher` cannot be one that fetcher wrote there; None if it can.

    Looser than `RepoPath`: a target may be any folder of the user's.

    Args:
        absolute: Whether an absolute one may be believed.
    """
    inner = spot
    if spot.startswith("/") or _DRIVE.match(spot):
        if not absolute:
            return "it is absolute, and was not written on this machine"
        inner = spot.partition("/")[2]
    if inner.isascii() and not _SUSPECT.search(inner):
        return None  # nearly all of many: a look at each part would take longer
    for part in inner.split("/"):
        if part in ("", ".", ".."):
            return f"it has {part!r} as a part"
        if "\x00" in part:
            return "it holds a NUL"
        if is_own_folder(part):
            return f"{part!r} is a folder of git or of fetcher"
    return None


def is_own_folder(part: str) -> bool:
    """Whether a part of a path is a folder of git's or of fetcher's own, on some file system."""
    return _IGNORABLE.sub("", part).casefold() in _OWN_FOLDERS


def fold(path: str) -> str:
    """The form in which two paths are the same file on some file system (case, Unicode form)."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def refuse_twins(paths: Iterable[str]) -> None:
    """Refuse a list in which two paths cannot stand side by side.

    Raises:
        ValueError: The same path twice, two that differ only by case or Unicode
            form, or a file that is also the directory of another.
    """
    seen: dict[str, str] = {}
    parents: dict[str, str] = {}
    for path in paths:
        folded = fold(path)
        if folded in seen:
            raise ValueError(f"{seen[folded]!r} and {path!r} would be the same file on some systems")
        seen[folded] = path
        head, found, _ = folded.rpartition("/")
        while found and head not in parents:
            parents[head] = path
            head, found, _ = head.rpartition("/")
    for folded in parents.keys() & seen.keys():
        raise ValueError(f"{seen[folded]!r} is a file and also a directory of {parents[folded]!r}")
