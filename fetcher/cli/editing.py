"""`fetcher add`, `remove` and `update`: models.toml and models.lock move on, and the disk with them."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import completing, interrupt, render
from fetcher.cli.common import (
    Common,
    Json,
    Names,
    Progress,
    Style,
    folder_of,
    open_project,
    watcher,
    watcher_of_lock,
    with_common,
)
from fetcher.cli.locking import changes_document
from fetcher.cli.several import Excludes, Includes, SeveralValues, nothing_named
from fetcher.cli.syncing import report_document, tell_report
from fetcher.core.units import count_text, size_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fetcher.cli.documents import AddLookDocument, EditDocument, UpdateDocument
    from fetcher.core.preview import Preview
    from fetcher.edits import Edit
    from fetcher.project import Project
    from fetcher.results import LockChange
    from fetcher.sync import Report

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE [FILE]...",
        help="The model, such as AI-ModelScope/gpt2, hf:OWNER/NAME, git+https://…, https://…/file.bin, ./folder or "
        "the address of a hub's page, and names of its files.",
        show_default=False,
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="Name of the model.", show_default="last word of SOURCE")]
Revision = Annotated[
    str | None, typer.Option("--revision", help="Branch, tag or commit.", show_default="that of the source")
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="DIR", help="Folder of its files.", show_default="models/NAME")
]
GroupsOfIt = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="GROUP",
        help="A group to put it in.",
        show_default=False,
        autocompletion=completing.group_names,
    ),
]
Fallback = Annotated[
    list[str] | None,
    typer.Option("--fallback", metavar="SOURCE", help="Another home of the same bytes.", show_default=False),
]
OnlyShow = Annotated[bool, typer.Option("--dry-run", help="Show which files would be taken and left; write nothing.")]
NoSync = Annotated[bool, typer.Option("--no-sync", help="Write models.toml and models.lock only.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    example = "Example: fetcher add AI-ModelScope/gpt2 --include '*.json' 'onnx/*' --dry-run"
    app.command(cls=SeveralValues, epilog=example)(with_common(add))
    app.command(epilog="Example: fetcher remove gpt2 --no-sync")(with_common(remove))
    app.command(epilog="Example: fetcher update gpt2 --dry-run")(with_common(update))


def add(
    common: Common,
    words: Words = None,
    name: Name = None,
    revision: Revision = None,
    include: Includes = None,
    exclude: Excludes = None,
    target: Target = None,
    group: GroupsOfIt = None,
    fallback: Fallback = None,
    no_sync: NoSync = False,
    dry_run: OnlyShow = False,
    progress: Progress = Style.auto,
    json: Json = False,
) -> None:
    """Add a model to models.toml, lock it and bring its files; comments and other models stay as they are."""
    from fetcher.edits import Editor, named_entry, source_in
    from fetcher.formats.manifest_entry import Entry

    if not words:
        raise nothing_named("source", "add", patterns=bool(include or exclude))
    project = open_project(common, events=watcher_of_lock(progress, quiet=common.quiet))
    here, root = folder_of(common), project.root
    wish = Entry(
        name=name or "",
        source="",
        revision=revision,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        files=tuple(words[1:]),
        target=target,
        fallback=tuple(str(source_in(text, here=here, root=root).source) for text in fallback or ()),
        groups=tuple(group or ()),
    )
    entry = named_entry(wish, source_in(words[0], here=here, root=root), project)
    editor = Editor(project)
    if dry_run:
        _tell_preview(editor.preview(entry), json=json)
        return
    edit = editor.add(entry)
    editor.save(edit)
    for folder in editor.unignored(edit):
        render.say(f"note: git does not ignore {folder}; a line `/{folder}/` in .gitignore keeps it out of commits")
    _conclude(
        project, edit, None if no_sync else lambda: project.sync([entry.name], frozen=True), progress, common, json
    )


def remove(
    common: Common,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="The models.", show_default=False, autocompletion=completing.model_names
        ),
    ],
    no_sync: NoSync = False,
    json: Json = False,
) -> None:
    """Take models out of models.toml and models.lock, their files off the disk; `fetcher undo` brings those back."""
    from fetcher.edits import Editor

    project = open_project(common)
    editor = Editor(project)
    edit = editor.remove(names)
    editor.save(edit)
    for dropped in edit.dropped_groups:
        render.say(f"note: {dropped} left default-groups: no model is in that group any more")
    _conclude(project, edit, None if no_sync else lambda: project.prune(edit.names), Style.auto, common, json)


def update(
    common: Common,
    names: Names = None,
    no_sync: Annotated[bool, typer.Option("--no-sync", help="Write models.lock only.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would move; write nothing.")] = False,
    progress: Progress = Style.auto,
    json: Json = False,
) -> None:
    """Move pins to what the sources have now, then sync: `fetcher lock --upgrade` and `fetcher sync` in one."""
    from fetcher.resolve import Upgrade

    project = open_project(common, events=watcher_of_lock(progress, quiet=common.quiet))
    change = project.resolve(Upgrade(names=frozenset(names) if names else None))
    render.lock_changes(change.changes)
    lock = project.lock_path.name
    if dry_run:
        to_fetch = size_text(sum(each.fetch_size for each in change.changes))
        render.say(
            f"{count_text(len(change.changes), 'model')} would move, {to_fetch} of new bytes; nothing was written."
        )
        if json:
            render.document(_update_document(change, None, written=False))
        return
    written = project.save_lock(change)
    render.say(f"Wrote {lock}." if written else f"{lock} is up to date.")
    report = None if no_sync else _synced(project, lambda: project.sync(names or ()), progress, common)
    if json:
        render.document(_update_document(change, report, written=written))


def _update_document(change: "LockChange", report: "Report | None", *, written: bool) -> "UpdateDocument":
    synced = report_document(report) if report else None
    return {"written": written, "changes": changes_document(change), "synced": synced}


def _conclude(
    project: "Project",
    edit: "Edit",
    sync: "Callable[[], Report] | None",
    progress: Style,
    common: Common,
    json: bool,
) -> None:
    """Say what was written, and bring the disk to it."""
    render.lock_changes(edit.change.changes)
    files = [project.manifest_path.name, *([project.lock_path.name] if edit.change.differs else [])]
    render.say(f"Wrote {' and '.join(files)}.")
    report = _synced(project, sync, progress, common) if sync else None
    if json:
        synced = report_document(report) if report else None
        changes = changes_document(edit.change)
        document: EditDocument = {"models": list(edit.names), "changes": changes, "synced": synced}
        render.document(document)


def _synced(project: "Project", sync: "Callable[[], Report]", progress: Style, common: Common) -> "Report":
    project.events = watcher(progress, quiet=common.quiet)
    project.guard = lambda: interrupt.softly(project.stop)
    began = time.monotonic()
    report = sync()
    tell_report(project, report, time.monotonic() - began)
    return report


def _tell_preview(found: "Preview", *, json: bool) -> None:
    if json:
        render.document(_preview_document(found))
        return
    at = f"@{found.commit[:12]}" if found.commit else ""
    taken, left = count_text(len(found.taken), "file"), count_text(len(found.left), "file")
    render.out(f"{found.name}  {found.source}{at}")
    render.out_listed(f"  take   {file.path}  {size_text(file.size)}" for file in found.taken)
    render.out_listed(f"  leave  {each.file.path}  {size_text(each.file.size)}  ({each.reason})" for each in found.left)
    for pattern in found.idle_patterns:
        render.say(f'note: the pattern "{pattern}" matches no file')
    render.say(
        f"{taken} ({size_text(found.taken_size)}) would be taken, {left} ({size_text(found.left_size)}) left; "
        "nothing was written."
    )


def _preview_document(found: "Preview") -> "AddLookDocument":
    return {
        "name": found.name,
        "source": str(found.source),
        "commit": found.commit,
        "taken": [{"path": file.path, "size": file.size} for file in found.taken],
        "taken_size": found.taken_size,
        "left": [{"path": each.file.path, "size": each.file.size, "reason": each.reason} for each in found.left],
        "left_size": found.left_size,
        "idle_patterns": list(found.idle_patterns),
    }
