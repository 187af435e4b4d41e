"""`fetcher diff`: models.lock beside an earlier one."""

from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import render
from fetcher.cli.common import Common, Json, folder_of, open_pins, with_common
from fetcher.core.units import count_text, size_text
from fetcher.errors import ConfigError

if TYPE_CHECKING:
    from fetcher.cli.documents import Content, DiffDocument, FileChanged, ModelChanged, Section
    from fetcher.core.lock import LockedFile, LockedModel
    from fetcher.core.lockdiff import FileChange, LockDiff, ModelChange


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog="Example: fetcher diff origin/main --markdown")(with_common(diff))


def diff(
    common: Common,
    base: Annotated[
        str,
        typer.Argument(metavar="[REVISION | FILE]", help="A lock file if there is one of that name, else of git."),
    ] = "HEAD",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 if anything differs.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it for a pull request.")] = False,
    json: Json = False,
) -> None:
    """Compare models.lock with the one in git or in a file: models, commits, files, licences, bytes to fetch.

    Asks no network.  For a branch: fetcher diff "$(git merge-base main HEAD)"
    """
    from fetcher.earlier import diff_to_file, diff_to_revision

    if json and markdown:
        raise ConfigError("--json and --markdown are two forms of one answer.", fix="leave one of them out")
    pins, path = open_pins(common), folder_of(common) / base
    found = diff_to_file(pins, path, name=base) if path.is_file() else diff_to_revision(pins, base)
    if json:
        render.document(_document(found))
    elif markdown:
        from fetcher.cli.markdown import markdown_of

        render.out(markdown_of(found, lock=pins.lock_path.name))
    else:
        _tell(found, pins.lock_path.name)
    if exit_code and found.changes:
        raise typer.Exit(1)


def _tell(found: "LockDiff", lock: str) -> None:
    from fetcher.core.lockdiff import field_changes, summary

    marks = {"added": "+", "removed": "-", "changed": "~"}
    for change in found.changes:
        render.out(f"{marks[change.kind]} {change.name}  {_head(change)}")
        for field in field_changes(change):
            render.out(f"    {field.field}: {field.before} -> {field.after}")
        render.out_listed(
            (f"    {marks[file.kind]} {file.path}  {_sizes(file)}" for file in change.files), indent="    "
        )
    render.say(f"{lock} since {found.base}: {summary(found)}.")


def _head(change: "ModelChange") -> str:
    if change.before and change.after is None:
        gone = change.before
        return f"{gone.commit[:12]}  {count_text(len(gone.files), 'file')}, {size_text(gone.size)}"
    return render.change_text(change)


def _sizes(file: "FileChange") -> str:
    sizes = [size_text(each.size) for each in (file.before, file.after) if each]
    return " -> ".join(dict.fromkeys(sizes))


def _document(found: "LockDiff") -> "DiffDocument":
    return {
        "base": found.base,
        "commit": found.commit,
        "differs": bool(found.changes),
        "models": [_model(change) for change in found.changes],
        "fetch_size": found.fetch_size,
    }


def _model(change: "ModelChange") -> "ModelChanged":
    from fetcher.core.lockdiff import field_changes

    return {
        "model": change.name,
        "kind": change.kind,
        "before": _section(change.before),
        "after": _section(change.after),
        "fields": field_changes(change),
        "files": [_file(file) for file in change.files],
        "fetch_size": change.fetch_size,
    }


def _section(model: "LockedModel | None") -> "Section | None":
    if model is None:
        return None
    return {
        "source": str(model.source),
        "revision": model.requested.revision,
        "commit": model.commit,
        "license": model.license,
        "files": len(model.files),
        "size": model.size,
    }


def _file(change: "FileChange") -> "FileChanged":
    return {
        "path": change.path,
        "kind": change.kind,
        "before": _content(change.before),
        "after": _content(change.after),
    }


def _content(file: "LockedFile | None") -> "Content | None":
    return {"size": file.size, "sha256": file.sha256} if file else None
