"""The shape of [policy] as pydantic tables: every mistake with its place, and the JSON Schema.

A part of manifest_tables.py; what a single value may be is policy_values.py.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from fetcher.core.content.words import KNOWN
from fetcher.core.policy import LEVELS, RULES, Policy
from fetcher.formats import policy_values
from fetcher.formats.manifest_keys import Pattern
from fetcher.formats.policy_plain import policy_of


def _source(text: str, info: ValidationInfo) -> str:
    return policy_values.source_pattern(text, (info.context or {}).get("sources", ()))


_SCHEMA_SIZE = r"^\s*[0-9]{1,15}(?:\.[0-9]{1,9})?\s*[kKmMgG]?(?:i?[bB])?\s*$"
_SCHEMA_AGE = r"^\s*[0-9]{1,9}(?:\.[0-9]{1,9})?\s*[dhms]?\s*$"

SourcePattern = Annotated[str, AfterValidator(_source), Field(json_schema_extra={"minLength": 1})]
HostPattern = Annotated[
    str, AfterValidator(policy_values.host_pattern), Field(json_schema_extra={"pattern": r"^[^\s/@]+$"})
]
LicensePattern = Annotated[
    str, AfterValidator(policy_values.license_pattern), Field(json_schema_extra={"minLength": 1})
]
Format = Annotated[str, AfterValidator(policy_values.format_word), Field(json_schema_extra={"enum": sorted(KNOWN)})]
LevelWord = Annotated[str, AfterValidator(policy_values.level), Field(json_schema_extra={"enum": [*LEVELS]})]
RuleWord = Annotated[str, AfterValidator(policy_values.rule), Field(json_schema_extra={"enum": [*RULES]})]
SizeText = Annotated[str, AfterValidator(policy_values.size), Field(json_schema_extra={"pattern": _SCHEMA_SIZE})]
AgeText = Annotated[str, AfterValidator(policy_values.age), Field(json_schema_extra={"pattern": _SCHEMA_AGE})]
Reason = Annotated[str, AfterValidator(policy_values.reason), Field(json_schema_extra={"pattern": r"\S"})]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _ChoicesTable(_Table):
    """`deny` beats `warn` beats `allow`; what none of them names is `other`."""

    other: LevelWord | None = Field(
        default=None,
        description="What holds for all else. Left out: `deny` where `allow` names something, else `allow`.",
        examples=["deny"],
    )


class SourcesTable(_ChoicesTable):
    """Sources: patterns such as `modelscope`, `huggingface:OWNER/*`, or the name of a [sources.NAME]."""

    deny: list[SourcePattern] = Field(default=[], description="Refused.", examples=[["https"]])
    warn: list[SourcePattern] = Field(default=[], description="Taken with a warning.", examples=[["huggingface"]])
    allow: list[SourcePattern] = Field(default=[], description="Taken.", examples=[["modelscope:Qwen/*", "corp"]])


class HostsTable(_ChoicesTable):
    """Hosts that may be asked; where these redirect for the bytes of a file is theirs to say."""

    deny: list[HostPattern] = Field(default=[], description="Refused.", examples=[["huggingface.co"]])
    warn: list[HostPattern] = Field(default=[], description="Asked with a warning.", examples=[["hf-mirror.example"]])
    allow: list[HostPattern] = Field(default=[], description="Asked.", examples=[["modelscope.cn", "*.corp.example"]])


class LicensesTable(_ChoicesTable):
    """Licences as the source tells them, in small letters; `unknown` where it does not."""

    deny: list[LicensePattern] = Field(default=[], description="Refused.", examples=[["cc-by-nc-*"]])
    warn: list[LicensePattern] = Field(default=[], description="Taken with a warning.", examples=[["other:*"]])
    allow: list[LicensePattern] = Field(default=[], description="Taken.", examples=[["apache-2.0", "mit"]])


class FormatsTable(_ChoicesTable):
    """What files are, judged by their content: `pickle` is every pickle, `remote-code` an `auto_map` with its code."""

    deny: list[Format] = Field(default=[], description="Refused.", examples=[["pickle", "remote-code"]])
    warn: list[Format] = Field(default=[], description="Taken with a warning.", examples=[["unknown"]])
    allow: list[Format] = Field(default=[], description="Taken.", examples=[["safetensors", "json", "text"]])


class SizeTable(_Table):
    """Bounds in bytes: `500M`, `20G`."""

    total: SizeText | None = Field(
        default=None, description="All models together, each content once.", examples=["40G"]
    )
    model: SizeText | None = Field(default=None, description="One model.", examples=["20G"])
    level: LevelWord = Field(default="deny", description="What happens above it.", examples=["warn"])


class AgeTable(_Table):
    """How long ago the commit of a model must have been made."""

    minimum: AgeText = Field(description="Days (`7d`) or hours (`12h`).", examples=["7d"])
    level: LevelWord = Field(default="deny", description="What happens below it.", examples=["warn"])


class WaiverTable(_Table):
    """Something that is taken although a rule is against it."""

    rule: RuleWord = Field(description="The rule.", examples=["formats"])
    models: list[Pattern] = Field(
        default=[], description="Patterns of names of models. Left out: all.", examples=[["bert-*"]]
    )
    files: list[Pattern] = Field(
        default=[], description="Patterns of files. Left out: all, and the model itself.", examples=[["*.bin"]]
    )
    reason: Reason = Field(description="Why it is taken.", examples=["has no safetensors; loaded with weights_only"])


class PolicyTable(_Table):
    """What may be locked and synced; broken, both exit 8. `fetcher lock` records what the rules need."""

    sources: SourcesTable | None = Field(default=None, description="Where models may come from.")
    hosts: HostsTable | None = Field(default=None, description="Which hosts may be asked.")
    licenses: LicensesTable | None = Field(default=None, description="Which licences models may have.")
    size: SizeTable | None = Field(default=None, description="How large models may be.")
    age: AgeTable | None = Field(default=None, description="How old a commit must be.")
    formats: FormatsTable | None = Field(default=None, description="What files may be.")
    waivers: list[WaiverTable] = Field(default=[], description="What is taken all the same, and why.")

    def to_core(self) -> Policy:
        """As a core value."""
        return policy_of(self.model_dump(exclude_none=True))
