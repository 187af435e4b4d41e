"""models.toml edited: an entry more or fewer; every other byte stays, comments and order included.

Entries in sections of their own, the usual form, are put in and cut out as text, because a TOML
library counts the comment above a section to the section before it.  Entries in another form
(`models = {…}`, dotted keys) are edited by tomlkit.  Whatever the way: what came out is read again,
and must say what was meant.

Promises (tests/formats/test_manifest_edit.py):
  * what is left keeps its bytes, and an entry that is put in and cut out again leaves none;
  * the result says what the text said, with that entry more or fewer, or there is an error.
"""

import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from fetcher.errors import ConfigError
from fetcher.formats.manifest_entry import Entry
from fetcher.formats.manifest_spec import DEFAULT_GROUPS
from fetcher.formats.toml_text import header_path, outline

_Kind = TypeVar("_Kind", dict[str, Any], list[Any])


def with_entry(text: str, entry: Entry, *, file: str) -> str:
    """The text of models.toml with an entry behind the last one.

    Args:
        text: With its line breaks as they are; it can be read, and has no entry of that name.
        file: The file's name, for errors.

    Raises:
        ConfigError: It is written in a way that cannot be edited here.
    """
    try:
        entry.text.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError("A word of the command line is not UTF-8 text.", fix="give it in UTF-8") from None
    wanted = _known(text, file)
    added = tomllib.loads(entry.text)["models"][entry.name]
    wanted.setdefault("models", {})[entry.name] = added

    def by_tomlkit(document: Any) -> None:
        import tomlkit

        inline = tomlkit.inline_table()
        inline.update(added)
        document["models"].append(entry.name, inline)

    return _edited(text, wanted, lambda: _Sections(text).with_section(entry.text), by_tomlkit, file=file)


def without_entry(text: str, name: str, *, file: str) -> str:
    """The text of models.toml without an entry and the comment right above it.

    Args:
        text: With its line breaks as they are; it can be read, and has an entry of that name.
        file: The file's name, for errors.

    Raises:
        ConfigError: It is written in a way that cannot be edited here.
    """
    wanted = _known(text, file)
    del wanted["models"][name]

    def by_tomlkit(document: Any) -> None:
        del document["models"][name]

    return _edited(text, wanted, lambda: _Sections(text).without_model(name), by_tomlkit, file=file)


def without_default_groups(text: str, groups: Collection[str], *, file: str) -> str:
    """The text of models.toml with these names taken out of `default-groups`.

    Raises:
        ConfigError: It is written in a way that cannot be edited here.
    """
    wanted = _known(text, file)
    wanted[DEFAULT_GROUPS] = [name for name in wanted[DEFAULT_GROUPS] if name not in groups]

    def by_tomlkit(document: Any) -> None:
        names = document[DEFAULT_GROUPS]
        for group in [str(name) for name in names if name in groups]:
            names.remove(group)

    return _edited(text, wanted, lambda: text, by_tomlkit, file=file)


def entry_names(text: str) -> list[str]:
    """The names of the entries, whatever else is wrong in the file; empty where it is no TOML."""
    return [*_loosely(text, "models", dict)]


def default_groups(text: str) -> list[str]:
    """What `default-groups` holds, whatever else is wrong in the file; empty where it is no TOML."""
    return [str(name) for name in _loosely(text, DEFAULT_GROUPS, list)]


def _loosely(text: str, key: str, kind: type[_Kind]) -> _Kind:
    try:
        value = _tables(text).get(key)
    except (ValueError, RecursionError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _edited(
    text: str,
    wanted: dict[str, Any],
    as_text: Callable[[], str],
    by_tomlkit: Callable[[Any], None],
    *,
    file: str,
) -> str:
    found = as_text()
    if _says(found, wanted):
        return found
    import tomlkit  # takes longer to load than most manifests take to read
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        by_tomlkit(document)
        found = tomlkit.dumps(document)
    except (TOMLKitError, ValueError, TypeError, AttributeError, KeyError):
        found = ""
    if not _says(found, wanted):
        raise _unusual(file)
    return found


def _known(text: str, file: str) -> dict[str, Any]:
    try:
        return _tables(text)
    except tomllib.TOMLDecodeError:  # which `read_manifest` reads: it takes other line breaks than TOML
        raise _unusual(file) from None


def _unusual(file: str) -> ConfigError:
    return ConfigError(f"{file} is written in a way that fetcher cannot edit.", fix=f"edit {file} by hand")


def _tables(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff"))


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        found = _tables(text)
    except tomllib.TOMLDecodeError:
        return False
    return {"models": {}, **found} == {"models": {}, **wanted}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """A table with a header of its own.

    Attributes:
        path: Key path of the header.
        start: Number of its first line, from 0; of the comment right above the header, if there is one.
        stop: Number of the line after its last key, and after a comment right below that.
    """

    path: tuple[str, ...]
    start: int
    stop: int


class _Sections:
    """The lines of a TOML file and the tables that they hold."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._end = "\r" if "\r\n" in text else ""
        self._shape = [line.strip() for line in outline(text).split("\n")]
        headers = [(number, path) for number, line in enumerate(self._shape) if (path := header_path(line))]
        starts = [self._with_comment(number) for number, _ in headers]
        ends = [*starts, len(self._lines)][1:]
        self._sections = [
            _Section(path=path, start=start, stop=self._content_end(number, end))
            for (number, path), start, end in zip(headers, starts, ends, strict=True)
        ]

    def with_section(self, section: str) -> str:
        """The text with a section behind the last model, or at the end of the file."""
        added = section.replace("\n", f"{self._end}\n").split("\n")[:-1]
        models = [each for each in self._sections if each.path[0] == "models" and len(each.path) > 1]
        if models and models[-1] is not self._sections[-1]:
            place = models[-1].stop
            return "\n".join([*self._lines[:place], self._end, *added, *self._lines[place:]])
        *begin, last = self._lines
        gap = [] if not (begin or last) or self._is_blank_at_end() else [self._end]
        return "\n".join([*begin, *([last + self._end] if last else []), *gap, *added, ""])

    def without_model(self, name: str) -> str:
        """The text without the sections of a model, and without the blank lines that kept them apart."""
        lines = list(self._lines)
        for section in reversed(self._sections):
            if section.path[:2] != ("models", name):
                continue
            start, stop = section.start, section.stop
            is_last = all(not line.strip() for line in lines[stop:])
            while is_last and start and not lines[start - 1].strip():
                start -= 1
            while not is_last and not lines[stop].strip() and (not start or not lines[start - 1].strip()):
                stop += 1
            lines[start:stop] = []
        return "\n".join(lines)

    def _with_comment(self, number: int) -> int:
        while number and self._shape[number - 1].startswith("#"):
            number -= 1
        return number

    def _content_end(self, header: int, end: int) -> int:
        """The line after the last key before `end`, and after comments right below it that speak of nothing else."""
        keys = [number for number in range(header, end) if self._shape[number][:1] not in ("", "#")]
        stop = keys[-1] + 1
        below = stop
        while below < end and self._shape[below].startswith("#"):
            below += 1
        return below if below < end else stop

    def _is_blank_at_end(self) -> bool:
        return len(self._lines) > 1 and not any(line.strip() for line in self._lines[-2:])
