"""`fetcher status`, `list`, `tree` and `path`: commands that only look."""

from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import completing, render
from fetcher.cli.common import AllGroups, Common, Groups, Json, Names, open_pins, open_project, with_common
from fetcher.core import answers
from fetcher.core.units import count_text, size_text

if TYPE_CHECKING:
    from fetcher.cli.documents import ListDocument, PathDocument, StatusDocument, TreeDocument, TreeModel
    from fetcher.core.listing import Listed
    from fetcher.core.lock import LockedModel
    from fetcher.core.standing import Standing
    from fetcher.core.tree import Twins
    from fetcher.project import Project
    from fetcher.results import Status


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog="Example: fetcher status --json")(with_common(status))
    app.command(name="list", epilog="Example: fetcher list --json")(with_common(listing))
    app.command(epilog="Example: fetcher tree gpt2")(with_common(tree))
    app.command(epilog='Example: python app.py --model "$(fetcher path gpt2)"')(with_common(path))


def status(
    common: Common,
    names: Names = None,
    group: Groups = None,
    all_groups: AllGroups = False,
    json: Json = False,
) -> None:
    """Say how the disk and the lock stand.  Asks no network, changes nothing, exits 0."""
    project = open_project(common)
    found = project.status(names or (), groups=group or (), all_groups=all_groups)
    if json:
        render.document(_status_document(project, found))
    else:
        _tell_status(project, found)


def listing(common: Common, names: Names = None, group: Groups = None, json: Json = False) -> None:
    """List the models of models.toml and models.lock.  Asks no network, does not look at their files.

    A table with a head on a terminal; else a line a model, with tabs between its values.
    """
    from fetcher.core.choice import Choice
    from fetcher.core.listing import listed
    from fetcher.core.lock import Lock

    pins = open_pins(common)
    known = pins.lock_text()
    choice = Choice(names=tuple(names or ()), groups=tuple(group or ()))
    rows = listed(pins.manifest, known.lock if known else Lock(), choice)
    if json:
        document: ListDocument = {"models": rows}
        render.document(document)
        return
    head = ("NAME", "STATE", "SOURCE", "COMMIT", "FILES", "SIZE", "TARGET")
    render.out_table(head, [_cells(row) for row in rows])
    if not rows:
        render.say(answers.no_model(pins.manifest_path.name))


def _cells(row: "Listed") -> tuple[str, ...]:
    counts = ("", "", "") if row.commit is None else (row.commit[:12], str(row.files), size_text(row.size or 0))
    return (row.name, row.state, row.source, *counts, row.target or "")


def tree(common: Common, names: Names = None, group: Groups = None, json: Json = False) -> None:
    """Show the files of models.lock in their folders, with sizes.  Asks no network, does not look at the disk.

    `=` marks bytes that another file of the lock has too; the store holds them once.
    """
    from fetcher.core.choice import Choice, chosen_models
    from fetcher.core.tree import Twins, branches

    pins = open_pins(common)
    lock = pins.frozen_lock()
    twins = Twins(lock)
    choice = Choice(names=tuple(names or ()), groups=tuple(group or ()))
    chosen = [lock.models[name] for name in chosen_models(lock, choice.without_defaults(), pins.layout)]
    if json:
        document: TreeDocument = {"models": [_tree_document(model, twins) for model in chosen]}
        render.document(document)
        return
    for model in chosen:
        size = f"{count_text(len(model.files), 'file')}, {size_text(model.size)}"
        render.out(f"{model.name}  {model.source}@{model.commit[:12]}  {size}")
        render.out_tree(branches(model.name, model.files, twins))


def _tree_document(model: "LockedModel", twins: "Twins") -> "TreeModel":
    return {
        "name": model.name,
        "source": str(model.source),
        "commit": model.commit,
        "size": model.size,
        "files": [
            {"path": file.path, "size": file.size, "sha256": file.sha256, "same_as": list(twins.of(model.name, file))}
            for file in model.files
        ],
    }


def path(
    common: Common,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The model.", show_default=False, autocompletion=completing.model_names),
    ],
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="One of its files.", show_default=False, autocompletion=completing.file_names
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print where a model's files are, for scripts.  Exits 1 if they are not there yet."""
    from fetcher.places import locate

    found = locate(open_pins(common), name, file)
    if json:
        document: PathDocument = {"path": str(found)}
        render.document(document)
    else:
        render.out_path(found)


def _tell_status(project: "Project", found: "Status") -> None:
    survey = found.survey
    if survey is None:
        render.out(f"{project.lock_path.name}: none yet; run `fetcher lock`")
        _tell_trash(project)
        return
    if found.stale:
        render.out(f"{project.lock_path.name}: stale; run `fetcher lock`")
        for difference in found.stale:
            render.out(f"  {difference}")
    for model in survey.standings():
        render.out(_status_line(model))
    for name in survey.undesired:
        render.out(answers.not_by_default(name))
    obstacles = dict.fromkeys(f"  in the way: {b.obstacle}: {b.reason}" for b in survey.plan.blocked)
    render.out_listed(obstacles)
    render.out_listed(f"  no longer wanted: {item.spot}" for item in (*survey.plan.remove, *survey.plan.left))
    for line in answers.unmanaged(found.unmanaged):
        render.out(line)
    _tell_trash(project)
    if survey.plan.is_empty():
        render.say(answers.IN_PLACE)
    elif survey.plan.blocked:
        render.say("Move away what is in the way, or run `fetcher sync --force` to have it moved into .fetcher/trash/.")
    else:
        render.say("Run `fetcher sync` to bring the disk to the lock.")


def _tell_trash(project: "Project") -> None:
    for line in answers.trash(project.trash_usage()):
        render.out(line)


def _status_line(model: "Standing") -> str:
    if model.is_synced():
        return answers.synced(model.name, model.files, model.size)
    numbers = {
        "missing": model.missing,
        "outdated": model.outdated,
        "damaged": model.damaged,
        "edited": model.edited,
        "in the way": model.in_the_way,
        "right": model.right,
    }
    told = ", ".join(f"{number} {word}" for word, number in numbers.items() if number)
    of = f"{count_text(model.files, 'file')} ({size_text(model.size)})"
    return f"{model.name}: {told} of {of}; {size_text(model.fetch_size)} to fetch"


def _status_document(project: "Project", found: "Status") -> "StatusDocument":
    document: StatusDocument = {
        "lock": "missing" if not found.is_locked else "stale" if found.stale else "fresh",
        "stale": list(found.stale),
        "manifest": str(project.manifest_path),
        "trash": project.trash_usage(),
    }
    if found.survey is not None:
        document["up_to_date"] = found.plan.is_empty()
        document["models"] = found.survey.standings()
        document["unmanaged"] = list(found.unmanaged)
        document["plan"] = render.plan_document(found.plan)
    return document
