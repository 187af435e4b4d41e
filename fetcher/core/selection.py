"""Which files of a snapshot a model takes.  Pure.

Patterns mean what they mean to `modelscope download --include` and `hf download`: shell
patterns, case-sensitive, against the whole path; `*` crosses `/`; a trailing `/` means
everything below.  Exclude beats include; a name in `files` beats exclude.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from re import Pattern, compile

from fetcher.core.hints import closest
from fetcher.core.interfaces import RemoteFile
from fetcher.core.manifest import Requested
from fetcher.core.paths import RepoPath
from fetcher.errors import IntegrityError, NotFoundError

_SHOWN = 10  # names in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The files taken, sorted by path, and the patterns that matched nothing."""

    files: tuple[RemoteFile, ...]
    idle_patterns: tuple[str, ...]


def select(offered: Sequence[RemoteFile], requested: Requested, *, model: str) -> Selection:
    """Apply a model's patterns and names to a snapshot.

    Raises:
        NotFoundError: A name in `files` does not exist, or no file is left.
        IntegrityError: Something is chosen that is no file.
    """
    by_path = {file.path: file for file in offered}
    _require_files(requested.files, by_path, model=model)
    includes = _compiled(requested.include)
    excludes = _compiled(requested.exclude)
    everything = not requested.include and not requested.files
    taken: dict[RepoPath, RemoteFile] = {RepoPath(name): by_path[RepoPath(name)] for name in requested.files}
    used: set[str] = set()
    for path, file in by_path.items():
        hits = _matching(includes, path)
        drops = _matching(excludes, path)
        used.update(hits, drops)
        if (everything or hits) and not drops:
            taken[path] = file
    if not taken:
        _nothing_left(by_path, requested, model=model)
    _refuse_obstacles(taken.values(), model=model)
    idle = tuple(p for p in (*requested.include, *requested.exclude) if p not in used)
    return Selection(files=tuple(sorted(taken.values(), key=lambda file: file.path)), idle_patterns=idle)


def _compiled(patterns: Iterable[str]) -> list[tuple[str, Pattern[str]]]:
    return [(p, compile(translate(p + "*" if p.endswith("/") else p))) for p in patterns]


def _matching(patterns: list[tuple[str, Pattern[str]]], path: str) -> list[str]:
    return [text for text, pattern in patterns if pattern.match(path)]


def _require_files(names: Sequence[str], offered: Iterable[str], *, model: str) -> None:
    known = set(offered)
    missing = [name for name in names if name not in known]
    if not missing:
        return
    facts = []
    for name in missing:
        near = closest(name, sorted(known))
        facts.append(f"missing: {name}" + (f" (closest: {', '.join(near)})" if near else ""))
    raise NotFoundError(
        f"{model}: {len(missing)} of the names in `files` do not exist upstream.",
        facts=facts,
        fix=f"correct `files` of [models.{model}] in models.toml",
    )


def _refuse_obstacles(taken: Iterable[RemoteFile], *, model: str) -> None:
    """What is no file is refused by name, not left out in silence: a model without it may not run."""
    facts = sorted(f"{file.path}: {file.obstacle}" for file in taken if file.obstacle)
    if facts:
        more = [f"and {len(facts) - _SHOWN} more"] if len(facts) > _SHOWN else []
        raise IntegrityError(
            f"{model}: {len(facts)} of the chosen names cannot be taken.",
            facts=[*facts[:_SHOWN], *more],
            fix=f"add them to `exclude` of [models.{model}] in models.toml",
        )


def _nothing_left(offered: Iterable[str], requested: Requested, *, model: str) -> None:
    paths = sorted(offered)
    near = sorted({hit for pattern in requested.include for hit in closest(pattern, paths)})
    facts = [
        f"include: {', '.join(requested.include) or 'everything'}",
        f"exclude: {', '.join(requested.exclude) or 'nothing'}",
        f"files upstream: {len(paths)}, such as {', '.join((near or paths)[:5])}",
    ]
    raise NotFoundError(
        f"{model}: no file is left after include and exclude.",
        facts=facts,
        fix=f"correct the patterns of [models.{model}] in models.toml",
    )
