"""Writes the reference of docs/api.md from the signatures and the docstrings: `make api-docs`.

tests/api/test_page.py compares the page with what this gives.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fetcher

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
MARK = "## Reference\n"
_INTRODUCTION = "Paths in a repository, names of models, digests and commits are `str` with a type of their own.\n"
_WIDTH = 100
_SECTIONS = ("Args", "Attributes", "Raises")
# Of each class, the methods that are meant for programs; the rest of it may change.
_METHODS: dict[str, list[str]] = {
    "Event": ["facts"],
    "LockedModel": ["size"],
    "ModelChange": ["fetch_size"],
    "Plan": ["fetch_size", "is_empty"],
    "Project": ["find", "lock", "sync", "plan", "status", "path", "variables", "undo", "lock_path"],
    "Report": ["is_empty", "require_complete"],
    "Settings": ["of"],
    "Status": ["plan", "is_synced"],
    "Wanted": ["label"],
}
# Of some classes, the attributes; of the others all are.
_ATTRIBUTES = {
    "LockedModel": {"name", "source", "commit", "tree", "files"},
    "Plan": {"keep", "fetch", "place", "remove"},
    "Project": {"root", "manifest_path", "settings", "stop"},
    "Wanted": {"model", "path", "spot", "sha256", "size"},
}


def reference() -> str:
    """The part of the page below its mark."""
    functions = [name for name in fetcher.__all__ if inspect.isfunction(getattr(fetcher, name))]
    kinds = [name for name in fetcher.__all__ if dataclasses.is_dataclass(getattr(fetcher, name))]
    classes = sorted(kinds, key=lambda name: (name != "Project", name))
    parts = [_class(name) for name in classes]
    return "\n".join([_INTRODUCTION, *parts, *(_entry(getattr(fetcher, name), name) for name in functions), _errors()])


def _class(name: str) -> str:
    kind = getattr(fetcher, name)
    parts = [f"### `{name}`\n", _text(inspect.getdoc(kind) or "", _attributes(kind))]
    for member in _METHODS.get(name, []):
        value = inspect.getattr_static(kind, member)
        parts.append(_entry(getattr(kind, member), f"{name}.{member}", is_property=isinstance(value, property)))
    return "\n".join(parts)


def _entry(what: Any, name: str, *, is_property: bool = False) -> str:
    if is_property:
        value = inspect.getattr_static(getattr(fetcher, name.partition(".")[0]), name.partition(".")[2])
        kind = _plain(inspect.formatannotation(value.fget.__annotations__["return"]))
        return f"### `{name}`\n\n```python\n{name}: {kind}\n```\n\n{_text(inspect.getdoc(value) or '', [])}"
    return f"### `{name}`\n\n```python\n{signature(what, name)}\n```\n\n{_text(inspect.getdoc(what) or '', [])}"


def signature(what: Any, name: str) -> str:
    """`name(…) -> …`, a parameter a line where it is long."""
    found = inspect.signature(what)
    shown = [each for each in found.parameters.values() if each.name != "self"]
    result = _plain(inspect.formatannotation(found.return_annotation))
    whole = _plain(str(found.replace(parameters=shown, return_annotation=inspect.Signature.empty)))
    if len(line := f"{name}{whole} -> {result}") <= _WIDTH:
        return line
    lines: list[str] = []
    for each in shown:
        if each.kind is each.KEYWORD_ONLY and "*," not in lines:
            lines.append("*,")
        lines.append(f"{_plain(str(each))},")
    return "\n".join([f"{name}(", *(f"    {line}" for line in lines), f") -> {result}"])


def _plain(text: str) -> str:
    """Types without the modules that they are from."""
    text = re.sub(r"'((?:\w+\[)?[A-Z]\w*\]?)'", r"\1", text)  # names that are only imported for type checkers
    text = re.sub(r"Optional\[(Literal\[[^]]*\])\]", r"\1 | None", text)  # as newer Pythons say it
    return re.sub(r"(?:\b(?!threading)[a-z_]+\.)+(?=[A-Z])", "", text)


def _types(kind: type) -> dict[str, str]:
    if not dataclasses.is_dataclass(kind):
        return {}
    return {
        each.name: _plain(inspect.formatannotation(each.type))
        for each in dataclasses.fields(kind)
        if each.name in _ATTRIBUTES.get(kind.__name__, {each.name}) and not each.name.startswith("_")
    }


def _attributes(kind: type) -> list[str]:
    """A line for each attribute, with what the class or its base says of it."""
    told: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        told.update(_items(_sections(inspect.cleandoc(each.__doc__ or "")).get("Attributes", [])))
    return [f"- `{name}: {type_}`{_said(told.get(name))}" for name, type_ in _types(kind).items()]


def _sections(docstring: str) -> dict[str, list[str]]:
    """The lines of a docstring by section; those without one are under the empty name."""
    blocks: dict[str, list[str]] = {"": []}
    section = ""
    for line in docstring.splitlines():
        head = line.removesuffix(":")
        section = head if line.endswith(":") and head in _SECTIONS else "" if line and line[0] != " " else section
        blocks.setdefault(section, [])
        if head != section or not section:
            blocks[section].append(line)
    return blocks


def _text(docstring: str, attributes: list[str]) -> str:
    """A docstring as Markdown, with these lines for its attributes."""
    blocks = _sections(docstring)
    blocks.pop("Attributes", None)
    parts = [re.sub(r"\n{3,}", "\n\n", "\n".join(blocks.pop("")).strip())]
    if attributes:
        parts.append("\n".join(attributes))
    for name, lines in blocks.items():
        intro = "Raises:\n\n" if name == "Raises" else ""
        parts.append(intro + "\n".join(f"- `{item}`: {text}" for item, text in _items(lines)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _said(text: str | None) -> str:
    return f": {text}" if text else ""


def _items(lines: list[str]) -> Iterator[tuple[str, str]]:
    """`name: text` entries, each with the lines that go on with it."""
    for entry in re.split(r"\n(?=\S)", inspect.cleandoc("\n".join(lines))):
        if entry.strip():
            name, _, text = entry.partition(":")
            yield name, " ".join(text.split())


def _errors() -> str:
    kinds = [getattr(fetcher, name) for name in fetcher.__all__]
    errors = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, fetcher.FetcherError)]
    said = {kind: (inspect.getdoc(kind) or "").splitlines()[0] for kind in errors}
    rows = [
        f"| `{kind.__name__}` | `{kind.__mro__[1].__name__}` | {kind.exit_code} | {said[kind]} |"
        for kind in sorted(errors, key=lambda kind: (kind.exit_code, kind.__name__))
    ]
    head = "| class | base | exit code | what it means |\n|---|---|---|---|\n"
    return f"### Errors\n\n{head}" + "\n".join(rows) + "\n"


def page() -> str:
    """The page with its reference written anew."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0] + f"{MARK}\n{reference()}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
