"""Declares, locks and syncs the model files of a repository.

The public names are loaded when they are used: importing this costs neither an HTTP stack nor
pydantic (tests/api/test_names.py), and the command line's front room imports it too.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # a type checker takes it for true; importing `typing` costs more than all else here

if TYPE_CHECKING:
    from fetcher.api import (
        dataset_file_download,
        dataset_snapshot_download,
        login,
        logout,
        model_file_download,
        snapshot_download,
    )
    from fetcher.core.lock import Lock, LockedFile, LockedModel, Staleness
    from fetcher.core.lockdiff import ModelChange
    from fetcher.core.moves import Wanted
    from fetcher.core.plan import Plan
    from fetcher.errors import (
        AuthError,
        BlockedError,
        BusyError,
        CommandError,
        ConfigError,
        DifferenceError,
        DiskError,
        FetcherError,
        IntegrityError,
        InterruptedRun,
        NoCommandError,
        NotFoundError,
        OfflineError,
        PartialError,
        PointerError,
        PolicyError,
        SourceError,
        TerminatedRun,
    )
    from fetcher.logins import Login
    from fetcher.places import path
    from fetcher.project import Project
    from fetcher.results import LockChange, Status
    from fetcher.settings import Flags, Settings
    from fetcher.sync import Report
    from fetcher.undo import Undone
    from fetcher.watch import Event

__all__ = [
    "AuthError",
    "BlockedError",
    "BusyError",
    "CommandError",
    "ConfigError",
    "DifferenceError",
    "DiskError",
    "Event",
    "FetcherError",
    "Flags",
    "IntegrityError",
    "InterruptedRun",
    "Lock",
    "LockChange",
    "LockedFile",
    "LockedModel",
    "Login",
    "ModelChange",
    "NoCommandError",
    "NotFoundError",
    "OfflineError",
    "PartialError",
    "Plan",
    "PointerError",
    "PolicyError",
    "Project",
    "Report",
    "Settings",
    "SourceError",
    "Staleness",
    "Status",
    "TerminatedRun",
    "Undone",
    "Wanted",
    "__version__",
    "dataset_file_download",
    "dataset_snapshot_download",
    "login",
    "logout",
    "model_file_download",
    "path",
    "snapshot_download",
]

_ROOMS = {  # name: the module that has it; every other one is an error
    "Event": "watch",
    "Flags": "settings",
    "Lock": "core.lock",
    "LockChange": "results",
    "LockedFile": "core.lock",
    "LockedModel": "core.lock",
    "Login": "logins",
    "ModelChange": "core.lockdiff",
    "Plan": "core.plan",
    "Project": "project",
    "Report": "sync",
    "Settings": "settings",
    "Staleness": "core.lock",
    "Status": "results",
    "Undone": "undo",
    "Wanted": "core.moves",
    "path": "places",
}

if not TYPE_CHECKING:  # or a type checker would take any name for one that exists

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        room = _ROOMS.get(name) or ("api" if name.islower() else "errors")
        value = getattr(import_module(f"{__name__}.{room}"), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
