"""Makes the page about what commands print with `--json` from its JSON Schemas."""

from collections.abc import Mapping, Sequence
from typing import Any

from fetcher.cli.documents import output_names, shapes_of, title_of
from fetcher.formats.schemas import output_schema

_HEAD = """\
# JSON output

What commands print with `--json`, and `fetcher sync`, `lock` and `verify` with `--progress json`. Written by
`make pages` from the schemas of `schemas/output/`, which `fetcher schema output NAME` prints; do not edit.

One document on standard output, UTF-8, also of a command that fails: it then prints an [ErrorDocument](#errordocument),
if it had nothing else to say; only a command line that cannot be read, such as one with an unknown option, is answered
on standard error alone. The exit code is the same as without `--json`. Sizes are in bytes. Later versions may add
keys.
"""


def output_page() -> str:
    """The text of docs/reference/json.md."""
    shapes: dict[str, Mapping[str, Any]] = {}
    parts = [_HEAD]
    for name in output_names():
        schema = output_schema(shapes_of(name), title=title_of(name))
        shapes |= schema["definitions"]
        own = [place for place in _places(schema) if place != "ErrorDocument"]
        parts.append(f"## {title_of(name).removeprefix('fetcher ').removesuffix(' --json').capitalize()}\n")
        parts += [_table(shapes.pop(place)) for place in own]
    parts.append("## Shapes in them\n")
    parts += [f"### {name}\n\n{_table(shapes[name])}" for name in sorted(shapes)]
    return "\n".join(parts)


def _places(schema: Mapping[str, Any]) -> list[str]:
    return [str(each["$ref"]).rpartition("/")[2] for each in schema.get("anyOf", [schema])]


def _table(shape: Mapping[str, Any]) -> str:
    required: Sequence[str] = shape.get("required", [])
    rows = "".join(
        f"| `{key}`{'' if key in required else ' (not always)'} | {_type(each)} | {each.get('description', '')} |\n"
        for key, each in shape["properties"].items()
    )
    return f"{shape['description']}\n\n| key | type | meaning |\n|---|---|---|\n{rows}"


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = str(value["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in value:
        return " or ".join(_type(each) for each in value["anyOf"])
    if "enum" in value:
        return " or ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if value["type"] == "array":
        return f"list of {_type(value['items'])}"
    if value["type"] == "object":
        return f"by name: {_type(value['additionalProperties'])}"
    return str(value["type"])
