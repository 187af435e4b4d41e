"""`fetcher undo`."""

import time
from typing import TYPE_CHECKING

import typer

from fetcher.cli import render
from fetcher.cli.common import Common, Json, open_project, with_common
from fetcher.core.units import count_text

if TYPE_CHECKING:
    from fetcher.cli.documents import UndoDocument
    from fetcher.undo import Undone


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher undo --json")(with_common(undo))


def undo(common: Common, json: Json = False) -> None:
    """Put the files back as they were before the last sync; models.lock stays.  Exits 9 if they changed since."""
    project = open_project(common)
    undone = project.undo()
    if json:
        render.document(_document(undone))
    if not undone:
        render.say("There is no sync to undo.")
        return
    _tell(undone)
    render.say(f"{project.lock_path.name} is as it was; `fetcher sync` brings the disk to it again.")


def _tell(undone: list["Undone"]) -> None:
    for item in undone:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(item.began_s))
        restored, taken = count_text(len(item.restored), "file"), count_text(len(item.taken), "file")
        render.say(f"Undone, the sync of {when}: {restored} put back, {taken} taken away.")
        render.listed((f"not put back, the trash has let it go: {spot}" for spot in item.lost), indent="")


def _document(undone: list["Undone"]) -> "UndoDocument":
    return {
        "undone": len(undone),
        "restored": [spot for item in undone for spot in item.restored],
        "taken": [spot for item in undone for spot in item.taken],
        "lost": [spot for item in undone for spot in item.lost],
    }
