"""What `fetcher list` says: a row for each model of the manifest and of the lock.  Pure; no look at the disk.

Promises (tests/cli/test_list.py):
  * every model of either is in it once, sorted by name;
  * a model that says `locked` has a section that is what the manifest asks for.
"""

from dataclasses import dataclass
from typing import Literal

from fetcher.core.choice import Choice, unknown_groups, unknown_models
from fetcher.core.lock import Lock, LockedModel, staleness
from fetcher.core.manifest import Layout, Manifest, ModelSpec

State = Literal["locked", "stale", "not locked", "left over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A model as manifest and lock have it.

    Attributes:
        state: Whether its section of the lock is what the manifest asks for, is missing, or is
            one that the manifest no longer asks for.
        revision: What the manifest asks for; None is the source's default.
        commit: Of the lock; None without a section, as with `files` and `size`.
        size: Bytes.
        target: As the manifest says; None is the cache of an official library.
    """

    name: str
    state: State
    source: str
    revision: str | None
    commit: str | None
    files: int | None
    size: int | None
    target: str | None
    groups: tuple[str, ...]


def listed(manifest: Manifest, lock: Lock, choice: Choice) -> list[Listed]:
    """The models in question.

    Raises:
        ConfigError: A name or a group that there is not.
    """
    layout = Layout.of(manifest)
    stale = {item.model for item in staleness(manifest, lock)}
    known = sorted(manifest.models.keys() | lock.models.keys())
    unknown = [name for name in choice.names if name not in known]
    if unknown:
        raise unknown_models(unknown, known)
    groups = {group for each in layout.groups.values() for group in each}
    if strange := [group for group in choice.groups if group not in groups]:
        raise unknown_groups(strange, groups)
    return [
        _row(name, manifest.models.get(name), lock.models.get(name), is_stale=name in stale)
        for name in known
        if (not choice.names or name in choice.names)
        and (not choice.groups or {*layout.groups.get(name, ())} & {*choice.groups})
    ]


def _row(name: str, spec: ModelSpec | None, model: LockedModel | None, *, is_stale: bool) -> Listed:
    state: State = "stale" if is_stale else "locked"
    if spec is None or model is None:
        state = "left over" if model else "not locked"
    return Listed(
        name=name,
        state=state,
        source=str(spec.source if spec else model.source if model else ""),
        revision=spec.requested.revision if spec else None,
        commit=model.commit if model else None,
        files=len(model.files) if model else None,
        size=model.size if model else None,
        target=spec.target if spec else None,
        groups=spec.groups if spec else (),
    )
