"""Where the files of a locked model are: all that `fetcher path` needs, without the road to the disk.

Promise (tests/api/test_project.py): nothing is looked at but whether they are there, and neither
the sources nor the index are loaded for it.
"""

import os
from pathlib import Path

from fetcher.core.choice import unknown_models
from fetcher.disk.names import snapshot_folder
from fetcher.errors import ConfigError, DifferenceError
from fetcher.pins import Pins
from fetcher.sources.caches import own_caches


def path(name: str, file: str | None = None, *, start: str | os.PathLike[str] | None = None) -> Path:
    """Where a model's files are, or one of them, in the project of the current folder.

    Args:
        name: NAME of the model in models.toml.
        file: One of its files.
        start: A folder of the project, or a file in it, such as `__file__`.

    Raises:
        ConfigError: There is no project, or no such model or file in its lock.
        DifferenceError: What was asked for is not there yet.
    """
    return locate(Pins.find(start), name, file)


def locate(pins: Pins, name: str, file: str | None = None) -> Path:
    """Where a model's files are, or one of them.

    Raises:
        ConfigError: The lock has no such model or no such file.
        DifferenceError: The model is not locked yet, or what was asked for is not there.
    """
    lock = pins.frozen_lock()
    layout = pins.layout.with_own_caches(own_caches(pins.settings.environment, pins.settings.home))
    model = lock.models.get(name)  # type: ignore[call-overload]
    if model is None and name in layout.targets:
        raise DifferenceError(
            f"{pins.lock_path.name} has no model {name} yet.", fix="run `fetcher lock`, then `fetcher sync`"
        )
    if model is None:
        raise unknown_models([name], lock.models)
    folder = snapshot_folder(lock, layout, pins.root, model.name)
    if file is None:
        missing = [item.path for item in model.files if not os.path.lexists(folder / item.path)]
        if missing:
            raise DifferenceError(
                f"{len(missing)} of {len(model.files)} files of {name} are not there yet.",
                facts=[f"missing: {path}" for path in missing[:5]],
                fix=f"run `fetcher sync {name}`",
            )
        return folder
    if file not in {item.path for item in model.files}:
        raise ConfigError(
            f"{pins.lock_path.name} has no file {file} in {name}.", fix=f"run `fetcher path {name}` for the folder"
        )
    if not os.path.lexists(folder / file):
        raise DifferenceError(f"{folder / file} is not there yet.", fix=f"run `fetcher sync {name}`")
    return folder / file
