"""Hashes and commits as types that cannot be wrong.

Holds no hashing of files; that is the business of transfer.py and disk/.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_GIT_BLOB = re.compile(r"[0-9a-f]{40}\Z")
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")

EMPTY_SHA256_HEX = hashlib.sha256(b"").hexdigest()


class Sha256(str):
    """A sha256 as 64 lower-case hex digits."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _SHA256.match(text):
            raise ValueError(f"expected 64 hex digits of a sha256, got {text[:80]!r}")
        return super().__new__(cls, text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:<64 hex>`, as models.lock writes it.

        Raises:
            ValueError: Another prefix or not 64 lower-case hex digits.
        """
        prefix, _, digits = text.partition(":")
        if prefix != "sha256":
            raise ValueError(f"expected `sha256:` and 64 hex digits, got {text[:80]!r}")
        return cls(digits)

    @property
    def prefixed(self) -> str:
        """`sha256:<64 hex>`."""
        return f"sha256:{self}"


EMPTY_SHA256 = Sha256(EMPTY_SHA256_HEX)


class GitBlob(str):
    """The id of a git blob: sha1 over `blob <size>\\0` and the content, as 40 lower-case hex digits."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _GIT_BLOB.match(text):
            raise ValueError(f"expected 40 hex digits of a git blob, got {text[:80]!r}")
        return super().__new__(cls, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is known of an object before its bytes are here.

    Attributes:
        size: Bytes.
        sha256: None while nobody has told it; the bytes then tell it themselves.
        git_blob: What proves the bytes where their sha256 is not told.
        origin: Where the bytes come from; tells objects apart of which no hash is known.
    """

    size: int
    sha256: Sha256 | None = None
    git_blob: GitBlob | None = None
    origin: str = ""

    @property
    def name(self) -> Sha256:
        """What it is called on its way: its sha256, else a digest of what is known."""
        if self.sha256 is not None:
            return self.sha256
        known = f"blob {self.git_blob}" if self.git_blob else f"origin {self.origin}"
        return Sha256(hashlib.sha256(f"{known} {self.size}".encode()).hexdigest())


class Commit(str):
    """A full commit: 40 hex digits (git) or 64 (a folder's or URL's own digest)."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _COMMIT.match(text):
            raise ValueError(f"expected a full commit of 40 hex digits, got {text[:80]!r}")
        return super().__new__(cls, text)


def is_commit(revision: str) -> bool:
    """Whether a revision names one commit in full and so needs no resolving."""
    return bool(_COMMIT.match(revision))


def tree_digest(lines: Iterable[tuple[str, int, str]]) -> Sha256:
    """Digest of a file list: sha256 over the sorted lines `<sha256> <size> <path>\\n`.

    Args:
        lines: (sha256 hex, size in bytes, path) of each file, in any order.
    """
    text = "".join(sorted(f"{sha256} {size} {path}\n" for sha256, size, path in lines))
    return Sha256(hashlib.sha256(text.encode("utf-8")).hexdigest())
