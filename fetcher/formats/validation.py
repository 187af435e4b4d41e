"""What pydantic found wrong in a TOML file, as the problems of problems.py.

Promises (tests/formats/test_bad_manifests.py compares each whole message):
  * an unknown key is told with the closest key that its table may have.
"""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from fetcher.core.hints import closest
from fetcher.formats.problems import Problem, Refused
from fetcher.formats.toml_text import show_path

_WORDS = {str: "a string", bool: "a boolean", int: "a whole number", float: "a number", list: "a list", dict: "a table"}
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "list_type": "a list of strings",
    "dict_type": "a table",
    "model_type": "a table",
}
_NO_KEYS = {"[key]", "[names]", "[addresses]", "[text]", "[table]"}  # pydantic's, and the tags of our unions


def problems_of(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """Translate what pydantic found in a table of the shape `root`."""
    return [_problem(details, root) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, root: type[BaseModel]) -> Problem:
    path = tuple(part for part in details["loc"] if part not in _NO_KEYS)
    kind = details["type"]
    refused = details.get("ctx", {}).get("error")
    if isinstance(refused, Refused):
        return Problem(path=path + refused.at, says=refused.says, facts=refused.facts, fix=refused.fix)
    if kind == "extra_forbidden":
        return _unknown_key(path, root)
    if kind == "missing":
        return Problem(path=path, says="is missing", fix=_addition(path, root))
    if kind == "literal_error":
        expected = details["ctx"]["expected"].replace("'", "`")
        return Problem(
            path=path,
            says="has another value than those allowed",
            facts=(f"expected: {expected}",),
            fix=f"write {expected}",
        )
    return _wrong_type(path, kind, details["input"], root)


def _wrong_type(path: tuple[str | int, ...], kind: str, value: Any, root: type[BaseModel]) -> Problem:
    expected = _EXPECTED.get(kind, "another value")
    key = next(part for part in reversed(path) if isinstance(part, str))
    fix = f"write {expected} for `{key}`"
    if kind == "list_type" and isinstance(value, str) and "@" not in value:  # before an `@` may stand a token
        fix = f"write `{key} = [{json.dumps(value[:80], ensure_ascii=False)}]`"
    elif path == ("version",):
        fix = "write `version = 1`"
    elif expected == "a string" and not isinstance(value, (bool, list, dict)):
        fix = "put the value into quotes"
    elif expected == "a table":
        fix = _table_line(path, root)
    says = f"is {_WORDS.get(type(value), 'a date or time')}"
    return Problem(path=path, says=says, facts=(f"expected: {expected}",), fix=fix)


def _addition(path: Sequence[str | int], root: type[BaseModel]) -> str:
    key = str(path[-1])
    examples = _known_fields(root, path[:-1])[key].examples or []
    line = f"a line such as `{key} = {json.dumps(examples[0])}`" if examples else f"`{key}`"
    return f"add {line} " + (f"below [{show_path(path[:-1])}]" if len(path) > 1 else "at the top of the file")


def _table_line(path: Sequence[str | int], root: type[BaseModel]) -> str:
    """The header that a table needs; `source` right below [models] lacks the model's name."""
    if len(path) == 1 and path[0] in ("models", "sources"):
        path = (*path, "NAME")
    elif len(path) == 2 and path[1] in _known_keys(root, path):
        path = (path[0], "NAME")
    return f"write `[{show_path(path)}]` on a line of its own and the keys below it"


def _unknown_key(path: tuple[str | int, ...], root: type[BaseModel]) -> Problem:
    key = str(path[-1])
    known = _known_keys(root, path[:-1])
    near = closest(key.replace("_", "-"), known, most=1)
    facts = [f"expected: one of {', '.join(sorted(known))}"]
    if key == "token":
        fix = "remove the token from the file, put it into a variable and the variable's NAME into `token-env`"
    elif near:
        facts.append(f"did you mean `{near[0]}`?")
        fix = f"change `{key}` to `{near[0]}`"
    else:
        fix = f"remove `{key}`"
    return Problem(path=path, says="is not a known key", facts=tuple(facts), fix=fix)


def _known_keys(root: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    return list(_known_fields(root, path))


def _known_fields(root: type[BaseModel], path: Sequence[str | int]) -> dict[str, FieldInfo]:
    """The keys that the table at `path` may have; tables under names are found by their annotation."""
    fields = _fields(root)
    for part in path:
        table = _table_type(fields[part].annotation) if isinstance(part, str) and part in fields else None
        fields = _fields(table) if table else fields
    return fields


def _fields(table: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _table_type(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _table_type(inner)
        if found:
            return found
    return None
