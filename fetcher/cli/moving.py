"""`fetcher outdated`: whether sources have moved on."""

from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import render
from fetcher.cli.common import Common, Groups, Json, Names, open_project, with_common
from fetcher.core.units import count_text, size_text

if TYPE_CHECKING:
    from fetcher.cli.documents import OutdatedDocument, OutdatedModel
    from fetcher.core.outdated import Outlook


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher outdated --exit-code")(with_common(outdated))


def outdated(
    common: Common,
    names: Names = None,
    group: Groups = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 if a model has moved.")] = False,
    json: Json = False,
) -> None:
    """Ask the sources whether pins have fallen behind.  Lists files, fetches none, writes nothing.

    Tags are told that are newer than a pinned one, by their dates or numbers.
    Where a source tells no hash, only sizes are compared; what it calls the version is shown.
    """
    found = open_project(common).outdated(names or (), groups=group or ())
    if json:
        document: OutdatedDocument = {"models": [_document(each) for each in found]}
        render.document(document)
    else:
        _tell(found)
    if exit_code and any(each.has_moved for each in found):
        raise typer.Exit(1)


def _tell(found: list["Outlook"]) -> None:
    for each in found:
        render.out(f"{each.name}  {_news(each)}")
        marks = {"added": "+", "removed": "-", "changed": "~"}
        render.out_listed(f"  {marks[file.kind]} {file.path}  {size_text(file.size)}" for file in each.files)
        if each.newer_tags:
            render.out(f"  newer tags: {', '.join(each.newer_tags)}")
        render.out_listed(f"  {path}: now {version}" for path, version in each.versions.items())
    moved = [each.name for each in found if each.has_moved]
    if moved:
        render.say(f"To move on: fetcher update {' '.join(moved)}")


def _news(each: "Outlook") -> str:
    if not each.has_moved:
        made = f", of {each.committed[:10]}" if each.committed else ""
        return f"{each.locked[:12]}  " + (f"up to date{made}" if each.commit else "as large as locked")
    verb = "differs" if len(each.files) == 1 else "differ"
    cost = f"{count_text(len(each.files), 'file')} {verb}, {size_text(each.fetch_size)} to fetch"
    step = f"{each.locked[:12]} -> {each.commit[:12] if each.commit else 'other files'}"
    if each.locked_committed and each.committed:
        cost += f"; {each.locked_committed[:10]} -> {each.committed[:10]}"
    return f"{step}  {cost}"


def _document(each: "Outlook") -> "OutdatedModel":
    return {
        "name": each.name,
        "source": each.source,
        "revision": each.revision,
        "locked": each.locked,
        "commit": each.commit,
        "locked_committed": each.locked_committed,
        "committed": each.committed,
        "moved": each.has_moved,
        "files": [{"path": file.path, "kind": file.kind, "size": file.size} for file in each.files],
        "fetch_size": each.fetch_size,
        "newer_tags": None if each.newer_tags is None else list(each.newer_tags),
        "versions": {str(path): version for path, version in each.versions.items()},
    }
