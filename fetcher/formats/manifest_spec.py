"""What the keys of a model and those of [defaults] mean together.

The keys are checked before, by whoever reads them: manifest_plain.py or manifest_tables.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fetcher.core.manifest import HUB_KINDS, CacheLayout, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName
from fetcher.formats.manifest_values import checked_target

DEFAULT_GROUPS = "default-groups"


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
    layout: str | None = None


def is_of_hub(source: SourceRef, kinds: Mapping[str, str]) -> bool:
    """Whether a source is a repository of a hub, so that libraries know it by an id.

    Args:
        kinds: Those of [sources], by NAME.
    """
    return kinds.get(source.scheme, source.scheme) in HUB_KINDS


def spec_of(name: str, source: SourceRef, own: Keys, defaults: Keys, *, of_hub: bool) -> ModelSpec:
    """One model, with the defaults applied.

    Args:
        of_hub: Whether its source is a hub's; a `layout` of [defaults] is for these only.

    Raises:
        Refused: `target` of [defaults] is not safe with this name in it.
    """
    layout = (own.layout or defaults.layout) if of_hub else None
    target = own.target
    if target is None and defaults.target and (layout or "{name}" in defaults.target):
        target = checked_target(defaults.target.replace("{name}", name))
    if target is None and layout is None:
        target = f"models/{name}"
    fallback = own.fallback if own.fallback is not None else defaults.fallback
    groups = own.groups if own.groups is not None else defaults.groups
    return ModelSpec(
        name=ModelName(name),
        source=source,
        requested=_requested(own, defaults, source),
        fallback=tuple(SourceRef.parse(text) for text in dict.fromkeys(fallback or ())),
        groups=tuple(sorted(set(groups or ()))),
        target=target,
        layout=CacheLayout(layout) if layout else None,
    )


def default_groups_of(names: Iterable[str]) -> tuple[str, ...]:
    """The names in `default-groups`, as a manifest has them."""
    return tuple(sorted(set(names)))


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
