"""The git repository around a project: the merge driver of its lock, set up and taken away.

git keeps drivers in the configuration of each clone, and which files they are for in
`.gitattributes`, which is committed.  What the driver does with three versions is formats/lock_merge.py.

Promises (tests/test_setup_git.py; merges with it, tests/test_git_merge.py):
  * set up twice is set up once, and removed leaves nothing of it;
  * a driver that cannot run, or dies, leaves the merge to git's own of lines: no side is lost.
"""

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from fetcher.disk.atomic import disk_errors, write_atomic
from fetcher.disk.lines import add_lines, take_line
from fetcher.errors import ConfigError
from fetcher.formats.lock_merge import Merged, merge_locks
from fetcher.own_git import own_git

MERGED, CONFLICT = "merged", "conflict"  # what the command says to the driver; anything else is a failure
_DRIVER = "fetcher"
_SECTION = f"merge.{_DRIVER}"
_GLOB = re.compile(r"[\\*?\[]")

# git runs this by its sh.  Only a word counts: an interpreter that fails has the exit code of a conflict.
_COMMAND = (
    'p={python}; if test -x "$p"; then set -- "$p" -P -m fetcher; else set -- fetcher; fi; '
    'case "$("$@" git-merge --marker-size %L --name %P -- %O %A %B)" in '
    f"{MERGED}) exit 0;; {CONFLICT}) exit 1;; esac; "
    "exec git merge-file --marker-size=%L -L ours -L base -L theirs -- %A %O %B"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """How the merge driver stands.

    Attributes:
        attributes: The file with the line that names it.
        changed: Whether anything was not so before.
    """

    attributes: Path
    changed: bool


def set_up_driver(lock: Path) -> Driver:
    """Have git merge this lock model by model, in this clone.

    Raises:
        ConfigError: No git, no repository, or attributes elsewhere say something else.
        DiskError: `.gitattributes` cannot be written.
    """
    wanted = {
        f"{_SECTION}.name": "models.lock, model by model",
        f"{_SECTION}.driver": _COMMAND.format(python=shlex.quote(sys.executable).replace("%", "%%")),
    }
    folder = lock.parent
    _require_repository(folder)
    stale = {key: value for key, value in wanted.items() if _git(folder, "config", "--local", key) != value}
    for key, value in stale.items():
        _git(folder, "config", "--local", "--replace-all", key, value, must=True)
    attributes = folder / ".gitattributes"
    added = add_lines(attributes, (attribute_line(lock.name),))
    _require_effect(lock)
    return Driver(attributes=attributes, changed=bool(stale) or added)


def remove_driver(lock: Path) -> Driver:
    """Have git merge this lock by lines again.

    Raises:
        ConfigError: No git, or no repository.
        DiskError: `.gitattributes` cannot be written.
    """
    folder = lock.parent
    _require_repository(folder)
    was_set = _git(folder, "config", "--local", "--get-regexp", rf"^{re.escape(_SECTION)}\.") != ""
    if was_set:
        _git(folder, "config", "--local", "--remove-section", _SECTION, must=True)
    attributes = folder / ".gitattributes"
    taken = take_line(attributes, attribute_line(lock.name))
    return Driver(attributes=attributes, changed=was_set or taken)


def merge_files(base: Path, ours: Path, theirs: Path, *, marker_size: int) -> Merged | None:
    """Merge three versions of a lock into the file of ours; None, and nothing written, where git has to do it.

    Raises:
        DiskError: A file cannot be read or written.
    """
    texts = []
    for path in (base, ours, theirs):
        with disk_errors(path):
            data = path.read_bytes()
        try:
            texts.append(data.decode("utf-8"))
        except UnicodeDecodeError:
            return None
    merged = merge_locks(*texts, marker_size=marker_size)
    if merged is not None:
        write_atomic(ours, merged.text.encode("utf-8"))
    return merged


def attribute_line(name: str) -> str:
    """The line of `.gitattributes` beside a lock (gitattributes(5); a name with spaces is quoted as in C)."""
    pattern = "/" + _GLOB.sub(r"\\\g<0>", name)
    if re.search(r"[\s\"]", pattern):
        escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
        pattern = f'"{escaped}"'
    return f"{pattern} merge={_DRIVER}"


def _require_repository(folder: Path) -> None:
    if _git(folder, "rev-parse", "--is-inside-work-tree") != "true":
        raise ConfigError(f"{folder} is in no git repository.", fix="run `git init`, or name the folder with -C")


def _require_effect(lock: Path) -> None:
    said = _git(lock.parent, "check-attr", "-z", "merge", "--", lock.name, must=True)  # NAME, merge, its driver
    driver = said.split("\0")[2]
    if driver != _DRIVER:
        raise ConfigError(
            f"git's attributes give {lock.name} another merge driver.",
            facts=[f"merge: {driver}"],
            fix=f"take that line out of .gitattributes or .git/info/attributes: `git check-attr merge -- {lock.name}`",
        )


def _git(folder: Path, *words: str, must: bool = False) -> str:
    """What git answers, without the line break; empty if it fails.

    Raises:
        ConfigError: There is no git; or it fails though it must not.
    """
    done = own_git(folder, *words)
    if must and done.returncode:
        raise ConfigError(
            f"git could not {words[0]}.",
            facts=[f"git: {_text(done.stderr).strip()}"],
            fix="correct that, then run it again",
        )
    return _text(done.stdout).removesuffix("\n") if done.returncode == 0 else ""


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace")
