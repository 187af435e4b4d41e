"""Which models a command is about, and the folder of each.  Pure."""

import os.path
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from fetcher.core.hints import closest
from fetcher.core.lock import Lock
from fetcher.core.manifest import Layout
from fetcher.core.paths import ModelName
from fetcher.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which models a command is about.

    Attributes:
        names: NAMEs; empty is all.
        groups: Group names; empty is all.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def is_everything(self) -> bool:
        """Whether nothing was left out, so that leftovers of removed models count too."""
        return not (self.names or self.groups)


EVERYTHING = Choice()


def chosen_models(lock: Lock, choice: Choice, layout: Layout) -> list[ModelName]:
    """The models of the lock that are in question, in its order.

    Raises:
        ConfigError: A name that the lock does not have, a group without a model.
    """
    unknown = [name for name in choice.names if name not in lock.models]
    if unknown:
        raise unknown_models(unknown, lock.models)
    known_groups = {group for groups in layout.groups.values() for group in groups}
    strange = [group for group in choice.groups if group not in known_groups]
    if strange:
        raise unknown_groups(strange, known_groups)
    return [
        name
        for name in lock.models
        if (not choice.names or name in choice.names)
        and (not choice.groups or {*layout.groups.get(name, ())} & {*choice.groups})
    ]


def unknown_groups(groups: Sequence[str], known: Iterable[str]) -> ConfigError:
    """The error for groups in which no model is."""
    return ConfigError(
        f"No model is in the group {', '.join(groups)}.",
        fix=f"name one of: {', '.join(sorted(known)) or 'none (models.toml has no groups)'}",
    )


def unknown_models(names: Sequence[str], known: Iterable[str]) -> ConfigError:
    """The error for names that models.toml does not have; names the closest ones."""
    facts = []
    for name in names:
        near = closest(name, sorted(known))
        facts.append(f"unknown: {name}" + (f" (did you mean {', '.join(near)}?)" if near else ""))
    listed = ", ".join(sorted(known)) or "none"
    return ConfigError("There is no such model.", facts=facts, fix=f"name one of: {listed}")


def targets_of(lock: Lock, layout: Layout, root: PurePath) -> dict[str, str]:
    """The target of each locked model: relative to the project with `/`, or absolute."""
    return {name: _inside(layout.targets.get(name, f"models/{name}"), root) for name in lock.models}


def _inside(target: str, root: PurePath) -> str:
    """An absolute target below the project is the relative one, so that no file has two spots."""
    if not os.path.isabs(target):
        return target
    path = PurePath(os.path.normpath(target))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
