"""Git LFS pointers: the small texts that stand in a git tree for large files.  Pure.

The format is docs/spec.md of git-lfs.  A clone that did not fetch its large files has
pointers under their names, and so has whatever was copied or uploaded from it.

Promises (tests/core/test_pointer.py):
  * what git-lfs writes is read; whatever the bytes, the answer is a pointer, None or a ValueError;
  * a text that only speaks of pointers is none.
"""

import re
from dataclasses import dataclass

from fetcher.core.digest import EMPTY_SHA256, Sha256
from fetcher.errors import PointerError

MAX_POINTER = 1023  # bytes; git-lfs reads no pointer from a blob of 1024 bytes or more

# The present name, and the two of before 2014 that git-lfs still reads.
_VERSION = re.compile(
    rb"version (?:https://git-lfs\.github\.com/spec/v1|https://hawser\.github\.com/spec/v1|http://git-media\.io/v/2)\r?\n"
)
_OID = re.compile(rb"^oid ", re.MULTILINE)
_WHOLE = re.compile(rb"(?:ext-[0-9]-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """The large file that a pointer stands for; `size` is in bytes."""

    sha256: Sha256
    size: int


def is_pointer(content: bytes) -> bool:
    """Whether bytes are a pointer, one that cannot be read included."""
    head = _VERSION.match(content) if len(content) <= MAX_POINTER else None
    return head is not None and _OID.search(content, head.end()) is not None


def parse_pointer(content: bytes) -> Pointer | None:
    """The pointer that bytes are; None if they are anything else.

    Raises:
        ValueError: A pointer that cannot be read.
    """
    if not is_pointer(content):
        return None
    found = _WHOLE.fullmatch(content, content.index(b"\n") + 1)
    if found is None:
        raise ValueError("a git-lfs pointer that cannot be read")
    if found[0].startswith(b"ext-"):
        raise ValueError("a git-lfs pointer that needs an extension of git-lfs")
    pointer = Pointer(sha256=Sha256(found[1].decode("ascii")), size=int(found[2]))
    if (pointer.sha256 == EMPTY_SHA256) != (pointer.size == 0):
        raise ValueError("a git-lfs pointer whose hash and size contradict each other")
    return pointer


def pointer_error(label: str, content: bytes) -> PointerError:
    """The error of a pointer where content was due.

    Args:
        label: How messages call the file, such as `gpt2/config.json`.
    """
    try:
        pointer = parse_pointer(content)
    except ValueError:
        pointer = None
    stands_for = [f"stands for: sha256 {pointer.sha256}, {pointer.size} bytes"] if pointer else []
    return PointerError(
        f"The source has a git-lfs pointer instead of {label}.",
        facts=[*stands_for, f"sent: {len(content)} bytes of text"],
        fix="use a source that has the file itself, run `git lfs pull` where the source was copied from, "
        "or add the file to `exclude`",
    )
