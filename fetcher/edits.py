"""`fetcher add` and `remove`: models.toml edited, and with it the sections of models.lock that it is about.

Promises (tests/cli/test_editing.py, tests/formats/test_manifest_edit.py):
  * models.toml keeps every other byte, models.lock every other section;
  * where anything fails, models.toml and models.lock stay as they were;
  * killed between the two files, the same command does the rest: models.lock is written first;
  * what somebody else has written meanwhile is not overwritten.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fetcher.core.choice import unknown_models
from fetcher.core.manifest import FOLDER
from fetcher.core.paths import ModelName
from fetcher.core.preview import Preview
from fetcher.disk.atomic import write_atomic
from fetcher.errors import BusyError, ConfigError, FetcherError
from fetcher.formats.manifest_edit import default_groups, entry_names, with_entry, without_default_groups, without_entry
from fetcher.formats.manifest_entry import Entry
from fetcher.oneoff import Named, name_of, named, own_words
from fetcher.own_git import own_git
from fetcher.project import Project
from fetcher.results import LockChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is to be written.

    Attributes:
        names: Of the entries that are new or gone.
        text: All of models.toml.
        change: Of models.lock.
        dropped_groups: Taken out of `default-groups`, because no model is in them any more.
    """

    names: tuple[ModelName, ...]
    text: str
    change: LockChange
    dropped_groups: tuple[str, ...] = ()


class Editor:
    """Edits one project's models.toml as it was when this was made.

    Raises:
        ConfigError: It is no UTF-8 text.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._file = project.manifest_path.name
        self._manifest = _content(project.manifest_path)
        self._lock = _content(project.lock_path)
        try:
            self._text = (self._manifest or b"").decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{self._file} is not UTF-8 text.", fix=f"save {self._file} as UTF-8") from None

    def preview(self, entry: Entry) -> Preview:
        """Which files an entry would take.  Asks the source for a listing; writes nothing.

        Raises:
            FetcherError: As `add`.
        """
        with own_words(), self._unchanged():
            project = self._project.with_manifest(self._with(entry))
            return project.preview(ModelName(entry.name))

    def add(self, entry: Entry) -> Edit:
        """An entry more, locked.  Asks the source; writes nothing.

        Raises:
            ConfigError: There is one of that name, or it says what no models.toml may say.
            FetcherError: The source does not have it, does not answer, wants a token or lies.
        """
        with own_words(), self._unchanged():
            text = self._with(entry)
            project = self._project.with_manifest(text)
            name = ModelName(entry.name)
            change = project.resolve_only(name)
        return Edit(names=(name,), text=text, change=change)

    def remove(self, names: Sequence[str]) -> Edit:
        """Entries fewer, with their sections of the lock.  Asks nobody; writes nothing.

        Raises:
            ConfigError: There is none of that name.
        """
        known = entry_names(self._text) or list(self._project.manifest.models)  # which says what is wrong with it
        unknown = [name for name in names if name not in known]
        if unknown:
            raise unknown_models(unknown, known)
        gone = tuple(ModelName(name) for name in dict.fromkeys(names))
        text = self._text
        for name in gone:
            text = without_entry(text, name, file=self._file)
        dropped = self._empty_groups(text)
        if dropped:
            text = without_default_groups(text, dropped, file=self._file)
        change = self._project.with_manifest(text).without(gone)
        return Edit(names=gone, text=text, change=change, dropped_groups=dropped)

    def save(self, edit: Edit) -> None:
        """Write both files.

        Raises:
            BusyError: One of them has changed since this was made.
            DiskError: The disk refuses.
        """
        for path, before in ((self._project.manifest_path, self._manifest), (self._project.lock_path, self._lock)):
            if _content(path) != before:
                raise BusyError(f"{path.name} has changed while this ran.", fix="run the same command again")
        if edit.change.differs:
            write_atomic(self._project.lock_path, edit.change.text.encode("utf-8"), within=self._project.root)
        write_atomic(self._project.manifest_path, edit.text.encode("utf-8"))

    def unignored(self, edit: Edit) -> list[str]:
        """The targets of new entries that git would take into a commit, if the project is in a repository."""
        models = self._project.with_manifest(edit.text).manifest.models
        targets = [models[name].target for name in edit.names if name in models]
        near = [target for target in targets if target and not os.path.isabs(target)]
        return [target for target in near if self._would_take(target)]

    def _would_take(self, target: str) -> bool:
        try:  # with a file in it, as a pattern such as `/data/` is about folders
            done = own_git(self._project.root, "check-ignore", "-q", "--", f"{target}/file")
        except ConfigError:
            return False
        return done.returncode == 1  # 0: ignored; 128: no repository

    def _with(self, entry: Entry) -> str:
        there = self._project.manifest.models.get(ModelName(entry.name)) if _is_name(entry.name) else None
        if there is None:
            return with_entry(self._text, entry, file=self._file)
        fix = f"edit its entry, or give the new one another name: --name {_free(entry.name, self._project)}"
        if str(there.source) == entry.source:
            fix = f"run `fetcher update {entry.name}` to move its pin; edit its entry to take other files"
        raise ConfigError(f"{self._file} has a model {entry.name} already.", facts=[f"source: {there.source}"], fix=fix)

    def _empty_groups(self, text: str) -> tuple[str, ...]:
        """The names in `default-groups` of groups in which no model is any more."""
        named = default_groups(text)
        if not named:
            return ()
        rest = self._project.with_manifest(without_default_groups(text, named, file=self._file)).manifest.models
        there = {group for spec in rest.values() for group in spec.groups}
        return tuple(group for group in dict.fromkeys(named) if group not in there)

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Let errors say that nothing was written: their lines may be those of the new text."""
        try:
            yield
        except FetcherError as error:
            error.facts = (*error.facts, f"{self._file} was not changed")
            raise


def source_in(text: str, *, here: Path, root: Path) -> Named:
    """What a person who works in a folder means by a text on the command line.

    Args:
        text: As `oneoff.named` takes it, or a folder that begins with `./`, `../` or `/`.
        here: The folder that a relative one is seen from.
        root: The project's, which the result is relative to where it lies in it or beside it.

    Raises:
        ConfigError: It is no source.
    """
    if not (text in (".", "..") or text.startswith(("./", "../", "/"))):
        return named(text)
    folder = os.path.normpath(here / text)
    if not os.path.isabs(text):
        folder = os.path.relpath(folder, root)
    return named(f"{FOLDER}:{Path(folder).as_posix()}")


def named_entry(entry: Entry, source: Named, project: Project) -> Entry:
    """The entry with its source, and a name if it has none."""
    whole = replace(entry, source=str(source.source), name=entry.name or name_of(source.source))
    return replace(whole, revision=entry.revision or source.revision, files=(*source.files, *entry.files))


def _is_name(text: str) -> bool:
    try:
        return bool(ModelName(text))
    except ValueError:
        return False


def _free(name: str, project: Project) -> str:
    number = 2
    while f"{name}-{number}" in project.manifest.models:
        number += 1
    return f"{name}-{number}"


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}.", fix=f"check {path}") from None
