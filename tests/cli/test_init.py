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
    assert at.ok("lock").err == "models.toml declares no model yet.\nWrote models.lock.\n"
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


_PROGRAM = """\
from transformers import AutoModel
AutoModel.from_pretrained("BAAI/bge-small-zh-v1.5", revision="main")
AutoModel.from_pretrained("local/model")
"""
_NOTEBOOK = """\
{"cells": [{"cell_type": "code", "source": ["from modelscope import snapshot_download\\n",
 "snapshot_download('AI-ModelScope/gpt2', allow_patterns=['*.json'])"]}]}
"""


def test_init_names_the_models_that_are_used(tmp_path: Path) -> None:
    """In models.toml as comments; what only this machine's caches hold is told, and stands in no file."""
    at = desk(tmp_path / "project", "http://127.0.0.1:9")
    subprocess.run([shutil.which("git") or "git", "init", "-q", str(at.folder)], check=True)
    (at.folder / ".gitignore").write_text("/scratch/\n", encoding="utf-8")
    for name, text in {
        "app.py": _PROGRAM,
        "look.ipynb": _NOTEBOOK,
        "scratch/x.py": 'M.from_pretrained("no/ignored")',
        ".venv/x.py": 'M.from_pretrained("no/venv")',
        "local/model/config.json": "{}",
    }.items():
        (at.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (at.folder / name).write_text(text, encoding="utf-8")
    cache = Path(at.environment["XDG_CACHE_HOME"]) / "huggingface/hub"
    for name in ("models--BAAI--bge-small-zh-v1.5", "models--my--secret"):
        (cache / name / "snapshots").mkdir(parents=True)
    done = at.ok("init", "--json")
    assert done.err.splitlines() == [
        "Wrote models.toml, .gitattributes.",
        "Added lines to .gitignore.",
        "Models that programs here load; to add one:",
        "  fetcher add hf:BAAI/bge-small-zh-v1.5 --revision main  # app.py:2",
        "  fetcher add ms:AI-ModelScope/gpt2 --include '*.json'  # look.ipynb:2",
        "In the caches of this machine, from which `add` takes the bytes:",
        "  fetcher add hf:my/secret",
        "Next: `fetcher add SOURCE` for each model; `--dry-run` shows what it would take.",
    ]
    assert [each["cached"] for each in done.json["offers"]] == [True, False, True]
    text = (at.folder / "models.toml").read_text(encoding="utf-8")
    assert text.endswith(
        "#\n# Programs here load these models; a command adds one:\n"
        "#   fetcher add hf:BAAI/bge-small-zh-v1.5 --revision main  # app.py:2\n"
        "#   fetcher add ms:AI-ModelScope/gpt2 --include '*.json'  # look.ipynb:2\n"
    )
    assert tomllib.loads(text) == {"version": 1}


def test_without_git_programs_are_found_too(tmp_path: Path) -> None:
    """By walking through the folder; another manifest's lock gets its line."""
    at = desk(tmp_path / "project", "http://127.0.0.1:9")
    (at.folder / "app.py").write_text(_PROGRAM, encoding="utf-8")
    at.environment["PATH"] = ""
    done = at.ok("init", "--manifest", "other.toml", "--json")
    assert [each["source"] for each in done.json["offers"]] == ["hf:BAAI/bge-small-zh-v1.5", "hf:local/model"]
    assert (at.folder / ".gitattributes").read_text("utf-8") == "other.lock text eol=lf linguist-generated=true\n"
