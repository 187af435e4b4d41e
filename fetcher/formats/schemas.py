"""JSON Schemas of models.toml and models.lock, for editors; made from the pydantic tables.

Draft 7 with local references only, which is what TOML editors read; without `$id`, so a
copy is valid wherever it lies.  A schema knows less than the reader: cross-references
between keys and what is safe on a disk are checked by read_manifest and read_lock.

Promises (tests/formats/test_schemas.py):
  * schemas/*.json are what `schema_text` says;
  * every file that a reader accepts is accepted by its schema.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from fetcher.formats.lock_tables import LockFile
from fetcher.formats.manifest_tables import ManifestFile

DRAFT = "http://json-schema.org/draft-07/schema#"


class _ForToml(GenerateJsonSchema):
    """TOML has no null: a key that may be left out is not a key that may be null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of models.toml; unknown keys are refused."""
    return _schema(ManifestFile, title="models.toml")


def lock_schema() -> dict[str, Any]:
    """The JSON Schema of models.lock; unknown keys are allowed, as the reader keeps them."""
    return _schema(LockFile, title="models.lock")


def schema_text(which: Literal["models", "lock"]) -> str:
    """The text of schemas/WHICH.schema.json."""
    schema = manifest_schema() if which == "models" else lock_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(table: type[BaseModel], *, title: str) -> dict[str, Any]:
    made = table.model_json_schema(by_alias=True, ref_template="#/definitions/{model}", schema_generator=_ForToml)
    definitions = made.pop("$defs", {})
    return {"$schema": DRAFT, **made, "title": title, "definitions": definitions}
