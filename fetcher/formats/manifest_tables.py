"""The shape of models.toml as pydantic tables: every mistake with its place, and the JSON Schema.

schemas.py makes the JSON Schema from them, so their titles and descriptions are what an
editor shows.  They end in `to_core`.  What a single value may be is manifest_values.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
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

from fetcher.core.manifest import BUILT_IN_SCHEMES, SHORT_FORMS, Endpoint, Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName
from fetcher.core.web import WebFile, addresses_digest
from fetcher.formats.addresses import Digest, Entry, require_fitting, require_one_address, web_files
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
)
from fetcher.formats.manifest_plain import VERSION
from fetcher.formats.manifest_spec import Keys, default_groups_of, is_of_hub, spec_of
from fetcher.formats.manifest_values import require_models_in, require_name_in
from fetcher.formats.mistakes import mend_dotted_names
from fetcher.formats.policy_tables import PolicyTable
from fetcher.formats.problems import Problem, Refused, error_of, refusal
from fetcher.formats.validation import problems_of


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


Layouts = Literal["modelscope", "huggingface"]


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
    layout: Layouts | None = Field(
        default=None,
        description="Place the files as this library's cache does, so that the library finds the model by its id, "
        "offline; `target` is then the folder of the cache. Left out: plain files in `target`.",
        examples=["huggingface"],
    )
    groups: list[Group] | None = Field(
        default=None, description="Groups for `fetcher sync --group NAME`.", examples=[["embed"]]
    )


class DefaultsTable(_Wishes):
    """Keys for all models; a model's own key wins, except that `exclude` lists are added up."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"not": {"required": ["layout"]}},
            "then": {"properties": {"target": {"pattern": r"\{name\}"}}},
        }
    )

    files: Names | None = Field(
        default=None,
        description="Exact names that must exist upstream; beats `exclude`.",
        examples=[["config.json", "model.safetensors"]],
    )
    target: DefaultTarget | None = Field(
        default=None,
        description="Folder of each model's files; must hold `{name}`, which becomes the model's name. With a `layout` "
        "here the folder of the cache, which all models may share.",
        examples=["weights/{name}"],
    )

    @model_validator(mode="after")
    def _a_folder_each(self) -> "DefaultsTable":
        if self.target and not self.layout:
            require_name_in(self.target)
        return self

    def keys(self) -> Keys:
        """As they stand there."""
        return _keys_of(self, self.files)


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
        "path. Left out: `models/NAME`, or with a `layout` the library's own cache.",
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

    def to_core(self, name: str, defaults: Keys, *, of_hub: bool) -> ModelSpec:
        """As a core value, with the defaults applied.

        Args:
            of_hub: Whether its source is a hub's.

        Raises:
            Refused: `target` of [defaults] is not safe with this name in it.
        """
        ref = SourceRef.parse(self.source)
        keys = _keys_of(self, None if isinstance(self.files, dict) else self.files)
        spec = spec_of(name, ref, keys, defaults, of_hub=of_hub)
        if not ref.is_url:
            return spec
        web = web_files(ref, self.files, self.sha256)
        return replace(spec, requested=_requested_of_url(self, web), web=web)


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
    default_groups: list[Group] | None = Field(
        default=None,
        alias="default-groups",
        description="Which groups a sync is about that names neither a model nor a group; models in no group always "
        "are in it. Left out: all models.",
        examples=[["embed"], []],
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

    policy: PolicyTable | None = Field(default=None, description="What may be locked and synced.")

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

    @model_validator(mode="after")
    def _groups_with_models(self) -> "ManifestFile":
        every = [self.defaults.groups if each.groups is None else each.groups for each in self.models.values()]
        require_models_in(self.default_groups or (), {group for groups in every for group in groups or ()})
        return self

    @model_validator(mode="after")
    def _layouts_of_hubs(self) -> "ManifestFile":
        for name, table in self.models.items():
            if table.layout and not self._is_of_hub(table):
                raise refusal(
                    "has no meaning for a source that is no hub, because the libraries know ids of hubs only",
                    expected="a source such as `modelscope:OWNER/NAME` or `huggingface:OWNER/NAME`",
                    fix="remove `layout`",
                    at=("models", name, "layout"),
                )
        return self

    def _is_of_hub(self, table: ModelTable) -> bool:
        return is_of_hub(SourceRef.parse(table.source), {name: each.kind for name, each in self.sources.items()})

    def to_core(self) -> Manifest:
        """As a core value, with the defaults applied; models sorted by name."""
        defaults = self.defaults.keys()
        manifest = Manifest(
            models={
                ModelName(name): table.to_core(name, defaults, of_hub=self._is_of_hub(table))
                for name, table in sorted(self.models.items())
            },
            sources={name: table.to_core(name) for name, table in sorted(self.sources.items())},
            default_groups=None if self.default_groups is None else default_groups_of(self.default_groups),
        )
        return manifest.with_policy(self.policy.to_core()) if self.policy else manifest


def read_tables(data: Mapping[str, Any], text: str, *, file: str, sources: Collection[str]) -> Manifest:
    """Read the tables of models.toml.

    Args:
        data: What TOML makes of the text, or a part of it.
        file: The file's name, for errors.
        sources: The names of [sources], which `source` may use.

    Raises:
        ConfigError: Anything that is not as design 2 says; all problems at once.
    """
    try:
        return ManifestFile.model_validate(data, context={"sources": sources}).to_core()
    except ValidationError as error:
        problems = [_placed_better(problem) for problem in problems_of(error, ManifestFile)]
        problems = mend_dotted_names(problems, data, keys=ModelTable.model_fields.keys())
        raise error_of(problems, text, file=file) from None
    except Refused as refused:
        path = ("defaults", "target")  # the one value that is not known before it has met a model's name
        problem = Problem(path=path, says=refused.says, facts=refused.facts, fix=refused.fix)
        raise error_of([problem], text, file=file) from None


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


def _keys_of(table: DefaultsTable | ModelTable, files: list[str] | None) -> Keys:
    return Keys(
        revision=table.revision,
        include=table.include,
        exclude=table.exclude,
        files=files,
        fallback=table.fallback,
        groups=table.groups,
        target=table.target,
        layout=table.layout,
    )


def _requested_of_url(own: ModelTable, web: tuple[WebFile, ...]) -> Requested:
    """What `files` names and nothing else: a web server lists nothing that patterns could choose from."""
    return Requested(
        files=tuple(file.path for file in web),
        addresses=addresses_digest(web) if isinstance(own.files, dict) else None,
    )
