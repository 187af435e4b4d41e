"""models.lock: text to `Lock` and back (design 3).

The text is a function of the lock alone: the same pins give the same bytes everywhere.  One
line a file and sections sorted by name let git merge the work of two people on two models;
a section that did not change keeps its bytes, so that keys of a newer fetcher survive.  The
seal of a section changes with anything in it, so that two changes of one model conflict; the
last line never changes, so that git tells a model added at the end from a change above it.

A `tree` or `seal` that does not fit is no error here: core.lock.staleness reports it.

Promises (tests/formats/test_lock_toml.py; of merges, tests/formats/test_lock_merge.py):
  * reading what was written gives the same lock, and writing it again the same bytes;
  * whatever a lock says, its paths are safe, without twins, and its sizes possible;
  * a clean git merge of two locks pins what both changes say, or is refused when read.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import tomli_w

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import UNKNOWN, Lock, LockedFile, LockedModel, PinnedSource, seal_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath, refuse_twins
from fetcher.errors import ConfigError, FetcherError, IntegrityError
from fetcher.formats.lock_lines import END, HEADER, VERSION, ModelKeys, RequestedKeys, read_lines
from fetcher.formats.problems import newer_version
from fetcher.formats.toml_text import header_path, line_of, outline, parse_toml, show_path

MAX_SIZE = 2**63 - 1  # bytes; what a file offset can be (POSIX off_t)

_Given = TypeVar("_Given")
_Parsed = TypeVar("_Parsed")

_ROW = re.compile(r"sha256:([0-9a-f]{64}) (0|[1-9][0-9]{0,18})\Z")
_ROW_BUT_SIZE = re.compile(r"sha256:[0-9a-f]{64} [^ ]+\Z")
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"\\]*\Z")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_LICENSE = re.compile(r"[^\x00-\x1f\x7f]{1,200}\Z")
_MOMENT = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}Z\Z")
_FORMAT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_HEADER_LINE = re.compile(r"^[ \t]*\[[^\n]*", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockText:
    """A lock with the text it was read from, so that a writer can keep what did not change.

    Attributes:
        sections: Text of each model's tables, without line breaks at its end.
        head: What precedes the first table.
        foreign: Tables at the top that this version does not know.
    """

    lock: Lock
    sections: Mapping[str, str] = field(default_factory=dict)
    head: str = HEADER
    foreign: str = ""


def read_lock(text: str, *, file: str) -> LockText:
    """Read models.lock.

    Args:
        file: The file's name, for errors.

    Raises:
        ConfigError: Not TOML, conflict markers, a newer version, a line that is not as it should be.
        IntegrityError: A path that is unsafe, twins, a size that cannot be.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found = read_lines(text)
    if found is None:
        found = _read_any(text, file=file)
    models = {}
    for name in sorted(found):
        model = _model(name, found[name], text, file=file)
        models[model.name] = model
    head, sections, foreign = split_lock(text)
    return LockText(lock=Lock(models=models), head=head, sections=sections, foreign=foreign)


def _read_any(text: str, *, file: str) -> dict[str, ModelKeys]:
    """The models of a lock that somebody has edited, or another version written."""
    from fetcher.formats.lock_tables import read_tables  # pydantic: the usual lock is read without it

    data = parse_toml(
        text,
        file=file,
        conflict_fix="run `fetcher lock`, which merges it model by model",
        twice_fix="take one of the two sections away, then run `fetcher lock`",
    )
    refuse_other_version(data, text, file=file)
    return read_tables(data, text, file=file)


def refuse_other_version(data: dict[str, Any], text: str, *, file: str) -> None:
    """Raise a ConfigError for a lock whose format this version does not know."""
    version = data.get("version")
    if type(version) is not int or version == VERSION:
        return
    if version > VERSION:
        raise newer_version(version, text, file=file, known=VERSION)
    raise ConfigError(
        f"{file}, line {line_of(text, ['version'])}: `version` is {version}, which never existed.",
        facts=[f"expected: version = {VERSION}"],
        fix=f"remove {file} and run `fetcher lock`",
    )


def _requested_of(keys: RequestedKeys) -> Requested:
    """As a core value.

    Raises:
        ValueError: `addresses` is no digest.
    """
    return Requested(
        revision=keys.revision,
        include=keys.include,
        exclude=keys.exclude,
        files=keys.files,
        addresses=None if keys.addresses is None else Sha256.parse(keys.addresses),
    )


def _model(name: str, keys: ModelKeys, text: str, *, file: str) -> LockedModel:
    here = _Place(text=text, file=file, section=("models", name))
    try:
        safe_name = ModelName(name)
    except ValueError as error:
        raise here.integrity((), error) from None
    files = _files(keys.files, here)
    return LockedModel(
        name=safe_name,
        source=here.parsed(SourceRef.parse, keys.source, "source"),
        commit=here.parsed(Commit, keys.commit, "commit"),
        tree=here.parsed(Sha256.parse, keys.tree, "tree"),
        seal=None if keys.seal is None else here.parsed(Sha256.parse, keys.seal, "seal"),
        fallback=tuple(here.parsed(PinnedSource.parse, pin, "fallback") for pin in keys.fallback),
        requested=here.parsed(_requested_of, keys.requested, "requested"),
        files=files,
        license=None if keys.license is None else here.parsed(_license, keys.license, "license"),
        committed=None if keys.committed is None else here.parsed(_committed, keys.committed, "committed"),
        formats=here.parsed(lambda rows: _formats(rows, files), keys.formats, "formats") if keys.formats else {},
    )


def _license(text: str) -> str:
    if not _LICENSE.match(text):
        raise ValueError("expected a licence of 1 to 200 characters on one line")
    return text


def _committed(text: str) -> str:
    if text != UNKNOWN and not _MOMENT.match(text):
        raise ValueError("expected a time such as 2024-05-31T12:00:00Z")
    return text


def _formats(rows: Mapping[str, str], files: Iterable[LockedFile]) -> dict[RepoPath, str]:
    """Sorted by path.

    Raises:
        ValueError: A word that is none, or a path that is not one of the files.
    """
    found = {file.path: rows[file.path] for file in files if file.path in rows}
    if len(found) != len(rows):
        raise ValueError(f"{min(rows.keys() - found.keys())[:120]!r} is not one of the files")
    for path, word in found.items():
        if not _FORMAT.match(word):
            raise ValueError(f"{word[:120]!r} is not a format ({path})")
    return found


def _files(rows: Mapping[str, str], here: "_Place") -> tuple[LockedFile, ...]:
    files = []
    for path in sorted(rows):
        match = _ROW.match(rows[path])
        if not match or int(match[2]) > MAX_SIZE:
            raise here.bad_row(path, rows[path])
        try:
            files.append(LockedFile(path=RepoPath(path), sha256=Sha256(match[1]), size=int(match[2])))
        except ValueError as error:
            raise here.integrity(("files", path), error) from None
    try:
        refuse_twins(rows)
    except ValueError as error:
        raise here.integrity(("files",), error) from None
    return tuple(files)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A section of a file, for errors; lines are looked up only when there is one."""

    text: str
    file: str
    section: tuple[str, ...]

    def parsed(self, parse: Callable[[_Given], _Parsed], value: _Given, key: str) -> _Parsed:
        """What `parse` makes of a key's value, its ValueError as a ConfigError."""
        try:
            return parse(value)
        except ValueError as error:
            raise ConfigError(
                f"{self._at((key,))} is not as `fetcher lock` writes it.",
                facts=[f"reason: {error}"],
                fix=f"restore {self.file} from git, or remove the section and run `fetcher lock`",
            ) from None

    def bad_row(self, path: str, row: str) -> FetcherError:
        """The error for a line of `files` that cannot be read."""
        if _ROW_BUT_SIZE.match(row):
            return IntegrityError(
                f"{self._at(('files', path))} has a size that cannot be.",
                facts=[f"got: {row[72:][:80]!r}", f"expected: bytes as a plain number, at most {MAX_SIZE}"],
                fix=f"restore {self.file} from git; find out who wrote this line",
            )
        return ConfigError(
            f"{self._at(('files', path))} is not as `fetcher lock` writes it.",
            facts=[f"got: {row[:120]!r}", "expected: `sha256:`, 64 hex digits, a space and the size in bytes"],
            fix=f"restore {self.file} from git, or remove the section and run `fetcher lock`",
        )

    def integrity(self, path: tuple[str, ...], error: ValueError) -> IntegrityError:
        """The error for names that must not reach a disk."""
        return IntegrityError(
            f"{self._at(path)} is not safe.",
            facts=[f"reason: {error}"],
            fix=f"restore {self.file} from git; find out who wrote this line",
        )

    def _at(self, path: tuple[str, ...]) -> str:
        full = (*self.section, *path)
        return f"{self.file}, line {line_of(self.text, full)}: `{show_path(full)}`"


def split_lock(text: str) -> tuple[str, dict[str, str], str]:
    """Cut the text into its head, the models' sections and other tables at the top; without the last line."""
    shape = outline(text)
    starts = [
        (_with_comments(shape, match.start()), path)
        for match in _HEADER_LINE.finditer(shape)
        if (path := header_path(match[0]))
    ]
    ends = [*(start for start, _ in starts), len(text)][1:]
    sections: dict[str, str] = {}
    foreign = ""
    for (start, path), end in zip(starts, ends, strict=True):
        piece = text[start:end]
        if path[0] != "models":
            foreign += piece
        elif len(path) > 1:
            sections[path[1]] = sections.get(path[1], "") + piece
    head = text[: starts[0][0]] if starts else text
    return _without_end(head), {name: _without_end(pieces) for name, pieces in sections.items()}, _without_end(foreign)


def _without_end(text: str) -> str:
    return text.strip("\n").removesuffix(f"\n{END}").rstrip("\n")


def _with_comments(text: str, start: int) -> int:
    """Where the comment lines right above a header begin: they speak of what follows."""
    while start:
        above = text.rfind("\n", 0, start - 1) + 1
        if not text.startswith("#", above):
            break
        start = above
    return start


def write_lock(lock: Lock, previous: LockText | None) -> str:
    """The text of a lock; sections equal to those of `previous` keep its bytes."""
    old = previous or LockText(lock=Lock())
    return _text(old, [_kept(lock.models[name], old) or _section(lock.models[name]) for name in sorted(lock.models)])


def write_sections(previous: LockText | None, changes: Mapping[ModelName, LockedModel | None]) -> str:
    """The text of a lock in which some sections are new or gone; all others keep their bytes, right or wrong.

    Args:
        changes: The section of each NAME; None is none any more.
    """
    old = previous or LockText(lock=Lock())
    sections = {name: section for name, section in old.sections.items() if name not in changes}
    sections |= {name: _kept(model, old) or _section(model) for name, model in changes.items() if model}
    return _text(old, [sections[name] for name in sorted(sections)])


def _text(old: LockText, sections: Iterable[str]) -> str:
    foreign = [old.foreign] if old.foreign else []
    return "\n\n".join([_head(old), *sections, *foreign, END]) + "\n"


def _head(old: LockText) -> str:
    """The head with the keys that this version does not know, if it can stand alone."""
    try:
        data = tomllib.loads(old.head)
    except tomllib.TOMLDecodeError:
        return HEADER
    return old.head if data.get("version") == VERSION and "models" not in data else HEADER


def _kept(model: LockedModel, old: LockText) -> str | None:
    """The bytes of a section that says the same, read alone, as the model; None when it is to be written anew.

    A section without a seal is kept: an older fetcher wrote it, and its bytes are right.
    """
    section = old.sections.get(model.name)
    if section is None:
        return None
    if section == _section(model):
        return section
    try:
        alone = read_lock(f"{HEADER}\n\n{section}\n", file="models.lock").lock
    except FetcherError:
        return None
    if alone.models != {model.name: model} or not alone.models[model.name].seal_is_right():
        return None
    return section


def _section(model: LockedModel) -> str:
    name = model.name if _BARE_KEY.match(model.name) else _quote(model.name)
    lines = [
        f"[models.{name}]",
        f"source = {_quote(str(model.source))}",
        f"commit = {_quote(model.commit)}",
        f"tree = {_quote(model.tree.prefixed)}",
        f"seal = {_quote(seal_of(model).prefixed)}",
    ]
    if model.fallback:
        lines.append(f"fallback = {_array(map(str, model.fallback))}")
    if model.license is not None:
        lines.append(f"license = {_quote(model.license)}")
    if model.committed is not None:
        lines.append(f"committed = {_quote(model.committed)}")
    lines += ["", f"[models.{name}.requested]", *_requested(model.requested), "", f"[models.{name}.files]"]
    files = sorted(model.files, key=lambda file: file.path)  # code points sort as their UTF-8 bytes do
    lines += [f'{_quote(file.path)} = "sha256:{file.sha256} {file.size}"' for file in files]
    if model.formats:
        lines += ["", f"[models.{name}.formats]"]
        lines += [f"{_quote(path)} = {_quote(model.formats[path])}" for path in sorted(model.formats)]
    return "\n".join(lines)


def _requested(requested: Requested) -> Iterable[str]:
    if requested.revision is not None:
        yield f"revision = {_quote(requested.revision)}"
    for key, values in (("include", requested.include), ("exclude", requested.exclude), ("files", requested.files)):
        if values:
            yield f"{key} = {_array(values)}"
    if requested.addresses is not None:
        yield f"addresses = {_quote(requested.addresses.prefixed)}"


def _array(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_quote, values))}]"


def _quote(text: str) -> str:
    if _PLAIN.match(text):
        return f'"{text}"'
    return tomli_w.dumps({"text": text}).removeprefix("text = ").removesuffix("\n")
