"""Hashes and commits as types that cannot be wrong.

Holds no hashing of files; that is the business of transfer.py and disk/.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Self

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
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
