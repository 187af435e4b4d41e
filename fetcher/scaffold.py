"""`fetcher init`: a commented models.toml, and what git should know about its lock and targets.

Adds lines, never changes or removes one; a models.toml that exists stays as it is.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from fetcher.core.manifest import MODELSCOPE
from fetcher.disk.atomic import disk_errors, write_atomic
from fetcher.disk.lines import add_lines
from fetcher.disk.state import make_state_folder
from fetcher.errors import BlockedError
from fetcher.formats.schemas import schema_text

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

_LINES = {
    ".gitattributes": ("models.lock text eol=lf linguist-generated=true",),
    ".gitignore": ("/.fetcher/", "/models/"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """What `init` wrote: the files made and those that got lines."""

    made: tuple[str, ...]
    extended: tuple[str, ...]


def write_scaffold(folder: Path, *, manifest: str) -> Scaffold:
    """Write a manifest and git's lines into a folder.

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
    if not os.path.lexists(path):
        write_atomic(path, _MANIFEST.encode("utf-8"))
        made.append(manifest)
    for name, lines in _LINES.items():
        existed = (folder / name).exists()
        if add_lines(folder / name, lines):
            (extended if existed else made).append(name)
    if not (made or extended):
        raise BlockedError(f"{manifest} and git's lines are there already; nothing was changed.", fix=f"edit {path}")
    return Scaffold(made=tuple(made), extended=tuple(extended))
