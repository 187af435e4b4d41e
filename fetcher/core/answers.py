"""What is said when there is nothing to do; by the front room and by the commands alike.  Pure."""

from typing import TYPE_CHECKING

from fetcher.core.units import count_text, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fetcher.core.change import Usage

_LISTED = 20  # lines of one list
IN_PLACE = "Everything is in place."


def no_model(manifest: str) -> str:
    """Of `lock` and `sync`."""
    return f"{manifest} declares no model yet."


def up_to_date(files: int) -> str:
    """Of `sync`."""
    return f"Up to date: {count_text(files, 'file')}."


def synced(name: str, files: int, size: int) -> str:
    """Of `status`, about one model; `size` in bytes."""
    return f"{name}: synced, {count_text(files, 'file')}, {size_text(size)}"


def fresh(lock: str, manifest: str) -> str:
    """Of `lock --check`, from the names of both files."""
    return f"{lock} is what {manifest} asks for."


def not_by_default(name: str) -> str:
    """What `status` says of a model that is in none of `default-groups`."""
    return f"{name}: not in default-groups; `fetcher status {name}` looks"


def unmanaged(spots: "Sequence[str]") -> list[str]:
    """Of `status`, about what lies beside the files of the lock."""
    lines = [f"  unmanaged: {spot}" for spot in spots[:_LISTED]]
    if len(spots) > _LISTED:
        lines.append(f"  and {len(spots) - _LISTED} more unmanaged")
    return lines


def trash(held: "Usage") -> list[str]:
    """Of `status`, about the trash: fetcher's own files go by themselves, the user's stay."""
    lines = []
    if held.own or held.changes:
        kept = f"; {count_text(held.own, 'file')} kept for that, taking {size_text(held.own_size)}" if held.own else ""
        lines.append(f"trash: {count_text(held.changes, 'sync')} can be undone with `fetcher undo`{kept}")
    if held.users:
        users = f"{count_text(held.users, 'file')} of yours, {size_text(held.users_size)}"
        lines.append(f"trash: {users}, moved aside; in .fetcher/trash/ until you remove them")
    return lines
