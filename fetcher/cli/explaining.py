"""`fetcher why`: what made a file one of a model's.  Looks at the lock only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import render
from fetcher.cli.common import Common, Json, folder_of, open_project, with_common
from fetcher.core.units import size_text

if TYPE_CHECKING:
    from fetcher.cli.documents import Reason, WhyDocument
    from fetcher.core.why import Why


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher why models/gpt2/README.md")(with_common(why))


def why(
    common: Common,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A file on the disk, or of a repository.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Say which model has a file and which pattern took it, or what left it out.  Exits 1 if no model has it."""
    place = folder_of(common) / file
    found = open_project(common).why(place if Path(file).is_absolute() or place.exists() else file)
    if json:
        document: WhyDocument = {"file": file, "models": [_reason_document(each) for each in found]}
        render.document(document)
    else:
        for each in found:
            _tell(each)
    if not any(each.file for each in found):
        raise typer.Exit(1)


def _tell(each: "Why") -> None:
    if each.file is None:
        render.out(f"{each.model.name}: has no {each.path}: {each.reason}")
        return
    render.out(f"{each.model.name}: has {each.path}: {each.reason}")
    render.out(f"  {each.model.source} at {each.model.commit[:12]}")
    render.out(f"  {size_text(each.file.size)}, sha256 {each.file.sha256}")


def _reason_document(each: "Why") -> "Reason":
    return {
        "model": each.model.name,
        "path": each.path,
        "source": str(each.model.source),
        "commit": each.model.commit,
        "locked": {"size": each.file.size, "sha256": each.file.sha256} if each.file else None,
        "reason": each.reason,
    }
