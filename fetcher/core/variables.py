"""What a program that uses models is told by its environment.  Pure.

Promises (tests/core/test_variables.py):
  * no two models share a variable: it is an error;
  * a variable's name is one that every shell can set.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fetcher.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A model that a program is given.

    Attributes:
        folder: Where its files are; absolute.
    """

    name: str
    folder: str


def variable_of(name: str) -> str:
    """The variable that holds a model's folder: `FETCHER_MODEL_BGE_SMALL_ZH` for `bge-small.zh`."""
    return f"FETCHER_MODEL_{re.sub('[^A-Z0-9]', '_', name.upper())}"


def model_variables(models: Iterable[Provided]) -> dict[str, str]:
    """A variable for each model, with its folder.

    Raises:
        ConfigError: Two of them would have the same one.
    """
    found: dict[str, str] = {}
    owners: dict[str, str] = {}
    for model in models:
        variable = variable_of(model.name)
        if variable in owners:
            raise ConfigError(
                f"Two models share the variable {variable}.",
                facts=[f"models: {owners[variable]}, {model.name}"],
                fix="name the one that is needed, or rename the other",
            )
        owners[variable] = model.name
        found[variable] = model.folder
    return found
