"""`fetcher download`: files of one repository, without a manifest."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import interrupt, render
from fetcher.cli.common import (
    Common,
    Connections,
    DryRun,
    Json,
    LimitRate,
    Offline,
    Progress,
    Style,
    folder_of,
    settings_and_sources,
    settings_of,
    watcher,
    with_common,
)
from fetcher.cli.several import Excludes, Includes, SeveralValues, nothing_named
from fetcher.core.kinds import BUILT_IN_SCHEMES, CacheLayout
from fetcher.core.units import count_text, size_text
from fetcher.errors import ConfigError

if TYPE_CHECKING:
    from fetcher.cli.documents import DownloadDocument, DownloadLookDocument
    from fetcher.core.manifest import Endpoint, SourceRef
    from fetcher.formats.manifest_entry import Entry
    from fetcher.oneoff import Named, OneOff, Outcome
    from fetcher.settings import Flags, Settings


class RepoType(StrEnum):
    """What a repository holds, as the official tools name it."""

    model = "model"
    dataset = "dataset"


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE [FILE]...",
        help="The repository, such as AI-ModelScope/gpt2 or hf:gpt2, and names of its files.",
        show_default=False,
    ),
]
Model = Annotated[str | None, typer.Option("--model", metavar="SOURCE", help="In place of SOURCE.")]
Dataset = Annotated[str | None, typer.Option("--dataset", metavar="SOURCE", help="A dataset, in place of SOURCE.")]
Kind = Annotated[RepoType, typer.Option("--repo-type", "--repo_type", help="What SOURCE is.")]
Revision = Annotated[str | None, typer.Option("--revision", help="Branch, tag or commit.")]
LocalDir = Annotated[Path | None, typer.Option("--local-dir", "--local_dir", metavar="DIR", help="Put the files here.")]
CacheDir = Annotated[
    Path | None, typer.Option("--cache-dir", "--cache_dir", metavar="DIR", help="Put them in DIR/OWNER/NAME.")
]
Layout = Annotated[
    CacheLayout | None, typer.Option("--layout", help="Place them as this library's cache does.", show_default=False)
]
HubAddress = Annotated[str | None, typer.Option("--endpoint", metavar="URL", help="Another address of the hub.")]
Token = Annotated[
    str | None, typer.Option("--token", help="Seen by all users of this machine; better run `fetcher login`.")
]
PrintManifest = Annotated[
    bool, typer.Option("--print-manifest", help="Print the [models.NAME] that declares it; do nothing.")
]
Workers = Annotated[
    int | None,
    typer.Option("--jobs", "-j", "--max-workers", "--max_workers", min=1, help="Files at a time.", show_default="16"),
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(cls=SeveralValues, epilog="Example: fetcher download AI-ModelScope/gpt2 --include 'onnx/*' '*.json'")(
        with_common(download, leave_out="manifest")
    )


def download(
    common: Common,
    words: Words = None,
    model: Model = None,
    dataset: Dataset = None,
    repo_type: Kind = RepoType.model,
    revision: Revision = None,
    include: Includes = None,
    exclude: Excludes = None,
    local_dir: LocalDir = None,
    cache_dir: CacheDir = None,
    layout: Layout = None,
    endpoint: HubAddress = None,
    token: Token = None,
    offline: Offline = False,
    dry_run: DryRun = False,
    print_manifest: PrintManifest = False,
    jobs: Workers = None,
    connections: Connections = None,
    limit_rate: LimitRate = None,
    progress: Progress = Style.auto,
    json: Json = False,
) -> None:
    """Bring files of one repository, without a manifest; every byte is verified, a cut download goes on."""
    from fetcher.oneoff import Destination, OneOff

    of_dataset = bool(dataset) or repo_type is RepoType.dataset
    if not (words or model or dataset):
        raise nothing_named("repository", "download", patterns=bool(include or exclude))
    found = _named(words or [], model=model, dataset=dataset, of_dataset=of_dataset)
    wish = _wish(found, revision=revision, include=include, exclude=exclude)
    destination = Destination(local=local_dir, cache=cache_dir, layout=layout)
    if print_manifest:
        render.out(destination.declared_by(wish).text.rstrip("\n"))
        return
    from fetcher.settings import Flags

    flags = Flags(jobs=jobs, connections=connections, limit_rate=limit_rate)
    settings, endpoints = _settings(common, found.source, flags, endpoint=endpoint, token=token)
    task = OneOff(
        wish=wish,
        destination=destination.below(folder_of(common)),
        settings=settings,
        endpoints=endpoints,
        events=watcher(progress, quiet=common.quiet),
    )
    if dry_run:
        _look_only(task, json=json)
        return
    _carry_out(task, offline=offline, json=json)


def _carry_out(task: "OneOff", *, offline: bool, json: bool) -> None:
    task.guard = lambda: interrupt.softly(task.stop)
    began = time.monotonic()
    outcome = task.run(offline=offline)
    if json:
        render.document(_document(outcome))
    else:
        render.out_path(outcome.folder)
    fetched = sum(wanted.size for wanted in outcome.report.fetched)
    render.say(
        f"Downloaded {outcome.model.source} at {outcome.model.commit[:12]}: "
        f"fetched {count_text(len(outcome.report.fetched), 'file')} ({size_text(fetched)}), "
        f"placed {len(outcome.report.placed)}, kept {outcome.report.kept} in {time.monotonic() - began:.1f} s."
    )


def _look_only(task: "OneOff", *, json: bool) -> None:
    folder, plan = task.plan()
    if json:
        document: DownloadLookDocument = {
            "folder": str(folder),
            "up_to_date": plan.is_empty(),
            "plan": render.plan_document(plan),
        }
        render.document(document)
    else:
        render.plan(plan)


def _document(outcome: "Outcome") -> "DownloadDocument":
    return {
        "folder": str(outcome.folder),
        "source": str(outcome.model.source),
        "commit": outcome.model.commit,
        "files": [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in outcome.model.files],
        "fetched": [wanted.path for wanted in outcome.report.fetched],
        "kept": outcome.report.kept,
    }


def _named(words: list[str], *, model: str | None, dataset: str | None, of_dataset: bool) -> "Named":
    """Which repository is meant, and which of its files.

    Raises:
        ConfigError: Two are.
    """
    from fetcher.oneoff import named

    if model and dataset:
        raise ConfigError("--model and --dataset name two repositories.", fix="give one of them")
    given = dataset or model
    text, files = (given, words) if given else (words[0], words[1:])
    found = named(text, dataset=of_dataset)
    return replace(found, files=(*found.files, *files))


def _wish(
    found: "Named", *, revision: str | None, include: Sequence[str] | None, exclude: Sequence[str] | None
) -> "Entry":
    """What models.toml would say of it."""
    from fetcher.formats.manifest_entry import Entry
    from fetcher.oneoff import name_of

    if found.files and (include or exclude):
        render.say("note: files are named, so --include and --exclude are not looked at")
        include = exclude = None
    return Entry(
        name=name_of(found.source),
        source=str(found.source),
        revision=revision or found.revision,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        files=tuple(found.files),
    )


def _settings(
    common: Common, source: "SourceRef", flags: "Flags", *, endpoint: str | None, token: str | None
) -> "tuple[Settings, Mapping[str, Endpoint]]":
    """models.toml is read for its own sources only."""
    from fetcher.oneoff import with_hub

    endpoints = {} if source.scheme in BUILT_IN_SCHEMES else settings_and_sources(common)[1]
    settings = with_hub(settings_of(flags), source, endpoint=endpoint, token=token)
    if token:
        render.say("note: others on this machine can see --token; `fetcher login` keeps it unseen")
    return settings, endpoints
