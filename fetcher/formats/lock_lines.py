"""A lock that is as `fetcher lock` wrote it, read without a TOML parser and without pydantic.

Both take longer to load than a usual lock takes to read, and nearly every lock is one that
fetcher wrote.  Line by line in the one form that lock_toml.py writes, or not at all: whatever
is out of the ordinary (another order, an escape, a comment, a key of a newer fetcher) is None
here, and is read, or refused with its line, by lock_tables.py.  Values are not judged here.

Promise (tests/formats/test_lock_lines.py):
  * for any text: None, or exactly what tomllib and the pydantic tables make of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = 1
HEADER = f"# Written by `fetcher lock`. Commit this file; do not edit it.\nversion = {VERSION}"
END = "# End of the lock."

_LAST = f"\n\n{END}\n"
_TEXT = r'"[^"\\\x00-\x1f\x7f]*"'  # a TOML string in which every character means itself
_LIST = rf"\[{_TEXT}(?:, {_TEXT})*\]"
_HEAD = re.compile(
    rf"\n\n\[models\.(?P<name>[A-Za-z0-9_-]+|{_TEXT})\]\n"
    rf"source = (?P<source>{_TEXT})\n"
    rf"commit = (?P<commit>{_TEXT})\n"
    rf"tree = (?P<tree>{_TEXT})\n"
    rf"(?:seal = (?P<seal>{_TEXT})\n)?"
    rf"(?:fallback = (?P<fallback>{_LIST})\n)?"
    rf"(?:license = (?P<license>{_TEXT})\n)?"
    rf"(?:committed = (?P<committed>{_TEXT})\n)?"
    r"\n\[models\.(?P=name)\.requested\]\n"
    rf"(?:revision = (?P<revision>{_TEXT})\n)?"
    rf"(?:include = (?P<include>{_LIST})\n)?"
    rf"(?:exclude = (?P<exclude>{_LIST})\n)?"
    rf"(?:files = (?P<files>{_LIST})\n)?"
    rf"(?:addresses = (?P<addresses>{_TEXT})\n)?"
    r"\n\[models\.(?P=name)\.files\]\n"
)
_FILE = re.compile(rf"^({_TEXT}) = ({_TEXT})$", re.MULTILINE)
_ITEM = re.compile(_TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedKeys:
    """`[models.NAME.requested]` as it stands there."""

    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    addresses: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKeys:
    """`[models.NAME]` with its tables as they stand there; `files` and `formats` map a path to the text beside it."""

    source: str
    commit: str
    tree: str
    seal: str | None
    fallback: tuple[str, ...]
    requested: RequestedKeys
    files: Mapping[str, str]
    license: str | None
    committed: str | None
    formats: Mapping[str, str]


def read_lines(text: str) -> dict[str, ModelKeys] | None:
    """The models of a lock by their names; None where it is not exactly in the form of `fetcher lock`."""
    end = len(text) - len(_LAST)
    at = len(HEADER)
    if not text.startswith(HEADER) or not text.endswith(_LAST):
        return None
    models: dict[str, ModelKeys] = {}
    while at < end:
        head = _HEAD.match(text, at)
        if head is None:
            return None
        files, at = _rows(text, head.end())
        formats: dict[str, str] | None = {}
        table = f"\n\n[models.{head['name']}.formats]\n"
        if text.startswith(table, at):
            formats, at = _rows(text, at + len(table))
        name = head["name"].strip('"')
        if files is None or formats is None or name in models:
            return None
        models[name] = _keys(head, files, formats)
    return models if at == end else None


def _rows(text: str, start: int) -> tuple[dict[str, str] | None, int]:
    """The lines of a table from its first on, and where they end; None where one is out of the ordinary."""
    end = text.find("\n\n", start)
    lines = text[start:end]
    rows = {path[1:-1]: row[1:-1] for path, row in _FILE.findall(lines)}
    return (rows if len(rows) == lines.count("\n") + 1 else None), end


def _keys(head: re.Match[str], files: Mapping[str, str], formats: Mapping[str, str]) -> ModelKeys:
    requested = RequestedKeys(
        revision=_text(head["revision"]),
        include=_list(head["include"]),
        exclude=_list(head["exclude"]),
        files=_list(head["files"]),
        addresses=_text(head["addresses"]),
    )
    return ModelKeys(
        source=head["source"][1:-1],
        commit=head["commit"][1:-1],
        tree=head["tree"][1:-1],
        seal=_text(head["seal"]),
        fallback=_list(head["fallback"]),
        requested=requested,
        files=files,
        license=_text(head["license"]),
        committed=_text(head["committed"]),
        formats=formats,
    )


def _text(quoted: str | None) -> str | None:
    return None if quoted is None else quoted[1:-1]


def _list(quoted: str | None) -> tuple[str, ...]:
    return tuple(item[1:-1] for item in _ITEM.findall(quoted or ""))
