"""JSON Schemas: of models.toml and models.lock, for editors, and of what commands print, for programs.

Those of the files are made from the pydantic tables, the others from the types of the command line.

Draft 7 with local references only, which is what TOML editors read; without `$id`, so a
copy is valid wherever it lies.  A schema knows less than the reader: cross-references
between keys and what is safe on a disk are checked by read_manifest and read_lock.

Promises (tests/formats/test_schemas.py):
  * schemas/*.json are what `schema_text` says, schemas/output/*.json what `output_schema_text` does;
  * every file that a reader accepts is accepted by its schema.
"""

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from fetcher.formats.lock_tables import LockFile
from fetcher.formats.manifest_tables import ManifestFile

DRAFT = "http://json-schema.org/draft-07/schema#"
_TEMPLATE = "#/definitions/{model}"
_ATTRIBUTE = re.compile(r" {4}(\w+(?:, \w+)*): (.+)")


class _ForToml(GenerateJsonSchema):
    """TOML has no null: a key that may be left out is not a key that may be null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class _OfOutput(GenerateJsonSchema):
    """What is printed has every key of its type; descriptions are those of the docstrings."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: FBT001 - pydantic's own
        return super().field_is_required(field, total) if field["type"] == "typed-dict-field" else True

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        return _described(super().typed_dict_schema(schema), schema.get("cls"))

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _described(super().dataclass_schema(schema), schema.get("cls"))


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of models.toml; unknown keys are refused."""
    return _schema(ManifestFile, title="models.toml")


def lock_schema() -> dict[str, Any]:
    """The JSON Schema of models.lock; unknown keys are allowed, as the reader keeps them."""
    return _schema(LockFile, title="models.lock")


def schema_text(which: Literal["models", "lock"]) -> str:
    """The text of schemas/WHICH.schema.json."""
    return _text(manifest_schema() if which == "models" else lock_schema())


def output_schema(shapes: Sequence[type], *, title: str) -> dict[str, Any]:
    """The JSON Schema of what is printed in one of these shapes (TypedDicts, dataclasses); more keys are allowed."""
    any_of_them: Any = Union[tuple(shapes)]  # noqa: UP007 - of as many as there are
    adapter = TypeAdapter[object](any_of_them)
    made = adapter.json_schema(mode="serialization", ref_template=_TEMPLATE, schema_generator=_OfOutput)
    return _finished(made, title=title)


def output_schema_text(shapes: Sequence[type], *, title: str) -> str:
    """The text of schemas/output/NAME.schema.json."""
    return _text(output_schema(shapes, title=title))


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(table: type[BaseModel], *, title: str) -> dict[str, Any]:
    made = table.model_json_schema(by_alias=True, ref_template=_TEMPLATE, schema_generator=_ForToml)
    return _finished(made, title=title)


def _finished(made: dict[str, Any], *, title: str) -> dict[str, Any]:
    definitions = made.pop("$defs", {})
    return {"$schema": DRAFT, **made, "title": title, "definitions": definitions}


def _described(made: JsonSchemaValue, shape: type | None) -> JsonSchemaValue:
    """With what the docstring says of the whole, and in its `Attributes:` of each key."""
    text, _, attributes = inspect.cleandoc((shape and shape.__doc__) or "").partition("\nAttributes:\n")
    made["description"] = " ".join(text.split())
    for names, told in _ATTRIBUTE.findall(re.sub(r"\n {6,}", " ", attributes)):
        for name in names.split(", "):
            made["properties"][name]["description"] = told
    return made
