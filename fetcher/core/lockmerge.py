"""Merge two sides of models.lock, model by model.  Pure.

A side is what one branch's lock says.  A section that only one side changed is not seen
here; where both sides say something else, the manifest and the seals decide, and what
they leave open is resolved anew.

Promises (tests/core/test_lockmerge.py; under real git, tests/test_git_merge.py):
  * a section is taken as one side wrote it, never a mixture;
  * two moved pins of one model are never settled by taking one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fetcher.core.lock import LockedModel, stale_fields
from fetcher.core.manifest import Manifest, ModelSpec

Taken = Literal["both", "ours", "theirs", "anew"]
Side = Mapping[str, LockedModel | None]  # None: a section that cannot be read

_HOME_FIELDS = {"source", "revision", "addresses"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one model of the two sides.

    Attributes:
        taken: Whose section stays; `anew` is neither, so that it will be resolved.
        reason: Why, where the sides differ; empty where they do not.
    """

    name: str
    taken: Taken
    reason: str = ""

    def __str__(self) -> str:
        what = "resolved anew" if self.taken == "anew" else f"took {self.taken}"
        return f"{self.name}: {what}, {self.reason}"


def merge_sides(manifest: Manifest, ours: Side, theirs: Side) -> list[Verdict]:
    """Decide about every model that models.toml still has, sorted by name."""
    return [
        _verdict(manifest.models[name], ours, theirs)
        for name in sorted(manifest.models)
        if name in ours or name in theirs
    ]


def _verdict(spec: ModelSpec, ours: Side, theirs: Side) -> Verdict:
    name = spec.name
    if name not in theirs:
        return _only("ours", name, ours[name])
    if name not in ours:
        return _only("theirs", name, theirs[name])
    mine, other = ours[name], theirs[name]
    if mine is not None and mine == other:
        return Verdict(name=name, taken="both")
    if mine is None or other is None or not (_is_whole(mine) and _is_whole(other)):
        return Verdict(name=name, taken="anew", reason="because git mixed the two sides of its section")
    return _of_two(spec, mine, other)


def _only(side: Literal["ours", "theirs"], name: str, model: LockedModel | None) -> Verdict:
    """A model that one side has; models.toml says that it stays."""
    if model is None or not model.is_intact():
        return Verdict(name=name, taken="anew", reason="because its section is not as it was written")
    return Verdict(name=name, taken=side, reason="the only side that has it")


def _of_two(spec: ModelSpec, mine: LockedModel, other: LockedModel) -> Verdict:
    at_home = [_has_home(spec, mine), _has_home(spec, other)]
    if at_home == [False, False]:
        return Verdict(name=spec.name, taken="anew", reason="because neither side is what models.toml asks for")
    if at_home == [True, True] and mine.commit != other.commit:
        reason = f"because both sides moved its pin ({mine.commit[:12]} and {other.commit[:12]})"
        return Verdict(name=spec.name, taken="anew", reason=reason)
    if at_home == [True, True]:
        side: Taken = "theirs" if any(stale_fields(spec, mine)) and not any(stale_fields(spec, other)) else "ours"
        return Verdict(name=spec.name, taken=side, reason="since both are at the same commit")
    side = "ours" if at_home[0] else "theirs"
    return Verdict(name=spec.name, taken=side, reason="the side that models.toml asks for")


def _is_whole(model: LockedModel) -> bool:
    """Whether a section is surely as one side wrote it; without a seal nobody knows."""
    return model.seal is not None and model.is_intact()


def _has_home(spec: ModelSpec, model: LockedModel) -> bool:
    return not any(stale.field in _HOME_FIELDS for stale in stale_fields(spec, model))
