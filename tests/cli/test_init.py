"""`fetcher init`: begin, without touching what is there."""

import shutil
import subprocess
import tomllib
from pathlib import Path

from tests.cli.command import desk


def test_init_writes_what_a_repository_needs(tmp_path: Path) -> None:
    """The manifest is good as it stands, its schema is where it says, and git is told."""
    at = desk(tmp_path / "project", "http://127.0.0.1:9")
    at.ok("init")
    text = (at.folder / "models.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {"version": 1}
    schema = text.splitlines()[0].removeprefix("#:schema ")
    assert (at.folder / schema).read_text(encoding="utf-8") == at.ok("schema", "models").out
    assert at.ok("lock").err == "Wrote models.lock.\n"
    assert at.ok("sync").err == "models.toml declares no model yet.\n"


def test_git_ignores_what_fetcher_places_and_commits_the_lock(tmp_path: Path) -> None:
    """Weights must not land in a commit by `git add .`."""
    at = desk(tmp_path / "project", "http://127.0.0.1:9")
    subprocess.run([shutil.which("git") or "git", "init", "-q", str(at.folder)], check=True)
    at.ok("init")
    at.ok("lock")
    (at.folder / "models").mkdir()
    (at.folder / "models" / "weights.bin").write_bytes(b"w")
    done = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=at.folder, capture_output=True, text=True, check=True
    )
    assert sorted(line[3:] for line in done.stdout.splitlines()) == [
        ".gitattributes",
        ".gitignore",
        "models.lock",
        "models.toml",
    ]


def test_what_is_there_stays_and_only_missing_lines_are_added(tmp_path: Path) -> None:
    """A second init changes nothing and says so."""
    at = desk(tmp_path / "project", "http://127.0.0.1:9")
    (at.folder / ".gitignore").write_text("*.pyc", encoding="utf-8")
    (at.folder / "models.toml").write_text("version = 1 # mine\n", encoding="utf-8")
    at.ok("init")
    assert (at.folder / "models.toml").read_text(encoding="utf-8") == "version = 1 # mine\n"
    assert (at.folder / ".gitignore").read_text(encoding="utf-8") == "*.pyc\n/.fetcher/\n/models/\n"
    done = at.fetcher("init")
    assert (done.code, done.err.splitlines()[0]) == (
        9,
        "error: models.toml and git's lines are there already; nothing was changed.",
    )
