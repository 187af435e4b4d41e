"""The values of single keys of models.toml, as pydantic and the JSON Schema take them.

Not in here: what is checked (manifest_values.py), the tables and what keys mean together
(manifest_tables.py), addresses (addresses.py).
"""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from fetcher.formats import manifest_values

SCHEMA_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SCHEMA_NO_CONTROL = r"^[^\u0000-\u001f\u007f\\]+$"


def _source(text: str, info: ValidationInfo) -> str:
    return manifest_values.source(text, (info.context or {}).get("sources", ()))


Pattern = Annotated[
    str, AfterValidator(manifest_values.pattern), Field(json_schema_extra={"pattern": SCHEMA_NO_CONTROL})
]
FileName = Annotated[
    str,
    AfterValidator(manifest_values.file_name),
    Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f\\*/][^\u0000-\u001f\u007f\\*]*$"}),
]
Revision = Annotated[
    str, AfterValidator(manifest_values.revision), Field(json_schema_extra={"pattern": r"^[^\u0000-\u0020\u007f]+$"})
]
Source = Annotated[
    str,
    AfterValidator(_source),
    Field(
        json_schema_extra={
            "pattern": r"^(?:file:[^\u0000-\u001f\u007f]+|[A-Za-z0-9][A-Za-z0-9._+-]*:[^\u0000-\u0020\u007f]+)$"
        }
    ),
]
Group = Annotated[str, AfterValidator(manifest_values.group), Field(json_schema_extra={"pattern": SCHEMA_NAME})]
Url = Annotated[
    str,
    AfterValidator(manifest_values.endpoint),
    Field(json_schema_extra={"pattern": r"^https?://[^\u0000-\u0020\u007f@?#]+$"}),
]
ModelKey = Annotated[str, AfterValidator(manifest_values.model_name)]
SourceKey = Annotated[str, AfterValidator(manifest_values.source_name)]
Target = Annotated[str, AfterValidator(manifest_values.checked_target)]
DefaultTarget = Annotated[str, AfterValidator(manifest_values.default_target)]
TokenEnv = Annotated[str, AfterValidator(manifest_values.token_variable)]
CaFile = Annotated[
    str,
    AfterValidator(manifest_values.ca_file),
    Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f~][^\u0000-\u001f\u007f]*$"}),
]
