"""models.toml: text to `Manifest`, or one error that names every mistake (design 2).

The pydantic tables below are the shape of the file; schemas.py makes the JSON Schema from
them, so their titles and descriptions are what an editor shows.  They end in `to_core`.
Nothing here touches the disk, and whether a source answers is found out at lock time.

Promises (tests/formats/test_manifest_toml.py, test_bad_manifests.py):
  * what is returned needs no further check: names, targets and sources are safe;
  * a secret in the wrong place is refused and its text is not repeated.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from fetcher.core.hints import closest
from fetcher.core.manifest import (
    BUILT_IN_SCHEMES,
    SHORT_FORMS,
    Endpoint,
    Layout,
    Manifest,
    ModelSpec,
    Requested,
    SourceRef,
)
from fetcher.core.paths import ModelName, RepoPath
from fetcher.errors import ConfigError
from fetcher.formats.lock_toml import HEADER
from fetcher.formats.mistakes import looks_like_lock, meant_source, mend_dotted_names
from fetcher.formats.problems import Problem, error_of, newer_version, problems_of, refusal
from fetcher.formats.toml_text import parse_toml

VERSION = 1
SCHEMA_LINE = "#:schema ./schemas/models.schema.json"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
_DRIVE = re.compile(r"[A-Za-z]:")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TOKEN = re.compile(r"ms-|hf_[A-Za-z0-9]{16,}\Z|[0-9a-fA-F-]{32,}\Z")
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_OWN_FOLDERS = (".git", ".fetcher")
_SCHEMA_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_SCHEMA_NO_CONTROL = r"^[^\u0000-\u001f\u007f\\]+$"


def _model_name(text: str) -> str:
    try:
        return ModelName(text)
    except ValueError:
        raise refusal(
            "is not a safe name",
            expected="letters, digits, `.`, `_` and `-`, beginning with a letter or digit; no name reserved on Windows",
            fix="rename the model",
        ) from None


def _pattern(text: str) -> str:
    if not text or _CONTROL.search(text):
        raise refusal(
            "is empty or holds a control character",
            expected="a shell pattern such as `*.json` or `onnx/*`",
            fix="remove or correct the pattern",
        )
    if "\\" in text:
        raise refusal(
            "holds a backslash, which matches no file",
            expected="`/` between folders",
            fix=f"write `{text.replace(chr(92), '/')}`",
        )
    return text


def _file_name(text: str) -> str:
    if "*" in text:
        raise refusal(
            "is a pattern, and `files` takes exact names",
            expected="the name of a file, from the repository's root",
            fix="move it to `include`",
        )
    try:
        return RepoPath(text)
    except ValueError as error:
        raise refusal(
            "is not a safe name of a file",
            expected="a path from the repository's root, with `/`",
            fix=f"correct the name ({str(error).rpartition(': ')[2]})",
        ) from None


def _revision(text: str) -> str:
    if not text or _SPACE_OR_CONTROL.search(text):
        raise refusal(
            "is empty or holds a space or a control character",
            expected="a branch, a tag or a commit",
            fix="correct the revision, or remove the key for the source's default",
        )
    return text


def _source(text: str, info: ValidationInfo) -> str:
    meant = meant_source(text)
    try:
        ref = SourceRef.parse(text)
    except ValueError as error:
        if "@" in text:
            raise refusal(
                "carries a user or a token",
                expected="a source without them; `git+ssh://git@…` may carry a user",
                fix="remove everything before the `@`, and put the token into an environment variable",
            ) from None
        expected = str(error).partition(", got ")[0].removeprefix("expected ")
        fix = f"write `{meant}`" if meant else "correct the source"
        raise refusal("is not a source", expected=expected, fix=fix, meant=meant) from None
    if meant:
        raise refusal(
            "is the address of a page, not of a file",
            expected="a repository such as `modelscope:OWNER/NAME`, or the address of one file",
            fix=f"write `{meant}`",
            meant=meant,
        )
    named = (info.context or {}).get("sources", ())
    if ref.scheme not in BUILT_IN_SCHEMES and ref.scheme not in named:
        near = closest(ref.scheme, [*BUILT_IN_SCHEMES, *SHORT_FORMS, *named], most=1)
        raise refusal(
            f"names the unknown source `{ref.scheme}`",
            expected=", ".join(f"`{scheme}:`" for scheme in (*BUILT_IN_SCHEMES, *sorted(named))),
            fix=f"change `{ref.scheme}:` to `{near[0]}:`" if near else f"add a table [sources.{ref.scheme}]",
        )
    return str(ref)


def _target(text: str) -> str:
    if text.startswith("~"):
        raise refusal(
            "begins with `~`, which is not expanded",
            expected="a folder relative to models.toml, or an absolute path",
            fix="write the absolute path",
        )
    if {part.lower() for part in text.split("/")} & set(_OWN_FOLDERS):
        raise refusal(
            "lies in a folder of git or of fetcher",
            expected="a folder of the project other than `.git` and `.fetcher`",
            fix="choose another folder, such as `models/NAME`",
        )
    if text.startswith("/") and not _CONTROL.search(text):
        return text.rstrip("/") or "/"
    return _relative_target(text)


def _relative_target(text: str) -> str:
    inner = text.removeprefix("./").rstrip("/")
    if inner in (".", "") and text:
        return "."
    if ".." in inner.split("/"):
        raise refusal(
            "leaves the project",
            expected="a folder inside the project, relative to models.toml",
            fix="remove the `..`, or write an absolute path if the folder is meant to be outside",
        )
    try:
        return RepoPath(inner)
    except ValueError as error:
        reason = "it is empty" if not text else str(error).rpartition(": ")[2]
        raise refusal(
            "is not a safe folder",
            expected="a folder relative to models.toml with `/` between its parts, or an absolute path",
            fix=f"correct the target ({reason})",
        ) from None


def _default_target(text: str) -> str:
    if "{name}" not in text:
        raise refusal(
            "would put every model into one folder",
            expected="a folder with `{name}` in it, which becomes the model's name",
            fix=f'write `target = "{text.rstrip("/")}/{{name}}"`',
        )
    _target(text.replace("{name}", "name"))
    return text


def _group(text: str) -> str:
    if not _SOURCE_NAME.match(text):
        raise refusal(
            "is not a name of a group",
            expected="letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
            fix="rename the group",
        )
    return text


def _source_name(text: str) -> str:
    if text in BUILT_IN_SCHEMES or text in SHORT_FORMS:
        raise refusal(
            "has the name of a built-in source",
            expected="a name of your own",
            fix=f"rename it, such as [sources.my-{text}], and use `my-{text}:` in `source`",
        )
    if not _SOURCE_NAME.match(text):
        raise refusal(
            "is not a safe name",
            expected="letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
            fix="rename the source",
        )
    return text


def _endpoint(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable, url = None, urlsplit("")
    if "@" in text:
        raise refusal(
            "carries a user or a token",
            expected="a URL such as `https://hub.corp.example`",
            fix="remove everything before the `@`, and name the token's variable in `token-env`",
        )
    if not usable or url.query or url.fragment or _SPACE_OR_CONTROL.search(text):
        raise refusal(
            "is not the address of a hub",
            expected="an http or https URL without a query, such as `https://hub.corp.example`",
            fix="correct the URL",
        )
    return text.rstrip("/")


def _token_env(text: str) -> str:
    if not _VARIABLE.match(text) or _TOKEN.match(text):
        looks = "looks like a token" if _TOKEN.match(text) else "is not the name of a variable"
        raise refusal(
            looks,
            expected="the NAME of an environment variable, such as `CORP_HUB_TOKEN`",
            fix="put the token into a variable and write the variable's name; revoke the token if it was committed"
            if looks == "looks like a token"
            else "write the variable's name",
        )
    return text


def _version(number: int) -> int:
    if number != VERSION:
        raise refusal(
            "is not a version of this file", expected=f"version = {VERSION}", fix=f"write `version = {VERSION}`"
        )
    return number


Pattern = Annotated[str, AfterValidator(_pattern), Field(json_schema_extra={"pattern": _SCHEMA_NO_CONTROL})]
FileName = Annotated[
    str,
    AfterValidator(_file_name),
    Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f\\*/][^\u0000-\u001f\u007f\\*]*$"}),
]
Revision = Annotated[str, AfterValidator(_revision), Field(json_schema_extra={"pattern": r"^[^\u0000-\u0020\u007f]+$"})]
Source = Annotated[
    str,
    AfterValidator(_source),
    Field(json_schema_extra={"pattern": r"^[A-Za-z0-9][A-Za-z0-9._+-]*:[^\u0000-\u0020\u007f]+$"}),
]
Group = Annotated[str, AfterValidator(_group), Field(json_schema_extra={"pattern": _SCHEMA_NAME})]
Url = Annotated[
    str, AfterValidator(_endpoint), Field(json_schema_extra={"pattern": r"^https?://[^\u0000-\u0020\u007f@?#]+$"})
]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Wishes(_Table):
    """What [defaults] and [models.NAME] have in common; None is a key that was left out."""

    revision: Revision | None = Field(
        default=None,
        description="Branch, tag or commit. Left out: the source's default branch.",
        examples=["master", "v1.0"],
    )
    include: list[Pattern] | None = Field(
        default=None,
        description="Shell patterns of the files to take, against the whole path; `*` crosses `/`, a trailing `/` "
        "means everything below. Left out: everything.",
        examples=[["*.json", "onnx/*"]],
    )
    exclude: list[Pattern] | None = Field(
        default=None,
        description="Shell patterns of the files to leave; beats `include`. A model's list is added to that of "
        "[defaults]; an empty list takes none of those.",
        examples=[["*.md", ".gitattributes"]],
    )
    files: list[FileName] | None = Field(
        default=None,
        description="Exact names that must exist upstream; beats `exclude`.",
        examples=[["config.json", "model.safetensors"]],
    )
    fallback: list[Source] | None = Field(
        default=None,
        description="Other homes of the same bytes, tried in this order; other bytes there make `fetcher lock` fail.",
        examples=[["modelscope:AI-ModelScope/bge-small-zh-v1.5"]],
    )
    groups: list[Group] | None = Field(
        default=None, description="Groups for `fetcher sync --group NAME`.", examples=[["embed"]]
    )


class DefaultsTable(_Wishes):
    """Keys for all models; a model's own key wins, except that `exclude` lists are added up."""

    target: Annotated[str, AfterValidator(_default_target)] | None = Field(
        default=None,
        description="Folder of each model's files; must hold `{name}`, which becomes the model's name.",
        examples=["weights/{name}"],
        json_schema_extra={"pattern": r"\{name\}"},
    )


class ModelTable(_Wishes):
    """One model: where it comes from, which of its files are wanted, and where they go."""

    source: Source = Field(
        description="Where the model comes from: `modelscope:OWNER/NAME`, `huggingface:OWNER/NAME` (short: `ms:`, "
        "`hf:`), `modelscope:datasets/OWNER/NAME`, `git+https://…`, `https://…/file.bin`, `file:DIR`, or `NAME:…` for "
        "a [sources.NAME].",
        examples=["modelscope:AI-ModelScope/gpt2"],
    )
    target: Annotated[str, AfterValidator(_target)] | None = Field(
        default=None,
        description="Folder of the model's files, relative to models.toml; outside the project only as an absolute "
        "path. Left out: `models/NAME`.",
        examples=["models/gpt2"],
        json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f\\~][^\u0000-\u001f\u007f\\]*$"},
    )


class SourceTable(_Table):
    """A named endpoint of a known kind, used as `NAME:OWNER/NAME` in `source`."""

    kind: Literal["modelscope", "huggingface"] = Field(description="What the server speaks.", examples=["modelscope"])
    endpoint: Url = Field(description="Base URL; never with a user or a token.", examples=["https://hub.corp.example"])
    mirrors: list[Url] = Field(
        default=[], description="Base URLs that serve the same bytes.", examples=[["https://hub2.corp.example"]]
    )
    token_env: Annotated[str, AfterValidator(_token_env)] | None = Field(
        default=None,
        alias="token-env",
        description="The NAME of the environment variable that holds the token; never the token itself.",
        examples=["CORP_HUB_TOKEN"],
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    )

    def to_core(self, name: str) -> Endpoint:
        """As a core value."""
        return Endpoint(
            name=name, kind=self.kind, endpoint=self.endpoint, mirrors=tuple(self.mirrors), token_env=self.token_env
        )


class ManifestFile(_Table):
    """models.toml: the models that this project needs. `fetcher lock` pins them, `fetcher sync` fetches them."""

    version: Annotated[int, AfterValidator(_version)] = Field(
        description="Version of this file's format.", examples=[VERSION], json_schema_extra={"const": VERSION}
    )
    defaults: DefaultsTable = Field(default=DefaultsTable(), description="Keys for all models.")
    models: dict[Annotated[str, AfterValidator(_model_name)], ModelTable] = Field(
        default={},
        description="One table a model, [models.NAME].",
        json_schema_extra={"propertyNames": {"pattern": _SCHEMA_NAME}},
    )
    sources: dict[Annotated[str, AfterValidator(_source_name)], SourceTable] = Field(
        default={},
        description="Named endpoints, [sources.NAME].",
        json_schema_extra={
            "propertyNames": {
                "pattern": _SCHEMA_NAME,
                "not": {"enum": [*BUILT_IN_SCHEMES, *SHORT_FORMS]},
            }
        },
    )

    def to_core(self) -> Manifest:
        """As a core value, with the defaults applied; models sorted by name."""
        names = sorted(self.models)
        return Manifest(
            models={ModelName(name): _spec(name, self.models[name], self.defaults) for name in names},
            sources={name: table.to_core(name) for name, table in sorted(self.sources.items())},
        )


def read_manifest(text: str, *, file: str) -> Manifest:
    """Read models.toml.

    Args:
        file: The file's name, for errors.

    Raises:
        ConfigError: Anything that is not as design 2 says; all problems at once.
    """
    data = _tables_of(text, file=file)
    try:
        return ManifestFile.model_validate(data, context=_context(data)).to_core()
    except ValidationError as error:
        problems = [_placed_better(problem) for problem in problems_of(error, ManifestFile)]
        problems = mend_dotted_names(problems, data, keys=ModelTable.model_fields.keys())
        raise error_of(problems, text, file=file) from None


def read_layout(text: str, *, file: str) -> Layout:
    """Read the targets, the groups and the sources of a models.toml that has mistakes elsewhere.

    Raises:
        ConfigError: It is no TOML, or these have mistakes too.
    """
    data = _tables_of(text, file=file)
    kept: dict[str, Any] = {key: data[key] for key in ("version", "models", "sources") if key in data}
    kept["defaults"] = _only_layout(data.get("defaults", {}))
    if isinstance(kept.get("models"), dict):
        kept["models"] = {name: _only_layout(table, source="file:.") for name, table in kept["models"].items()}
    try:
        return Layout.of(ManifestFile.model_validate(kept, context=_context(data)).to_core())
    except ValidationError as error:
        raise error_of(problems_of(error, ManifestFile), text, file=file) from None


def _only_layout(table: object, **needed: str) -> object:
    if not isinstance(table, dict):
        return table
    return {**needed, **{key: table[key] for key in ("target", "groups") if key in table}}


def _context(data: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """The names of sources of its own, which `source` may use."""
    sources = data.get("sources")
    return {"sources": tuple(sources) if isinstance(sources, dict) else ()}


def _tables_of(text: str, *, file: str) -> dict[str, Any]:
    """The tables of models.toml, not looked at yet.

    Raises:
        ConfigError: It is no TOML, no manifest, or one of a newer fetcher.
    """
    if text.removeprefix("\ufeff").startswith(HEADER.partition("\n")[0]):
        raise _is_a_lock(file)
    data = parse_toml(
        text,
        file=file,
        conflict_fix=f"edit {file} so that one side is left, then run `fetcher lock`",
        twice_fix="take one of the two sections away, or give one another name",
    )
    if looks_like_lock(data):
        raise _is_a_lock(file)
    version = data.get("version")
    if type(version) is int and version > VERSION:
        raise newer_version(version, text, file=file, known=VERSION)
    return data


def _is_a_lock(file: str) -> ConfigError:
    manifest = str(PurePath(file).with_suffix(".toml"))
    fix = f"name the manifest: {manifest}"
    if manifest == file:
        fix = f"restore {file} from git; the lock belongs into {PurePath(file).with_suffix('.lock')}"
    return ConfigError(f"{file} is a lock, not a manifest.", fix=fix)


def _placed_better(problem: Problem) -> Problem:
    """A key of a model that stands in another table gets the fix that it needs."""
    if problem.path == ("defaults", "source"):
        return replace(problem, fix="write `source` in each [models.NAME]")
    if len(problem.path) != 1 or problem.says != "is not a known key" or problem.path[0] not in ModelTable.model_fields:
        return problem
    return Problem(
        path=problem.path,
        says="is a key of a model, not of the file",
        facts=("expected: below a line [models.NAME] or [defaults]",),
        fix=f"move `{problem.path[0]}` below the [models.NAME] that it is for",
    )


def _spec(name: str, own: ModelTable, defaults: DefaultsTable) -> ModelSpec:
    target = own.target
    if target is None:
        target = _target(defaults.target.replace("{name}", name)) if defaults.target else f"models/{name}"
    fallback = own.fallback if own.fallback is not None else defaults.fallback
    groups = own.groups if own.groups is not None else defaults.groups
    return ModelSpec(
        name=ModelName(name),
        source=SourceRef.parse(own.source),
        requested=_requested(own, defaults),
        fallback=tuple(SourceRef.parse(text) for text in dict.fromkeys(fallback or ())),
        groups=tuple(sorted(set(groups or ()))),
        target=target,
    )


def _requested(own: ModelTable, defaults: DefaultsTable) -> Requested:
    if own.exclude is None:
        exclude = defaults.exclude or []
    else:
        exclude = [*own.exclude, *(defaults.exclude or [])] if own.exclude else []
    include = own.include if own.include is not None else defaults.include
    files = own.files if own.files is not None else defaults.files
    return Requested(
        revision=own.revision if own.revision is not None else defaults.revision,
        include=tuple(sorted(set(include or ()))),
        exclude=tuple(sorted(set(exclude))),
        files=tuple(sorted(set(files or ()))),
    )
