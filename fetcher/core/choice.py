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
        groups: Group names; empty is all, or where no NAME is given either what `default-groups` says.
        all_groups: Whatever `default-groups` says.
        gone: NAMEs that the lock has no more and whose files are in question; then no others are.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    all_groups: bool = False
    gone: tuple[str, ...] = ()

    def is_usual(self) -> bool:
        """Whether nothing was said, so that leftovers of removed models count too."""
        return self == USUAL

    @property
    def is_open(self) -> bool:
        """Whether models are in question that nobody named."""
        return not (self.names or self.groups or self.gone)

    def without_defaults(self) -> "Choice":
        """The same, whatever `default-groups` says: of commands that are about pins, not about the disk."""
        return EVERYTHING if self.is_open else self


USUAL = Choice()
EVERYTHING = Choice(all_groups=True)


def choice_of(names: Iterable[str] = (), groups: Iterable[str] = (), *, all_groups: bool = False) -> Choice:
    """What a command line or a program asks for; one name alone need not stand in a list.

    Raises:
        ConfigError: All groups, and some.
    """
    some = Choice(names=_words(names), groups=_words(groups))
    if all_groups and not some.is_open:
        raise ConfigError(
            "All groups are asked for, and some models.", fix="leave --all-groups out, or NAME and --group"
        )
    return EVERYTHING if all_groups else some


def _words(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def chosen_models(lock: Lock, choice: Choice, layout: Layout) -> list[ModelName]:
    """The models of the lock that are in question, in its order.

    Raises:
        ConfigError: A name that the lock does not have, a group without a model.
    """
    if choice.gone:
        return []
    if choice.is_open:
        return [name for name in lock.models if choice.all_groups or layout.takes_by_default(name)]
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
