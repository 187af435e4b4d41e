"""What was probably meant, for mistakes in models.toml that TOML or pydantic explain badly.

Pure: text and parsed TOML in, a word for the message out.  Nothing here decides whether a
manifest is right (manifest_toml.py does), and nothing here asks a hub.

Promises (tests/formats/test_mistakes.py; whole messages in test_bad_manifests.py):
  * a source that is suggested can be read, and holds no query, user or token of the text;
  * the address of a file is never taken for the page of a repository.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from fetcher.formats.pages import bare_repository, page_of
from fetcher.formats.problems import Problem
from fetcher.formats.toml_text import show_path

_LOCK_KEYS = {"tree": str, "commit": str, "files": dict}


def meant_source(text: str) -> str | None:
    """The source meant by `OWNER/NAME` or by the address of a repository's page; None for all else."""
    bare = bare_repository(text)
    page = page_of(text)
    return bare or (page.source if page else None)


def looks_like_lock(data: Mapping[str, Any]) -> bool:
    """Whether some model has what only a lock has: two of `tree`, `commit` and a table `files`."""
    return any(
        sum(isinstance(table.get(key), kind) for key, kind in _LOCK_KEYS.items()) >= 2
        for table in _models(data).values()
    )


def _models(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    models = data.get("models")
    pairs = models.items() if isinstance(models, dict) else ()
    return {name: table for name, table in pairs if isinstance(table, dict)}


def mend_dotted_names(problems: list[Problem], data: Mapping[str, Any], *, keys: Set[str]) -> list[Problem]:
    """Replace what is said of `[models.qwen2.5]`, a table in a table, by the one thing that is wrong.

    Args:
        problems: What was found.
        data: The manifest as TOML reads it.
        keys: The keys that a model may have.
    """
    tables = _models(data)
    dotted = [path for name, table in tables.items() for path in _dotted_names(name, table, keys)]
    inner = {path[:3] for path in dotted}
    hollow = {path[:2] for path in dotted if not keys & tables[path[1]].keys()}
    kept = [
        problem
        for problem in problems
        if problem.path[:3] not in inner and not (problem.path[2:] == ("source",) and problem.path[:2] in hollow)
    ]
    return kept + [_needs_quotes(path) for path in dotted]


def _dotted_names(name: str, model: Mapping[str, Any], keys: Set[str]) -> Iterator[tuple[str, ...]]:
    """The tables in a model's table that look like a model: with a `source`, or in a table with no key of its own."""
    hollow = not keys & model.keys()
    waiting: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [(("models", name), model)]
    while waiting:
        above, table = waiting.pop()
        for key in table.keys() - keys:
            path, inner = (*above, key), table[key]
            if not isinstance(inner, dict):
                continue
            waiting.append((path, inner))
            if "source" in inner or (hollow and keys & inner.keys()):
                yield path


def _needs_quotes(path: tuple[str, ...]) -> Problem:
    header = f"[{show_path(('models', '.'.join(path[1:])))}]"
    return Problem(
        path=path,
        says=f"is a table in the table `{show_path(path[:-1])}`",
        facts=(f"expected: a name with a dot needs quotes: `{header}`",),
        fix=f"write `{header}`",
    )
