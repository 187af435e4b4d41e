"""`fetcher init`: a commented models.toml, and what git should know about its lock and targets.

Adds lines, never changes or removes one; a models.toml that exists stays as it is.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fetcher.core.manifest import MODELSCOPE
from fetcher.core.offers import Offer
from fetcher.disk.atomic import disk_errors, write_atomic
from fetcher.disk.lines import add_lines
from fetcher.disk.state import make_state_folder
from fetcher.errors import BlockedError
from fetcher.formats.schemas import schema_text
from fetcher.offering import offers
from fetcher.settings import Settings

_MANIFEST = f"""\
#:schema ./.fetcher/models.schema.json
version = 1

# Each model gets a section.  After a change run `fetcher lock`, then `fetcher sync`,
# and commit models.toml together with models.lock.
#
# [models.gpt2]
# source = "{MODELSCOPE}:AI-ModelScope/gpt2"
# revision = "master"             # branch, tag or commit; left out: the source's default
# include = ["*.json", "onnx/*"]  # left out: everything
# exclude = ["*.tflite"]
# target = "models/gpt2"          # left out: models/<name>
"""

_OFFERED = 40  # lines in models.toml


def _lines(manifest: str) -> dict[str, tuple[str, ...]]:
    lock = f"{manifest.removesuffix('.toml')}.lock"
    return {
        ".gitattributes": (f"{lock} text eol=lf linguist-generated=true",),
        ".gitignore": ("/.fetcher/", "/models/"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """What `init` wrote: the files made and those that got lines; and the models that a new manifest could have."""

    made: tuple[str, ...]
    extended: tuple[str, ...]
    offers: tuple[Offer, ...] = ()


def write_scaffold(folder: Path, *, manifest: str, settings: Settings) -> Scaffold:
    """Write a manifest and git's lines into a folder; a new manifest names the models that programs there load.

    Raises:
        BlockedError: All of it is there already.
        DiskError: It cannot be written.
    """
    path = folder / manifest
    made: list[str] = []
    extended: list[str] = []
    with disk_errors(folder / ".fetcher"):
        make_state_folder(folder / ".fetcher")
    write_atomic(folder / ".fetcher" / "models.schema.json", schema_text("models").encode("utf-8"))
    is_new = not os.path.lexists(path)
    if is_new:
        made.append(manifest)
    for name, lines in _lines(manifest).items():
        existed = (folder / name).exists()
        if add_lines(folder / name, lines):
            (extended if existed else made).append(name)
    if not (made or extended):
        raise BlockedError(f"{manifest} and git's lines are there already; nothing was changed.", fix=f"edit {path}")
    found = offers(folder, settings) if is_new else []  # once git knows what to ignore
    if is_new:
        write_atomic(path, (_MANIFEST + _offered(found)).encode("utf-8"))
    return Scaffold(made=tuple(made), extended=tuple(extended), offers=tuple(found))


def _offered(found: Sequence[Offer]) -> str:
    """A comment with what programs load; what only this machine's caches hold is nobody else's business."""
    used = [each for each in found if each.places]
    if not used:
        return ""
    more = [f"#   and {len(used) - _OFFERED} more"] if len(used) > _OFFERED else []
    lines = [f"#   {each.command}  # {', '.join(each.places[:3])}" for each in used[:_OFFERED]]
    return "\n".join(["#", "# Programs here load these models; a command adds one:", *lines, *more, ""])
