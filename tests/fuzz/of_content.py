"""Files of which somebody else says what they are."""

import io
import pickle
import re

from fetcher.core.content.judge import format_of
from fetcher.core.content.texts import card_license
from fetcher.core.content.window import MOST, MOST_READS
from fetcher.core.content.words import FAMILIES, MEANINGS, PICKLE


def content(data: bytes) -> None:
    """A line with the name of a file, then the file."""
    name, _, body = data.partition(b"\n")
    path = name.decode("utf-8", "replace")[:100] or "a"
    read: list[int] = []

    def give(start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= len(body)
        read.append(stop - start)
        return body[start:stop]

    found = format_of(path, len(body), give)
    assert found in MEANINGS
    assert sum(read) <= MOST
    assert len(read) <= MOST_READS
    if found not in FAMILIES[PICKLE] and not body.startswith(b"PK") and len(body) < 4096:
        assert not _runs_code(body), "a pickle that was not found"
    license_ = card_license(body.decode("utf-8", "replace"))
    assert license_ is None or (license_.isprintable() and 0 < len(license_) <= 200)


class _CalledError(Exception):
    """Something of a module would have been called."""


class _Trap:
    """Stands for everything that a pickle imports."""

    def __new__(cls, *_: object) -> "_Trap":
        raise _CalledError


class _Reader(pickle._Unpickler):  # type: ignore[name-defined,misc]  # the reader in Python, which imports here nothing
    def find_class(self, module: str, name: str) -> type[_Trap]:
        if not re.fullmatch(r"[\w.]+", module) or not re.fullmatch(r"[\w.]+", name):
            raise pickle.UnpicklingError("nothing has such a name")
        return _Trap


def _runs_code(data: bytes) -> bool:
    """Whether Python's own reader would come to a call."""
    try:
        _Reader(io.BytesIO(data)).load()
    except _CalledError:
        return True
    except Exception:  # it says in many ways that bytes are no pickle
        return False
    return False
