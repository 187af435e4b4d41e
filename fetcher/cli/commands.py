"""The commands by their names; the module of each is loaded when the command is asked for.

To load them all and to have typer read their options takes a fifth of a short command.  Only
`--help` and completion, which show them all, pay for that.

Promises (tests/cli/test_help.py, tests/test_architecture.py):
  * each module has the commands that are told of it here, and no others;
  * a command loads no other command's module.
"""

from collections.abc import Iterator, MutableMapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_group

if TYPE_CHECKING:
    from typer._click.core import Command

MODULES = {  # command: its module in cli/; in the order of `--help`
    "init": "starting",
    "demo": "starting",
    "serve": "starting",
    "schema": "starting",
    "add": "editing",
    "remove": "editing",
    "update": "editing",
    "lock": "locking",
    "git-merge": "merging",
    "no-weights": "checking",
    "digest": "checking",
    "sync": "syncing",
    "status": "looking",
    "list": "looking",
    "tree": "looking",
    "path": "looking",
    "why": "explaining",
    "outdated": "moving",
    "diff": "comparing",
    "exec": "running",
    "env": "running",
    "undo": "undoing",
    "download": "downloading",
    "login": "credentials",
    "logout": "credentials",
    "auth": "credentials",
    "verify": "verifying",
    "setup": "merging",
    "store": "storing",
}


class Commands(TyperGroup):
    """A group that takes its commands from `MODULES`."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Loaded()


class _Loaded(MutableMapping[str, "Command"]):
    """The commands, each made with those of its module when one of them is asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> "Command":
        if name not in self._made:
            self._made.update(commands_of(MODULES[name]))
        return self._made[name]

    def __setitem__(self, name: str, command: "Command") -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


@cache
def commands_of(module: str) -> "dict[str, Command]":
    """What a module of cli/ adds to the command line."""
    part = typer.Typer()
    import_module(f"fetcher.cli.{module}").add_to(part)
    return cast("dict[str, Command]", get_group(part).commands)
