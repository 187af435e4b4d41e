"""`fetcher init`, `demo`, `serve` and `schema`: to begin, to try, to share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import render
from fetcher.cli.common import Common, Json, folder_of, settings_of, with_common
from fetcher.errors import ConfigError, InterruptedRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fetcher.cli.documents import InitDocument
    from fetcher.core.offers import Offer


class Schema(StrEnum):
    """What a schema is of."""

    models = "models"
    lock = "lock"
    output = "output"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog="Example: fetcher init -C my-project")(with_common(init))
    app.command(epilog="Example: fetcher demo")(with_common(demo, leave_out="manifest"))
    app.command(epilog="Example: fetcher serve ./repositories --port 8000")(with_common(serve, leave_out="manifest"))
    app.command(epilog="Example: fetcher schema output sync > sync.schema.json")(schema)


def init(
    common: Common,
    json: Json = False,
) -> None:
    """Write a commented models.toml, and git's lines for the lock and the targets; name the models that are used.

    These are models that Python files and notebooks here load by id (from_pretrained, snapshot_download and the like),
    with the commands that add them, and those in the caches of the official libraries.  Asks nobody, adds none.
    """
    from fetcher.scaffold import write_scaffold  # brings pydantic, for the schema
    from fetcher.settings import MANIFEST

    name = common.manifest or MANIFEST
    if Path(name).name != name:
        raise ConfigError("--manifest takes a file name here.", fix="name the folder with -C")
    done = write_scaffold(folder_of(common), manifest=name, settings=settings_of())
    if json:
        found = list(done.offers)
        document: InitDocument = {"made": list(done.made), "extended": list(done.extended), "offers": found}
        render.document(document)
    if done.made:
        render.say(f"Wrote {', '.join(done.made)}.")
    if done.extended:
        render.say(f"Added lines to {', '.join(done.extended)}.")
    _tell_offers(done.offers)
    render.say("Next: `fetcher add SOURCE` for each model; `--dry-run` shows what it would take.")


def _tell_offers(found: "Sequence[Offer]") -> None:
    used = [each for each in found if each.places]
    if used:
        render.say("Models that programs here load; to add one:")
        render.listed(f"{each.command}  # {', '.join(each.places[:3])}" for each in used)
    cached = [each for each in found if not each.places]
    if cached:
        render.say("In the caches of this machine, from which `add` takes the bytes:")
        render.listed(each.command for each in cached)


def demo(
    common: Common,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Work in this new folder and leave it there.")
    ] = None,
) -> None:
    """Show the main job on an embedded hub, without internet, in a few seconds."""
    from fetcher.cli.demo import run_demo

    run_demo(keep)


def serve(
    common: Common,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds OWNER/NAME/ folders.", show_default=False)],
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 shares with the network.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    token_env: Annotated[
        str | None, typer.Option("--token-env", metavar="NAME", help="Variable with a token that readers must show.")
    ] = None,
) -> None:
    """Publish a folder of OWNER/NAME/ repositories by ModelScope's read protocol."""
    from fetcher.serve.hub import serve_folder

    token = None
    if token_env is not None:
        token = os.environ.get(token_env)
        if not token:
            raise ConfigError(f"The variable {token_env} is not set.", fix=f"set {token_env}, or leave --token-env out")
    try:
        serve_folder(folder_of(common) / folder, host=host, port=port, token=token, log=render.say)
    except InterruptedRun:
        render.say("Stopped.")


def schema(
    which: Annotated[Schema, typer.Argument(help="A file, or the output of commands.", show_default=False)],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="With output: of which command; left out: list them.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of models.toml, of models.lock, or of what a command prints with --json."""
    if which is Schema.output:
        _output_schema(name)
        return
    if name is not None:
        raise ConfigError("NAME goes with output.", fix=f"run `fetcher schema output {name}`")
    from fetcher.formats.schemas import schema_text

    render.out(schema_text("lock" if which is Schema.lock else "models").rstrip("\n"))


def _output_schema(name: str | None) -> None:
    from fetcher.cli.documents import output_names, shapes_of, title_of
    from fetcher.formats.schemas import output_schema_text

    names = output_names()
    if name is None:
        for each in names:
            render.out(each)
        return
    if name not in names:
        raise ConfigError(
            f"There is no output of the name {name}.",
            facts=[f"outputs: {', '.join(names)}"],
            fix="run `fetcher schema output` to list them",
        )
    render.out(output_schema_text(shapes_of(name), title=title_of(name)).rstrip("\n"))
