"""Holds what commands print to the schemas: `--json`, and the lines of `--progress json`.

A schema allows keys that it does not know, for readers; here it does not, so that a key that
was added without its type is noticed.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from jsonschema import Draft7Validator

from fetcher.cli.documents import DOCUMENTS, PROGRESS, shapes_of, title_of
from fetcher.formats.schemas import output_schema

_COMMANDS = {name.partition("-")[0] for name in DOCUMENTS}


def require_documents(arguments: Sequence[str], out: str, err: str) -> None:
    """Raise an AssertionError if a command printed JSON that is not as its schema says."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    name = _name_of(own)
    if "--json" in own and out and name in DOCUMENTS:
        assert wrong_with(name, json.loads(out)) == []
    if "json" in own and "--progress" in own:
        lines = [line for line in err.splitlines() if line.startswith('{"event"')]
        assert [wrong for line in lines for wrong in wrong_with(PROGRESS, json.loads(line))] == []


def wrong_with(name: str, document: object) -> list[str]:
    """What the schema of a name does not allow in a document."""
    return [error.message for error in _validator(name).iter_errors(document)]


@cache
def _validator(name: str) -> Draft7Validator:
    return Draft7Validator(_closed(output_schema(shapes_of(name), title=title_of(name))))


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _closed(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in inner and "type" in inner else inner


def _name_of(arguments: Sequence[str]) -> str:
    """The command with its subcommand, as schemas name it."""
    for place, word in enumerate(arguments):
        if word in _COMMANDS:
            return word if word in DOCUMENTS else "-".join(arguments[place : place + 2])
    return ""
