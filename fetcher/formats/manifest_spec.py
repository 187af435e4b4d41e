"""What the keys of a model and those of [defaults] mean together.

The keys are checked before, by whoever reads them: manifest_plain.py or manifest_tables.py.
"""

from dataclasses import dataclass

from fetcher.core.manifest import ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName
from fetcher.formats.manifest_values import checked_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys that [defaults] and [models.NAME] have in common; None is a key that was left out."""

    revision: str | None = None
    include: list[str] | None = None
    exclude: list[str] | None = None
    files: list[str] | None = None
    fallback: list[str] | None = None
    groups: list[str] | None = None
    target: str | None = None


def spec_of(name: str, source: SourceRef, own: Keys, defaults: Keys) -> ModelSpec:
    """One model, with the defaults applied.

    Raises:
        Refused: `target` of [defaults] is not safe with this name in it.
    """
    target = own.target
    if target is None:
        target = checked_target(defaults.target.replace("{name}", name)) if defaults.target else f"models/{name}"
    fallback = own.fallback if own.fallback is not None else defaults.fallback
    groups = own.groups if own.groups is not None else defaults.groups
    return ModelSpec(
        name=ModelName(name),
        source=source,
        requested=_requested(own, defaults, source),
        fallback=tuple(SourceRef.parse(text) for text in dict.fromkeys(fallback or ())),
        groups=tuple(sorted(set(groups or ()))),
        target=target,
    )


def _requested(own: Keys, defaults: Keys, source: SourceRef) -> Requested:
    if own.exclude is None:
        exclude = defaults.exclude or []
    else:
        exclude = [*own.exclude, *(defaults.exclude or [])] if own.exclude else []
    include = own.include if own.include is not None else defaults.include
    files = own.files if own.files is not None else defaults.files
    revision = own.revision if own.revision is not None else defaults.revision
    return Requested(
        revision=revision if source.has_commits else None,
        include=tuple(sorted(set(include or ()))),
        exclude=tuple(sorted(set(exclude))),
        files=tuple(sorted(set(files or ()))),
    )
