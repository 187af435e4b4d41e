"""What is said when there is nothing to do; by the front room and by the commands alike.  Pure."""

from fetcher.core.units import count_text, size_text

IN_PLACE = "Everything is in place."


def up_to_date(files: int) -> str:
    """Of `sync`."""
    return f"Up to date: {count_text(files, 'file')}."


def synced(name: str, files: int, size: int) -> str:
    """Of `status`, about one model; `size` in bytes."""
    return f"{name}: synced, {count_text(files, 'file')}, {size_text(size)}"


def fresh(lock: str, manifest: str) -> str:
    """Of `lock --check`, from the names of both files."""
    return f"{lock} is what {manifest} asks for."
