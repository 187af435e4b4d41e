"""Draws docs/demo.svg: the main job in a real shell, on the model of `fetcher demo` and the embedded hub."""

import os
import sys
import tempfile
from pathlib import Path

from fetcher.cli.babbler import write_model
from fetcher.serve.hub import Hub
from tests.pages.terminal import Terminal

COMMANDS = ("cat models.toml", "fetcher lock", "fetcher sync", "fetcher sync", "fetcher verify", "fetcher tree")
_MANIFEST = """\
version = 1

[models.babbler]
source = "modelscope:demo/babbler"
exclude = ["*.md"]
"""


def record() -> tuple[list[str], str]:
    """The lines on the screen, and the picture of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_model(root / "published/demo/babbler", smoothing=0.0005)
        project = root / "project"
        project.mkdir()
        (project / "models.toml").write_text(_MANIFEST, encoding="utf-8")
        with Hub(root / "published") as hub, Terminal(project, environment_of(root, hub.url), rows=60) as terminal:
            for command in COMMANDS:
                terminal.type(command)
            return terminal.lines(), terminal.picture(title="fetcher")


def environment_of(root: Path, endpoint: str) -> dict[str, str]:
    """What the shell and its commands see: nothing of whoever starts it."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(root),
        "LANG": "C.UTF-8",
        "MODELSCOPE_ENDPOINT": endpoint,
        "FETCHER_STORE": str(root / "store"),
        "NO_PROXY": "127.0.0.1",
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(record()[1], encoding="utf-8")
