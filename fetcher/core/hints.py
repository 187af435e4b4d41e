"""The closest valid word, for errors that say what was probably meant."""

import difflib
from collections.abc import Iterable


def closest(word: str, words: Iterable[str], *, most: int = 3) -> list[str]:
    """Up to `most` of `words` that look like `word`, best first."""
    known = list(words)
    found = difflib.get_close_matches(word, known, n=most, cutoff=0.6)
    if found:
        return found
    last = word.rpartition("/")[2].lower()
    return [other for other in known if other.rpartition("/")[2].lower() == last][:most]
