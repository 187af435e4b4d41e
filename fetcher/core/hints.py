"""The closest valid word, for errors that say what was probably meant."""

import difflib
from collections.abc import Iterable


def closest(word: str, words: Iterable[str], *, most: int = 3) -> list[str]:
    """Up to `most` of `words` that look like `word`, best first: the same last part, then the alike ones."""
    known = list(words)
    last = _last(word)
    same = [other for other in known if _last(other) == last]
    alike = difflib.get_close_matches(word, known, n=most, cutoff=0.6)
    return list(dict.fromkeys([*sorted(same, key=len), *alike]))[:most]


def _last(path: str) -> str:
    return path.rpartition("/")[2].lower()
