"""`fetcher status`, `list`, `tree` and `path`: commands that only look."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import completing, render
from fetcher.cli.common import AllGroups, Common, Groups, Json, Names, open_pins, open_project, with_common
from fetcher.core import answers
from fetcher.core.units import count_text, size_text

if TYPE_CHECKING:
    from fetcher.cli.documents import ListDocument, PathDocument, StatusDocument, TreeDocument, TreeModel
    from fetcher.core.listing import Listed
    from fetcher.core.lock import LockedModel, Staleness
    from fetcher.core.plan import State
    from fetcher.core.tree import Twins
    from fetcher.project import Project
    from fetcher.survey import Survey


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
        render.document(_status_document(project, found.stale, found.survey))
    else:
        _tell_status(project, found.stale, found.survey)


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
        render.say(f"{pins.manifest_path.name} declares no model yet.")


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


def _tell_status(project: "Project", stale: Sequence["Staleness"], survey: "Survey | None") -> None:
    if survey is None:
        render.out(f"{project.lock_path.name}: none yet; run `fetcher lock`")
        _tell_trash(project)
        return
    if stale:
        render.out(f"{project.lock_path.name}: stale; run `fetcher lock`")
        for difference in stale:
            render.out(f"  {difference}")
    for name in survey.models:
        render.out(_status_line(name, survey))
    for name in survey.undesired:
        render.out(answers.not_by_default(name))
    obstacles = dict.fromkeys(f"  in the way: {b.obstacle}: {b.reason}" for b in survey.plan.blocked)
    render.out_listed(obstacles)
    render.out_listed(f"  no longer wanted: {item.spot}" for item in (*survey.plan.remove, *survey.plan.left))
    _tell_trash(project)
    if survey.plan.is_empty():
        render.say(answers.IN_PLACE)
    else:
        render.say("Run `fetcher sync` to bring the disk to the lock.")


def _tell_trash(project: "Project") -> None:
    for line in answers.trash(project.trash_usage()):
        render.out(line)


def _status_line(name: str, survey: "Survey") -> str:
    from fetcher.core.plan import State

    states = _states(name, survey)
    total = sum(states.values())
    size = size_text(survey.models[name].size)
    if states[State.RIGHT] == total:
        return answers.synced(name, total, survey.models[name].size)
    words = {
        State.ABSENT: "missing",
        State.OURS: "outdated",
        State.DAMAGED: "damaged",
        State.FOREIGN: "in the way",
        State.RIGHT: "right",
    }
    told = ", ".join(f"{states[state]} {word}" for state, word in words.items() if states[state])
    to_fetch = sum(wanted.size for wanted in survey.plan.fetch if wanted.model == name)
    return f"{name}: {told} of {count_text(total, 'file')} ({size}); {size_text(to_fetch)} to fetch"


def _states(name: str, survey: "Survey") -> Counter["State"]:
    looks = survey.scan.local.looks
    return Counter(looks[wanted.spot].state for wanted in survey.wanted if wanted.model == name)


def _status_document(project: "Project", stale: Sequence["Staleness"], survey: "Survey | None") -> "StatusDocument":
    document: StatusDocument = {
        "lock": "missing" if survey is None else "stale" if stale else "fresh",
        "stale": list(stale),
        "manifest": str(project.manifest_path),
        "trash": project.trash_usage(),
    }
    if survey is not None:
        document["up_to_date"] = survey.plan.is_empty()
        document["models"] = {
            name: {state.value: number for state, number in _states(name, survey).items()} for name in survey.models
        }
        document["plan"] = render.plan_document(survey.plan)
    return document
