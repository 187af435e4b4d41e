"""What `--json` prints, as types; `fetcher schema output` and schemas/output/ are made from them.

A command builds a dict of these keys, so that mypy sees one that is missing or of another
type; values of the rooms below may stand in it as they are (render.py writes their fields).
Read by type checkers and by formats/schemas.py only: no command pays for it.

Keys are added in later versions, so a reader must not mind one that it does not know.

Promises (tests/cli/test_documents.py):
  * every command with `--json` has its types in `DOCUMENTS`;
  * what a command prints has these keys and no others, also when it fails.
"""

from collections.abc import Mapping
from typing import (
    Literal,
    NotRequired,  # pydantic reads these only, before Python 3.12
)

from typing_extensions import TypedDict

from fetcher.cli.event_lines import EVENTS
from fetcher.core.change import Usage
from fetcher.core.listing import Listed
from fetcher.core.lock import Staleness
from fetcher.core.lockdiff import FieldChange, Kind
from fetcher.core.lockmerge import Taken
from fetcher.core.offers import Offer
from fetcher.core.standing import Standing
from fetcher.core.verdicts import Finding
from fetcher.upkeep import Holding

Sha256Hex = str
Spot = str  # a path from the project's folder, or an absolute one


class Error(TypedDict):
    """What went wrong, as said on standard error too.

    Attributes:
        code: The exit code.
        what: One sentence.
        fix: What to run or to change; null where nobody knows.
    """

    code: int
    what: str
    facts: list[str]
    fix: str | None


class ErrorDocument(TypedDict):
    """Printed by a command that failed before it had anything to say."""

    error: Error


class File(TypedDict):
    """A file with its content; `size` in bytes."""

    path: str
    sha256: Sha256Hex
    size: int


class MoveOf(TypedDict):
    """A file that gets another place; `origin` is where it is."""

    path: Spot
    origin: Spot


class Obstacle(TypedDict):
    """What is in the way of a wanted file, and why fetcher does not touch it."""

    path: Spot
    obstacle: Spot
    reason: str


class PlanDocument(TypedDict):
    """What a sync would do.

    Attributes:
        keep: How many files are right already.
        fetch: One for each content that the store lacks; `fetch_size` their bytes.
        place: To appear or to be replaced, whether fetched first or not.
        remove: fetcher's own, no longer wanted.
        aside: To be moved into the trash, with `--force`.
        blocked: Needs you: exit 9.
        left: No longer wanted, and edited since: stays.
    """

    keep: int
    fetch: list[File]
    fetch_size: int
    place: list[File]
    move: list[MoveOf]
    remove: list[Spot]
    aside: list[Spot]
    blocked: list[Obstacle]
    left: list[Spot]


class SyncDocument(TypedDict):
    """`fetcher sync`: what was done.

    Attributes:
        kept: How many files were right already.
        moved: New place by old place.
        left: No longer wanted, but edited or not fetcher's: stays.
        moved_aside: Where in `.fetcher/trash/` each obstacle is now.
        failed: With `--keep-going`: the models that failed, and why.
    """

    up_to_date: bool
    kept: int
    placed: list[Spot]
    fetched: list[File]
    removed: list[Spot]
    moved: dict[Spot, Spot]
    left: list[Spot]
    moved_aside: dict[Spot, str]
    failed: dict[str, str]


class SyncLookDocument(TypedDict):
    """`fetcher sync --check` and `--dry-run`: what would be done."""

    up_to_date: bool
    plan: PlanDocument


class MergedModel(TypedDict):
    """Of a lock with conflict markers: whose section stayed, and why."""

    model: str
    taken: Taken
    reason: str


class LockedModelDocument(TypedDict):
    """What is pinned; `files` is how many, `size` their bytes.

    Attributes:
        tree: Digest of the sorted lines `<sha256> <size> <path>`.
    """

    commit: str
    tree: str
    files: int
    size: int


class LockedChange(TypedDict):
    """A model whose section changes.

    Attributes:
        files: How many of its files are others now.
        fetch_size: Bytes that the section did not have before.
    """

    model: str
    kind: Kind
    files: int
    fetch_size: int


class LockDocument(TypedDict):
    """`fetcher lock`: what is pinned now.

    Attributes:
        written: Whether the file was; never with `--dry-run`.
        differs: Whether it is another one than before.
    """

    written: bool
    differs: bool
    merged: list[MergedModel]
    models: dict[str, LockedModelDocument]
    changes: list[LockedChange]


class EditDocument(TypedDict):
    """`fetcher add` and `remove`: what was written.

    Attributes:
        models: The entries that are new or gone.
        changes: Of models.lock.
        synced: What was done on the disk; null with `--no-sync`.
    """

    models: list[str]
    changes: list[LockedChange]
    synced: SyncDocument | None


class TakenFile(TypedDict):
    """A file of the source that the model would have; `size` in bytes."""

    path: str
    size: int


class LeftFile(TypedDict):
    """A file of the source that the model would not have, and what decided so."""

    path: str
    size: int
    reason: str


class AddLookDocument(TypedDict):
    """`fetcher add --dry-run`: what the model would be.

    Attributes:
        commit: Null where the source has no commits.
        taken_size, left_size: Bytes.
        idle_patterns: Those that match no file.
    """

    name: str
    source: str
    commit: str | None
    taken: list[TakenFile]
    taken_size: int
    left: list[LeftFile]
    left_size: int
    idle_patterns: list[str]


class UpdateDocument(TypedDict):
    """`fetcher update`: which pins moved.

    Attributes:
        written: Whether models.lock was; never with `--dry-run`.
        synced: What was done on the disk; null with `--no-sync` and `--dry-run`.
    """

    written: bool
    changes: list[LockedChange]
    synced: SyncDocument | None


class LockCheckDocument(TypedDict):
    """`fetcher lock --check`: the fields in which the lock is not what the manifest asks for.

    Attributes:
        policy: What a rule of the policy denies (exit 8) or warns of.
    """

    fresh: bool
    stale: list[Staleness]
    policy: list[Finding]


class StatusDocument(TypedDict):
    """`fetcher status`: how the disk and the lock stand.

    Attributes:
        up_to_date: Whether the disk is what the lock says; missing without a lock, as with the next three.
        unmanaged: What lies beside the files and is neither the lock's nor fetcher's; a folder ends with `/`.
    """

    lock: Literal["missing", "stale", "fresh"]
    stale: list[Staleness]
    manifest: str
    trash: Usage
    up_to_date: NotRequired[bool]
    models: NotRequired[list[Standing]]
    unmanaged: NotRequired[list[Spot]]
    plan: NotRequired[PlanDocument]


class ListDocument(TypedDict):
    """`fetcher list`: the models of manifest and lock."""

    models: list[Listed]


class TreeFile(TypedDict):
    """A locked file; `same_as` names others with the same bytes, as `NAME/path`."""

    path: str
    size: int
    sha256: Sha256Hex
    same_as: list[str]


class TreeModel(TypedDict):
    """A locked model; `size` in bytes."""

    name: str
    source: str
    commit: str
    size: int
    files: list[TreeFile]


class TreeDocument(TypedDict):
    """`fetcher tree`: the files of the lock."""

    models: list[TreeModel]


class PathDocument(TypedDict):
    """`fetcher path`: where a model or a file is."""

    path: str


class Content(TypedDict):
    """What is locked of a file; `size` in bytes."""

    size: int
    sha256: Sha256Hex


class Reason(TypedDict):
    """One model's word about a file.

    Attributes:
        locked: Null where the model does not have it.
        reason: What took it or left it.
    """

    model: str
    path: str
    source: str
    commit: str
    locked: Content | None
    reason: str


class WhyDocument(TypedDict):
    """`fetcher why`: which models have a file, or why they have not."""

    file: str
    models: list[Reason]


class FileChanged(TypedDict):
    """A file that differs; `before` is null for an added one, `after` for a removed one."""

    path: str
    kind: Kind
    before: Content | None
    after: Content | None


class Section(TypedDict):
    """A section of the lock; `files` is how many, `size` their bytes.

    Attributes:
        revision: What was asked for; null is the source's default.
        license: What the source says, or `unknown`; null is not recorded.
    """

    source: str
    revision: str | None
    commit: str
    license: str | None
    files: int
    size: int


class ModelChanged(TypedDict):
    """A model that differs; `before` is null for an added one, `after` for a removed one.

    Attributes:
        fields: What differs besides commit and files, such as `license` or `include`.
        fetch_size: Bytes that the model did not have before.
    """

    model: str
    kind: Kind
    before: Section | None
    after: Section | None
    fields: list[FieldChange]
    files: list[FileChanged]
    fetch_size: int


class DiffDocument(TypedDict):
    """`fetcher diff`: the lock beside an earlier one.

    Attributes:
        base: What it was compared with.
        commit: Of that, in git; null of a file.
        fetch_size: Bytes that no model had before, whatever the file was called.
    """

    base: str
    commit: str | None
    differs: bool
    models: list[ModelChanged]
    fetch_size: int


class MovedFile(TypedDict):
    """A file that is another one at the source now; `size` in bytes."""

    path: str
    kind: Kind
    size: int


class OutdatedModel(TypedDict):
    """A pin beside what its source has now.

    Attributes:
        revision: What the manifest asks for; null is the source's default.
        commit: What the source is at; null where it has no commits.
        locked_committed: When the pinned commit was made, as `2024-05-31T12:00:00Z`; null where nobody tells.
        committed: The same of what the source is at.
        moved: Whether an upgrade would change the lock.
        fetch_size: Bytes that an upgrade would fetch.
        newer_tags: Newer than the tag that is pinned, oldest first; null where the source does not tell.
        versions: What a web server calls files of which it tells no hash (ETag, else Last-Modified).
    """

    name: str
    source: str
    revision: str | None
    locked: str
    commit: str | None
    locked_committed: str | None
    committed: str | None
    moved: bool
    files: list[MovedFile]
    fetch_size: int
    newer_tags: list[str] | None
    versions: dict[str, str]


class OutdatedDocument(TypedDict):
    """`fetcher outdated`: what the sources have now."""

    models: list[OutdatedModel]


class VerifyDocument(TypedDict):
    """`fetcher verify`: what differs from the lock.

    Attributes:
        verified: How many files are as locked.
        wrong: Why, for each file that is not.
        ranges: Of damaged files, first byte and byte after the last of each part that differs.
        repaired: With `--repair`: what was placed anew.
    """

    verified: int
    wrong: dict[Spot, str]
    ranges: dict[Spot, list[list[int]]]
    repaired: NotRequired[list[Spot]]


class UndoDocument(TypedDict):
    """`fetcher undo`: what was put back.

    Attributes:
        undone: How many syncs.
        restored: Files put back.
        taken: Files taken away.
        lost: Files that the trash had let go.
    """

    undone: int
    restored: list[Spot]
    taken: list[Spot]
    lost: list[Spot]


class InitDocument(TypedDict):
    """`fetcher init`: files that were written, and those that got more lines.

    Attributes:
        offers: Models that a new manifest could have: those that programs load, and those in caches.
    """

    made: list[str]
    extended: list[str]
    offers: list[Offer]


class DownloadDocument(TypedDict):
    """`fetcher download`: what is in the folder now.

    Attributes:
        fetched: Those of the files whose bytes came over the network.
        kept: How many were right already.
    """

    folder: str
    source: str
    commit: str
    files: list[File]
    fetched: list[str]
    kept: int


class DownloadLookDocument(TypedDict):
    """`fetcher download --dry-run`: what would be done."""

    folder: str
    up_to_date: bool
    plan: PlanDocument


class EnvDocument(TypedDict):
    """`fetcher env`: variables that tell a program where the models are."""

    variables: dict[str, str]


class LoginDocument(TypedDict):
    """`fetcher login`.

    Attributes:
        server: `scheme://host:port` that gets the token, and nobody else.
        kept_in: Where it is, in words.
        user: Whose token it is; null where nobody could tell.
        shadowed_by: A variable that is set and comes first.
    """

    server: str
    kept_in: str
    user: str | None
    shadowed_by: str | None


class LogoutDocument(TypedDict):
    """`fetcher logout`; `removed` says whether there was a login."""

    server: str
    removed: bool


class AccessDocument(TypedDict):
    """What a source is asked with.

    Attributes:
        token_from: A variable or a place in words; null without a token.
        token_env: The variable that may hold one.
        user: Whose token it is, if the hub was asked and told.
        problem: Why it did not tell.
    """

    name: str
    server: str
    token_from: str | None
    token_env: str | None
    user: str | None
    problem: str | None


class AuthDocument(TypedDict):
    """`fetcher auth`: whose token goes where."""

    sources: list[AccessDocument]


class SweptDocument(TypedDict):
    """`fetcher store gc`: what was removed, or with `--dry-run` would be.

    Attributes:
        objects: Their sha256.
        freed: Bytes.
        kept: How many objects stay.
    """

    objects: list[Sha256Hex]
    partials: list[str]
    freed: int
    kept: int


class StoreVerifyDocument(TypedDict):
    """`fetcher store verify`: how many objects are sound, and the sha256 of those that are not."""

    verified: int
    damaged: list[Sha256Hex]
    discarded: bool


DOCUMENTS: Mapping[str, tuple[type, ...]] = {
    "add": (EditDocument, AddLookDocument),
    "auth": (AuthDocument,),
    "diff": (DiffDocument,),
    "download": (DownloadDocument, DownloadLookDocument),
    "env": (EnvDocument,),
    "init": (InitDocument,),
    "list": (ListDocument,),
    "lock": (LockDocument, LockCheckDocument),
    "login": (LoginDocument,),
    "logout": (LogoutDocument,),
    "outdated": (OutdatedDocument,),
    "path": (PathDocument,),
    "remove": (EditDocument,),
    "status": (StatusDocument,),
    "store-gc": (SweptDocument,),
    "store-size": (Holding,),
    "store-verify": (StoreVerifyDocument,),
    "sync": (SyncDocument, SyncLookDocument),
    "tree": (TreeDocument,),
    "undo": (UndoDocument,),
    "update": (UpdateDocument,),
    "verify": (VerifyDocument,),
    "why": (WhyDocument,),
}
PROGRESS = "progress"  # the name of the schema of one line of `--progress json`


def shapes_of(name: str) -> tuple[type, ...]:
    """What may be printed under a name of `output_names`; a command may fail, too."""
    return EVENTS if name == PROGRESS else (*DOCUMENTS[name], ErrorDocument)


def output_names() -> list[str]:
    """Commands with `--json`, words joined by `-`, and `progress`."""
    return sorted((*DOCUMENTS, PROGRESS))


def title_of(name: str) -> str:
    """What the schema of a name is of."""
    return "a line of --progress json" if name == PROGRESS else f"fetcher {name.replace('-', ' ')} --json"
