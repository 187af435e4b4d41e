"""Tables of TOML whose keys hold texts and lists of texts, read without pydantic."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Check = Callable[[str], str]


class UnusualError(ValueError):
    """Something that is not read here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """The keys that a table may have.

    Attributes:
        texts: Keys with a text, and its check.
        lists: Keys with a list of texts, and the check of each.
    """

    texts: Mapping[str, Check]
    lists: Mapping[str, Check]

    def checked(self, found: object) -> dict[str, Any]:
        """The keys of a table with their values as they are used."""
        return {key: self._value(key, value) for key, value in table(found).items()}

    def _value(self, key: str, value: object) -> str | list[str]:
        if key in self.texts and isinstance(value, str):
            return self.texts[key](value)
        if key in self.lists and isinstance(value, list) and all(isinstance(item, str) for item in value):
            return [self.lists[key](item) for item in value]
        raise UnusualError


def table(value: object) -> dict[str, object]:
    """A table.

    Raises:
        UnusualError: It is none.
    """
    if not isinstance(value, dict):
        raise UnusualError
    return value
