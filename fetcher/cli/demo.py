"""`fetcher demo`: the main job from an empty folder to an upgrade, on an embedded hub.

Runs the same commands that a user would type, each in its own process, and prints them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fetcher.cli import render
from fetcher.cli.babbler import TRIGRAM_SHARD, babble, write_model
from fetcher.errors import BlockedError, FetcherError
from fetcher.serve.hub import Hub

_REPOSITORY = "demo/babbler"
_MANIFEST = """\
version = 1

[models.babbler]
source = "modelscope:demo/babbler"
exclude = ["*.md"]
"""


def run_demo(keep: Path | None) -> None:
    """Run it in a temporary folder, or in a new one that stays.

    Raises:
        BlockedError: The folder to keep exists.
        FetcherError: A step did not end as it must.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="fetcher-demo-") as folder:
            _Demo(Path(folder)).run()
        return
    if keep.exists():
        raise BlockedError(f"{keep} exists already.", fix="name a folder that does not exist")
    keep.mkdir(parents=True)
    _Demo(keep.absolute()).run()
    render.say(f"\nEverything is still in {keep}.")


class _Demo:
    def __init__(self, folder: Path) -> None:
        self._published = folder / "published" / _REPOSITORY
        self._project = folder / "project"
        self._store = folder / "store"
        self._environment: Mapping[str, str] = {}

    def run(self) -> None:
        """All steps; the hub lives as long as they do."""
        render.say("A small language model is trained and published by an embedded hub.")
        write_model(self._published, smoothing=0.0005)
        self._project.mkdir()
        with Hub(self._published.parents[1]) as hub:
            self._environment = {
                **os.environ,
                "MODELSCOPE_ENDPOINT": hub.url,
                "FETCHER_STORE": str(self._store),
                "NO_PROXY": "127.0.0.1",
            }
            self._first_sync()
            self._second_sync(hub)
            self._repair(hub)
            self._upgrade()

    def _first_sync(self) -> None:
        (self._project / "models.toml").write_text(_MANIFEST, encoding="utf-8")
        render.say("\nmodels.toml declares what is wanted:\n")
        render.listed(_MANIFEST.splitlines())
        self._type("lock")
        self._type("sync")
        spoken = babble(self._project / "models" / "babbler", seed="The ", length=60).replace("\n", " ")
        render.say(f"\nThe model is in place, and it speaks: {spoken!r}")

    def _second_sync(self, hub: Hub) -> None:
        before = len(hub.requests)
        self._type("sync", told="A second sync has nothing to do and asks nobody:")
        render.say(f"(requests to the hub: {len(hub.requests) - before})")

    def _repair(self, hub: Hub) -> None:
        shard = self._project / "models" / "babbler" / TRIGRAM_SHARD
        half = shard.read_bytes()[: shard.stat().st_size // 2]
        shard.unlink()
        shard.write_bytes(half)
        before = len(hub.requests)
        self._type("status", told="A failed copy leaves half of a shard under its final name:")
        self._type("sync", told="What fetcher did not write it does not touch:", code=BlockedError.exit_code)
        self._type("sync", "--force", told="Unless asked; and even then the file is only moved aside:")
        render.say(f"(requests to the hub: {len(hub.requests) - before}; the bytes came from the store)")

    def _upgrade(self) -> None:
        shutil.rmtree(self._published)
        write_model(self._published, smoothing=0.001)
        self._type("lock", "--check", told="The hub gets a new revision. The lock still holds the old one:")
        self._type("lock", "--upgrade")
        self._type("sync", told="Only the shard that changed is fetched:")
        self._type("verify")

    def _type(self, *arguments: str, told: str = "", code: int = 0) -> None:
        render.say(f"\n{told}" if told else "")
        render.say(f"$ fetcher {' '.join(arguments)}")
        command = [sys.executable, "-m", "fetcher", *arguments]
        done = subprocess.run(command, cwd=self._project, env=self._environment, check=False)  # noqa: S603 - our own
        if done.returncode != code:
            raise FetcherError(
                f"`fetcher {' '.join(arguments)}` ended with {done.returncode}, not {code}.",
                fix="please report this together with the output above",
            )
