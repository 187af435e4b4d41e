"""Runs `fetcher` as a user does: a process, a folder, an environment."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.documents import require_documents
from tests.hub.publish import read_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(kw_only=True)
class Desk:
    """A project folder and what its commands see."""

    folder: Path
    environment: dict[str, str]

    def fetcher(
        self, *arguments: str, prefix: tuple[str, ...] = (), timeout_s: float = 120, stdin: str | None = None
    ) -> Done:
        """Run a command to its end; what it prints for programs is held to its schema."""
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "fetcher", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            input=stdin or "",
        )
        require_documents(arguments, done.stdout, done.stderr)
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def ok(self, *arguments: str, **options: Any) -> Done:
        """Run a command that must end with 0."""
        done = self.fetcher(*arguments, **options)
        assert done.code == 0, f"fetcher {' '.join(arguments)} -> {done.code}\n{done.out}\n{done.err}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "fetcher", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def manifest(self, text: str) -> None:
        """Write models.toml."""
        (self.folder / "models.toml").write_text(f"version = 1\n{text}", encoding="utf-8")

    def model(self, name: str = "m", *, repo: str = "owner/model", more: str = "") -> None:
        """Write a models.toml of one model."""
        self.manifest(f'[models.{name}]\nsource = "modelscope:{repo}"\n{more}\n')

    def placed(self, name: str = "m") -> dict[str, bytes]:
        """What stands in a model's target."""
        return read_tree(self.folder / "models" / name)


def desk(folder: Path, url: str, *, more: Mapping[str, str] | None = None) -> Desk:
    """A new project folder whose ModelScope is at `url`."""
    folder.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "MODELSCOPE_ENDPOINT": url,
        "NO_PROXY": "127.0.0.1",
        "PYTHONWARNINGS": "error::ResourceWarning",
        **(more or {}),
    }
    return Desk(folder=folder, environment=environment)
