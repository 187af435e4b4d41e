"""Why a model has a file, or has it not: by its patterns and its lock.  Pure.

Promise (tests/core/test_why.py): what is said of a locked file is what `select` did.
"""

from dataclasses import dataclass

from fetcher.core.lock import LockedFile, LockedModel
from fetcher.core.selection import Chooser


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One model's word about a path of its repository.

    Attributes:
        file: What is locked; None where the model does not have the path.
        reason: What took it or left it.
    """

    model: LockedModel
    path: str
    file: LockedFile | None
    reason: str


def why(model: LockedModel, path: str) -> Why:
    """What a locked model says about a path from the root of its repository."""
    file = next((file for file in model.files if file.path == path), None)
    choice = Chooser(model.requested).judge(path)
    reason = choice.reason
    if file is None and choice.is_taken:
        reason = f"{model.source} has no such file at {model.commit[:12]}"
    return Why(model=model, path=path, file=file, reason=reason)
