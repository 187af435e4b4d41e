"""models.toml: text to `Manifest`, or one error that names every mistake (design 2).

The pydantic tables below are the shape of the file; schemas.py makes the JSON Schema from
them, so their titles and descriptions are what an editor shows.  They end in `to_core`.
Nothing here touches the disk, and whether a source answers is found out at lock time.

What a single value may be is manifest_keys.py.

Promises (tests/formats/test_manifest_toml.py, test_bad_manifests.py):
  * what is returned needs no further check: names, targets and sources are safe.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from fetcher.core.manifest import (
    BUILT_IN_SCHEMES,
    SHORT_FORMS,
    URL_SCHEMES,
    Endpoint,
    Layout,
    Manifest,
    ModelSpec,
    Requested,
    SourceRef,
)
from fetcher.core.paths import ModelName
from fetcher.core.web import WebFile, addresses_digest
from fetcher.errors import ConfigError
from fetcher.formats.addresses import Digest, Entry, require_fitting, require_one_address, web_files
from fetcher.formats.lock_toml import HEADER
from fetcher.formats.manifest_keys import (
    SCHEMA_NAME,
    CaFile,
    DefaultTarget,
    FileName,
    Group,
    ModelKey,
    Pattern,
    Revision,
    Source,
    SourceKey,
    Target,
    TokenEnv,
    Url,
    checked_target,
)
from fetcher.formats.mistakes import looks_like_lock, mend_dotted_names
from fetcher.formats.problems import Problem, error_of, newer_version, problems_of, refusal
from fetcher.formats.toml_text import parse_toml

VERSION = 1
SCHEMA_LINE = "#:schema ./schemas/models.schema.json"


def _version(number: int) -> int:
    if number != VERSION:
        raise refusal(
            "is not a version of this file", expected=f"version = {VERSION}", fix=f"write `version = {VERSION}`"
        )
    return number


def _is_table(value: object) -> str:
    return "[addresses]" if isinstance(value, dict) else "[names]"


Names = list[FileName]
NamesOrAddresses = Annotated[
    Annotated[Names, Tag("[names]")] | Annotated[dict[FileName, Entry], Tag("[addresses]")], Discriminator(_is_table)
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

    files: Names | None = Field(
        default=None,
        description="Exact names that must exist upstream; beats `exclude`.",
        examples=[["config.json", "model.safetensors"]],
    )
    target: DefaultTarget | None = Field(
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
    target: Target | None = Field(
        default=None,
        description="Folder of the model's files, relative to models.toml; outside the project only as an absolute "
        "path. Left out: `models/NAME`.",
        examples=["models/gpt2"],
        json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f\\~][^\u0000-\u001f\u007f\\]*$"},
    )
    files: NamesOrAddresses | None = Field(
        default=None,
        description="Exact names that must exist upstream; beats `exclude`. For a URL also a table of name to address.",
        examples=[["config.json", "model.safetensors"]],
    )
    sha256: Digest | None = Field(
        default=None,
        description="What the one file of a URL must be. Left out: what it is when it is locked first.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )

    @model_validator(mode="after")
    def _fits_its_source(self) -> "ModelTable":
        ref = SourceRef.parse(self.source)
        wishes = {"revision": self.revision, "include": self.include, "exclude": self.exclude}
        require_fitting(ref, self.files, self.sha256, wishes)
        if ref.is_url:
            web_files(ref, self.files, self.sha256)
        return self


class SourceTable(_Table):
    """A named endpoint of a known kind, used as `NAME:OWNER/NAME` in `source`."""

    kind: Literal["modelscope", "huggingface", "git"] = Field(
        description="What the server speaks.", examples=["modelscope"]
    )
    endpoint: Url = Field(description="Base URL; never with a user or a token.", examples=["https://hub.corp.example"])
    mirrors: list[Url] = Field(
        default=[], description="Base URLs that serve the same bytes.", examples=[["https://hub2.corp.example"]]
    )
    token_env: TokenEnv | None = Field(
        default=None,
        alias="token-env",
        description="The NAME of the environment variable that holds the token; never the token itself.",
        examples=["CORP_HUB_TOKEN"],
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    )

    ca_file: CaFile | None = Field(
        default=None,
        alias="ca-file",
        description="Certificates (PEM) that this source trusts besides those of the system; relative to models.toml.",
        examples=["certificates/corp-ca.pem"],
    )

    def to_core(self, name: str) -> Endpoint:
        """As a core value."""
        return Endpoint(
            name=name,
            kind=self.kind,
            endpoint=self.endpoint,
            mirrors=tuple(self.mirrors),
            token_env=self.token_env,
            ca_file=self.ca_file,
        )


class ManifestFile(_Table):
    """models.toml: the models that this project needs. `fetcher lock` pins them, `fetcher sync` fetches them."""

    version: Annotated[int, AfterValidator(_version)] = Field(
        description="Version of this file's format.", examples=[VERSION], json_schema_extra={"const": VERSION}
    )
    defaults: DefaultsTable = Field(default=DefaultsTable(), description="Keys for all models.")
    models: dict[ModelKey, ModelTable] = Field(
        default={},
        description="One table a model, [models.NAME].",
        json_schema_extra={"propertyNames": {"pattern": SCHEMA_NAME}},
    )
    sources: dict[SourceKey, SourceTable] = Field(
        default={},
        description="Named endpoints, [sources.NAME].",
        json_schema_extra={
            "propertyNames": {
                "pattern": SCHEMA_NAME,
                "not": {"enum": [*BUILT_IN_SCHEMES, *SHORT_FORMS]},
            }
        },
    )

    @model_validator(mode="after")
    def _one_address_a_file(self) -> "ManifestFile":
        refs = {name: SourceRef.parse(table.source) for name, table in self.models.items()}
        urls = {name: ref for name, ref in refs.items() if ref.is_url}
        require_one_address(
            {
                name: (ref, web_files(ref, self.models[name].files, self.models[name].sha256))
                for name, ref in urls.items()
            }
        )
        return self

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
    """Read the targets, the groups, the sources and the addresses of a models.toml that has mistakes elsewhere.

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
    source = table.get("source")
    is_url = isinstance(source, str) and source.startswith(tuple(f"{scheme}:" for scheme in URL_SCHEMES))
    keys = ("target", "groups", *(("source", "files", "sha256") if is_url else ()))
    return {**needed, **{key: table[key] for key in keys if key in table}}


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
        target = checked_target(defaults.target.replace("{name}", name)) if defaults.target else f"models/{name}"
    fallback = own.fallback if own.fallback is not None else defaults.fallback
    groups = own.groups if own.groups is not None else defaults.groups
    ref = SourceRef.parse(own.source)
    web = web_files(ref, own.files, own.sha256) if ref.is_url else ()
    return ModelSpec(
        name=ModelName(name),
        source=ref,
        requested=_requested_of_url(own, web) if ref.is_url else _requested(own, defaults, ref),
        fallback=tuple(SourceRef.parse(text) for text in dict.fromkeys(fallback or ())),
        groups=tuple(sorted(set(groups or ()))),
        target=target,
        web=web,
    )


def _requested_of_url(own: ModelTable, web: tuple[WebFile, ...]) -> Requested:
    """What `files` names and nothing else: a web server lists nothing that patterns could choose from."""
    return Requested(
        files=tuple(file.path for file in web),
        addresses=addresses_digest(web) if isinstance(own.files, dict) else None,
    )


def _requested(own: ModelTable, defaults: DefaultsTable, ref: SourceRef) -> Requested:
    if own.exclude is None:
        exclude = defaults.exclude or []
    else:
        exclude = [*own.exclude, *(defaults.exclude or [])] if own.exclude else []
    include = own.include if own.include is not None else defaults.include
    files = own.files if own.files is not None else defaults.files
    revision = own.revision if own.revision is not None else defaults.revision
    return Requested(
        revision=revision if ref.has_commits else None,
        include=tuple(sorted(set(include or ()))),
        exclude=tuple(sorted(set(exclude))),
        files=tuple(sorted(set(files or ()))),
    )
