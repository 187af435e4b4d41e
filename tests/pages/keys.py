"""Makes the pages about the keys of models.toml and models.lock from their JSON Schemas."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fetcher.formats.schemas import lock_schema, manifest_schema

_EXAMPLE = Path(__file__).parents[2] / "models.toml.example"
_TABLES = {
    "DefaultsTable": "[defaults]",
    "ModelTable": "[models.NAME]",
    "SourceTable": "[sources.NAME]",
    "AddressTable": "[models.NAME.files], a table for a file",
    "LockedModelTable": "[models.NAME]",
    "RequestedTable": "[models.NAME.requested]",
}
_MANIFEST = """\
# Keys of models.toml

What `fetcher schema models` says, for reading. Written by `make pages`; do not edit. Unknown keys, wrong types and
unsafe names are errors with the line, the key and the closest valid word; an editor that reads the `#:schema` line,
which `fetcher init` writes, says the same while you type.
"""
_LOCK = """\
# Keys of models.lock

What `fetcher schema lock` says, for reading. Written by `make pages`; do not edit, neither this page nor a lock:
`fetcher lock` writes it. One line a file, sorted, so that git merges different models without a conflict. Unknown
keys are kept.
"""


def manifest_page() -> str:
    """The text of docs/reference/models-toml.md."""
    example = _EXAMPLE.read_text(encoding="utf-8")
    return f"{_MANIFEST}\n{_sections(manifest_schema())}\n## All of it\n\n```toml\n{example}```\n"


def lock_page() -> str:
    """The text of docs/reference/models-lock.md."""
    return f"{_LOCK}\n{_sections(lock_schema())}"


def _sections(schema: Mapping[str, Any]) -> str:
    """The root's keys, then a section for each table."""
    definitions = {name: each for name, each in schema["definitions"].items() if "properties" in each}
    parts = [_section("Top", schema)]
    for name in sorted(definitions, key=lambda name: (list(_TABLES).index(name) if name in _TABLES else 99, name)):
        parts.append(_section(_TABLES.get(name, name), definitions[name]))
    return "\n".join(parts)


def _section(title: str, table: Mapping[str, Any]) -> str:
    required = table.get("required", [])
    rows = "".join(
        f"| `{key}`{' (must be there)' if key in required else ''} | {_type(each)} | {_cell(each)} |\n"
        for key, each in table["properties"].items()
    )
    heading = f"`{title}`" if title.startswith("[") else title
    return f"## {heading}\n\n{table['description']}\n\n| key | type | meaning |\n|---|---|---|\n{rows}"


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return "table"
    if "oneOf" in value or "anyOf" in value:
        kinds = value.get("oneOf", value.get("anyOf", []))
        return " or ".join(dict.fromkeys(_type(each) for each in kinds))
    if "enum" in value:
        return ", ".join(f"`{_toml(each)}`" for each in value["enum"])
    if "const" in value:
        return f"`{_toml(value['const'])}`"
    if value.get("type") == "array":
        return f"list of {_plural(_type(value.get('items', {})))}"
    return {"object": "table"}.get(value.get("type", ""), value.get("type", "any"))


def _plural(kind: str) -> str:
    return kind if kind.endswith("`") else f"{kind}s"


def _cell(value: Mapping[str, Any]) -> str:
    said = " ".join(value.get("description", "").split())
    examples = "; ".join(f"`{_toml(each)}`" for each in value.get("examples", []))
    text = f"{said} Example: {examples}" if examples else said
    return re.sub(r"(?<!\\)\|", r"\|", text)


def _toml(value: object) -> str:
    """A value as TOML has it; JSON is that for words, numbers and lists."""
    return json.dumps(value, ensure_ascii=False)
