"""The shape of models.lock as pydantic tables: the reader of every lock that is not as `fetcher lock` wrote it.

schemas.py makes the JSON Schema from them, so their descriptions are what an editor shows.
Only what is read here needs pydantic; lock_lines.py reads the usual lock without it.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fetcher.formats.lock_lines import VERSION, ModelKeys, RequestedKeys
from fetcher.formats.problems import Problem, error_of
from fetcher.formats.validation import problems_of

_SCHEMA_SOURCE = r"^(?:file:[^\u0000-\u001f\u007f]+|[A-Za-z0-9][A-Za-z0-9._+-]*:[^\u0000-\u0020\u007f]+)$"
_SCHEMA_COMMIT = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$"
_SCHEMA_DIGEST = r"^sha256:[0-9a-f]{64}$"
_SCHEMA_COMMITTED = r"^(?:unknown|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)$"
_SCHEMA_FORMAT = r"^[a-z0-9][a-z0-9-]{0,39}$"
_SCHEMA_ROW = r"^sha256:[0-9a-f]{64} (?:0|[1-9][0-9]{0,18})$"


class _Table(BaseModel):
    """A newer fetcher may have written more keys; they are kept, not refused."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


class RequestedTable(_Table):
    """The manifest's wishes for this model, defaults applied; keys that do not apply are left out."""

    revision: str | None = Field(default=None, description="Branch, tag or commit that was asked for.")
    include: list[str] = Field(default=[], description="Patterns of the files to take, sorted.")
    exclude: list[str] = Field(default=[], description="Patterns of the files to leave, sorted.")
    files: list[str] = Field(default=[], description="Exact names that must exist, sorted.")
    addresses: str | None = Field(
        default=None,
        description="sha256 over the sorted lines `<path> <url>\\n` of the addresses that `files` gives to its names.",
        json_schema_extra={"pattern": _SCHEMA_DIGEST},
    )

    def keys(self) -> RequestedKeys:
        """As it stands there."""
        return RequestedKeys(
            revision=self.revision,
            include=tuple(self.include),
            exclude=tuple(self.exclude),
            files=tuple(self.files),
            addresses=self.addresses,
        )


class LockedModelTable(_Table):
    """One model, pinned."""

    source: str = Field(description="Where the model comes from.", json_schema_extra={"pattern": _SCHEMA_SOURCE})
    commit: str = Field(description="The commit of the source.", json_schema_extra={"pattern": _SCHEMA_COMMIT})
    tree: str = Field(
        description="sha256 over the sorted lines `<sha256> <size> <path>\\n` of the files.",
        json_schema_extra={"pattern": _SCHEMA_DIGEST},
    )
    seal: str | None = Field(
        default=None,
        description="sha256 over all that this section pins; differs when it was merged or edited by hand.",
        json_schema_extra={"pattern": _SCHEMA_DIGEST},
    )
    fallback: list[str] = Field(default=[], description="Other homes of the same bytes, each `SOURCE@COMMIT`.")
    requested: RequestedTable = Field(description="What the manifest asked for when this was locked.")
    files: dict[str, Annotated[str, Field(json_schema_extra={"pattern": _SCHEMA_ROW})]] = Field(
        description="One line a file: path, sha256, size in bytes.",
        json_schema_extra={"propertyNames": {"minLength": 1}},
    )
    license: str | None = Field(
        default=None,
        description="The licence that the source tells, or `unknown`; where [policy] has rules about licences.",
        json_schema_extra={"minLength": 1},
    )
    committed: str | None = Field(
        default=None,
        description="When the commit was made (UTC), or `unknown`; where [policy] has a rule about ages.",
        json_schema_extra={"pattern": _SCHEMA_COMMITTED},
    )
    formats: dict[str, Annotated[str, Field(json_schema_extra={"pattern": _SCHEMA_FORMAT})]] = Field(
        default={},
        description="What each file is, judged by its content; where [policy] has rules about formats.",
        json_schema_extra={"propertyNames": {"minLength": 1}},
    )

    def keys(self) -> ModelKeys:
        """As it stands there."""
        return ModelKeys(
            source=self.source,
            commit=self.commit,
            tree=self.tree,
            seal=self.seal,
            fallback=tuple(self.fallback),
            requested=self.requested.keys(),
            files=self.files,
            license=self.license,
            committed=self.committed,
            formats=self.formats,
        )


class LockFile(_Table):
    """models.lock: exactly which bytes the models are. Written by `fetcher lock`; do not edit."""

    version: int = Field(description="Version of this file's format.", json_schema_extra={"const": VERSION})
    models: dict[str, LockedModelTable] = Field(default={}, description="One table a model, [models.NAME].")


def read_tables(data: dict[str, Any], text: str, *, file: str) -> dict[str, ModelKeys]:
    """The models of a lock by their names.

    Args:
        data: What TOML makes of the text.
        file: The file's name, for errors.

    Raises:
        ConfigError: A key is missing or of a wrong type.
    """
    try:
        tables = LockFile.model_validate(data).models
    except ValidationError as error:
        problems = [_relock(problem, file=file) for problem in problems_of(error, LockFile)]
        raise error_of(problems, text, file=file) from None
    return {name: table.keys() for name, table in tables.items()}


def _relock(problem: Problem, *, file: str) -> Problem:
    return replace(problem, fix=f"restore {file} from git, or remove the section and run `fetcher lock`")
