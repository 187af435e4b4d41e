"""models.lock with conflict markers: the two sides of it, and what they give together.

What git left between markers differs; what stands outside is in both sides.  Each side is
read section by section, so that one that cannot be read costs no other.

Promises (tests/formats/test_conflict.py; under real git, tests/test_git_merge.py):
  * both styles of markers are read, with the base between them (diff3) and without;
  * markers that do not pair are an error, not a guess.
"""

import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass

from fetcher.core.lock import Lock, LockedModel
from fetcher.core.lockmerge import Verdict, merge_sides
from fetcher.core.manifest import Manifest
from fetcher.errors import ConfigError, FetcherError
from fetcher.formats.lock_lines import HEADER
from fetcher.formats.lock_toml import LockText, read_lock, refuse_other_version, split_lock

_MARKER = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: |$)")  # longer ones are of a merge within a merge (git-merge-file)
_BEGIN = re.compile(r"^<{7}(?: |$)", re.MULTILINE)
_NEXT = {"": "<", "<": "|=", "|": "=", "=": ">"}  # after which marker which may come


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The lock to go on from, and how each model came into it."""

    text: LockText
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideText:
    """One side: its models (None cannot be read) and the text of their sections."""

    head: str
    foreign: str
    sections: dict[str, str]
    models: dict[str, LockedModel | None]


def has_markers(text: str) -> bool:
    """Whether git left a conflict in it."""
    return bool(_BEGIN.search(text))


def merge_conflict(text: str, manifest: Manifest, *, file: str) -> Merged:
    """Merge a lock with conflict markers, model by model.

    Raises:
        ConfigError: Markers that do not pair; a side of a newer version.
    """
    ours, theirs = (read_side(side, file=file) for side in sides_of(text, file=file))
    verdicts = tuple(merge_sides(manifest, ours.models, theirs.models))
    models, sections = {}, {}
    for verdict in verdicts:
        side = theirs if verdict.taken == "theirs" else ours
        model = None if verdict.taken == "anew" else side.models[verdict.name]
        if model is not None:
            models[model.name] = model
            sections[verdict.name] = side.sections[verdict.name]
    foreign = ours.foreign or theirs.foreign
    merged = LockText(lock=Lock(models=models), head=ours.head, sections=sections, foreign=foreign)
    return Merged(text=merged, verdicts=verdicts)


def sides_of(text: str, *, file: str) -> tuple[str, str]:
    """The text of our side and of theirs.

    Raises:
        ConfigError: The markers do not pair.
    """
    ours: list[str] = []
    theirs: list[str] = []
    state = ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        match = _MARKER.match(line)
        if match and (state != "|" or match[1][0] == "="):
            if match[1][0] not in _NEXT[state]:
                raise _unpaired(number, file)
            state = match[1][0].replace(">", "")
            continue
        if state in ("", "<"):
            ours.append(line)
        if state in ("", "="):
            theirs.append(line)
    if state:
        raise _unpaired(text.count("\n") + 1, file)
    return "".join(ours), "".join(theirs)


def read_side(text: str, *, file: str) -> SideText:
    """Read a lock section by section.

    Raises:
        ConfigError: Written by a newer fetcher.
    """
    head, sections, foreign = split_lock(text)
    with suppress(tomllib.TOMLDecodeError):  # a head that nobody can read is written anew
        refuse_other_version(tomllib.loads(head), text, file=file)
    models = {name: _alone(name, section, file) for name, section in sections.items()}
    return SideText(head=head, foreign=foreign, sections=sections, models=models)


def _alone(name: str, section: str, file: str) -> LockedModel | None:
    try:
        found = read_lock(f"{HEADER}\n\n{section}\n", file=file).lock.models
    except FetcherError:
        return None
    return next((model for model in found.values() if model.name == name), None)


def _unpaired(line: int, file: str) -> ConfigError:
    return ConfigError(
        f"{file}, line {line}: the conflict markers do not pair.",
        fix=f"restore them with `git checkout --merge {file}`, then run `fetcher lock`",
    )
