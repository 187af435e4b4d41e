"""What the model card of a published folder says, as both hubs read it."""

import os

from fetcher.core.content.texts import card_license
from fetcher.serve.repositories import StoredFile, Tree

CARD = "README.md"
MAX_CARD = 1 << 20  # bytes that are read of it


def license_of(tree: Tree | None) -> str | None:
    """The licence in the front matter of the card; None where it has none."""
    return card_license(text_of(tree.files.get(CARD), most=MAX_CARD)) if tree is not None else None


def text_of(file: StoredFile | None, *, most: int) -> str:
    """The first bytes of a file as text; empty where there is none."""
    descriptor = file.open() if file is not None else None
    if descriptor is None:
        return ""
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(most).decode("utf-8", errors="replace")
