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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a model's wishes say about one path.

    Attributes:
        is_named: Whether `files` names it.
        everything: Whether a path is taken that no pattern is about.
        hits, drops: The patterns of include and of exclude that match it.
    """

    is_named: bool
    everything: bool
    hits: tuple[str, ...]
    drops: tuple[str, ...]

    @property
    def is_taken(self) -> bool:
        """Whether the model takes it."""
        return self.is_named or ((self.everything or bool(self.hits)) and not self.drops)

    @property
    def reason(self) -> str:
        """What decided, in words."""
        if self.is_named:
            return "`files` names it"
        if self.drops:
            return f"`exclude` has {self.drops[0]!r}"
        if self.hits:
            return f"`include` has {self.hits[0]!r}"
        return "everything is wanted that nothing excludes" if self.everything else "no `include` matches it"


class Chooser:
    """The wishes of a model, made ready to judge paths."""

    def __init__(self, requested: Requested) -> None:
        self._files = frozenset(requested.files)
        self._includes = _compiled(requested.include)
        self._excludes = _compiled(requested.exclude)
        self._everything = not requested.include and not requested.files

    def judge(self, path: str) -> Judgement:
        """What the wishes say about a path from the repository's root."""
        return Judgement(
            is_named=path in self._files,
            everything=self._everything,
            hits=_matching(self._includes, path),
            drops=_matching(self._excludes, path),
        )


def select(offered: Sequence[RemoteFile], requested: Requested, *, model: str) -> Selection:
    """Apply a model's patterns and names to a snapshot.

    Raises:
        NotFoundError: A name in `files` does not exist, or no file is left.
        IntegrityError: Something is chosen that is no file.
    """
    by_path = {file.path: file for file in offered}
    _require_files(requested.files, by_path, model=model)
    chooser = Chooser(requested)
    taken: dict[RepoPath, RemoteFile] = {}
    used: set[str] = set()
    for path, file in by_path.items():
        found = chooser.judge(path)
        used.update(found.hits, found.drops)
        if found.is_taken:
            taken[path] = file
    if not taken:
        _nothing_left(by_path, requested, model=model)
    _refuse_obstacles(taken.values(), model=model)
    idle = tuple(p for p in (*requested.include, *requested.exclude) if p not in used)
    return Selection(files=tuple(sorted(taken.values(), key=lambda file: file.path)), idle_patterns=idle)


def _compiled(patterns: Iterable[str]) -> list[tuple[str, Pattern[str]]]:
    return [(p, compile(translate(p + "*" if p.endswith("/") else p))) for p in patterns]


def _matching(patterns: list[tuple[str, Pattern[str]]], path: str) -> tuple[str, ...]:
    return tuple(text for text, pattern in patterns if pattern.match(path))


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
