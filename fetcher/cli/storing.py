"""`fetcher store dir|size|gc|verify`."""

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from fetcher.cli import interrupt, render
from fetcher.cli.common import Common, Json, settings_of, with_common
from fetcher.core.units import count_text, size_text
from fetcher.errors import IntegrityError

if TYPE_CHECKING:
    from fetcher.cli.documents import StoreVerifyDocument, SweptDocument

_HOUR_S = 3600.0
_store = typer.Typer(
    name="store",
    help="Look after the shared store of objects.",
    no_args_is_help=True,
    epilog="Example: fetcher store gc",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    _store.command("dir", epilog="Example: fetcher store dir")(with_common(folder, leave_out="manifest"))
    _store.command("size", epilog="Example: fetcher store size")(with_common(size, leave_out="manifest"))
    _store.command("gc", epilog="Example: fetcher store gc --dry-run")(with_common(gc, leave_out="manifest"))
    _store.command("verify", epilog="Example: fetcher store verify")(with_common(verify, leave_out="manifest"))
    app.add_typer(_store)


def folder(common: Common) -> None:
    """Print where the store is."""
    render.out_path(settings_of().store)


def size(common: Common, json: Json = False) -> None:
    """Print what the store holds."""
    from fetcher.upkeep import Upkeep  # brings the disk's modules

    held = Upkeep(settings_of()).holding()
    if json:
        render.document(held)
        return
    shared = f" ({size_text(held.shared)} shared with placed files)" if held.shared else ""
    render.out(f"{count_text(held.objects, 'object')}, {size_text(held.size)}{shared}")
    render.out(f"{count_text(held.partials, 'partial')}, {size_text(held.partial_size)}")
    render.out(f"{count_text(held.projects, 'project')}")


def gc(
    common: Common,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be removed; change nothing.")] = False,
    grace: Annotated[
        float, typer.Option("--grace", min=0, metavar="HOURS", help="Keep what is younger than that.")
    ] = 24.0,
    json: Json = False,
) -> None:
    """Remove objects and partials that no known project names, that are old, and that nobody is using."""
    from fetcher.upkeep import Upkeep  # brings the disk's modules

    swept = Upkeep(settings_of()).gc(grace_s=grace * _HOUR_S, dry_run=dry_run)
    if json:
        objects, partials = ([item.name for item in items] for items in (swept.objects, swept.partials))
        document: SweptDocument = {"objects": objects, "partials": partials, "freed": swept.size, "kept": swept.kept}
        render.document(document)
        return
    verb = "Would remove" if dry_run else "Removed"
    if dry_run:
        render.out_listed(f"{item.name}  {size_text(item.size)}" for item in (*swept.objects, *swept.partials))
    render.say(
        f"{verb} {count_text(len(swept.objects), 'object')} and {count_text(len(swept.partials), 'partial')}, "
        f"{size_text(swept.size)}; {count_text(swept.kept, 'object')} stay."
    )


def verify(
    common: Common,
    discard: Annotated[
        bool,
        typer.Option("--discard", help="Remove the damaged ones; a sync that needs them mends them."),
    ] = False,
    json: Json = False,
) -> None:
    """Hash every object of the store; exit 4 with those that are damaged."""
    from fetcher.upkeep import Upkeep  # brings the disk's modules

    stop = threading.Event()
    with interrupt.softly(stop):
        total, bad = Upkeep(settings_of(), stop=stop.is_set).damaged(discard=discard)
    if json:
        document: StoreVerifyDocument = {"verified": total - len(bad), "damaged": bad, "discarded": discard}
        render.document(document)
    if not bad:
        render.say(f"Verified: {count_text(total, 'object')}, all sound.")
        return
    if discard:
        render.say(f"Removed {count_text(len(bad), 'damaged object')} of {total}.")
        return
    raise IntegrityError(
        f"{count_text(len(bad), 'object')} of the store {'is' if len(bad) == 1 else 'are'} damaged.",
        facts=[f"sha256 {name}" for name in bad],
        fix="run `fetcher store verify --discard`, then `fetcher verify --repair` in the projects that use them",
    )
