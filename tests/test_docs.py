"""What the documents say is so."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from fetcher.cli.app import app
from fetcher.formats.manifest_toml import read_manifest

_ROOT = Path(__file__).parents[1]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")
_COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def _help(*command: str) -> str:
    environment = {"PATH": "/usr/bin:/bin", "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "fetcher", *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_has_help_with_an_example_that_parses(command: str) -> None:
    """The example is what people copy."""
    text = _help(command)
    example = re.search(r"Example: (.*?fetcher [^\n│]*)", text)
    assert example, text
    words = shlex.split(re.sub(r'.*"\$\((fetcher [^)]*)\).*', r"\1", example[1]).split(">")[0])
    assert words[:2] == ["fetcher", command]
    options = {word for word in words if word.startswith("-")}
    assert all(option in text for option in options)


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_readme_names_every_command(command: str) -> None:
    """A command that no document names does not exist for its users."""
    assert f"fetcher {command}" in _README or f"`{command}`" in _README


def test_the_readme_s_commands_and_options_exist() -> None:
    """A command line that is shown must be one that works."""
    shown = set(re.findall(r"fetcher ([a-z]+)((?: --?[a-z-]+)*)", _README))
    for command, options in shown:
        if command in ("is", "does", "did"):
            continue
        assert command in _COMMANDS, command
        text = _help(command)
        for option in options.split():
            assert option in text, f"{command} {option}"


def test_the_readme_s_manifests_are_good() -> None:
    """People paste them."""
    blocks = re.findall(r"```toml\n(.*?)```", _README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        assert read_manifest(block, file="README.md").models


def test_the_variables_of_the_readme_are_those_of_the_code() -> None:
    """A variable that nobody reads is a promise that nobody keeps."""
    code = "".join(path.read_text(encoding="utf-8") for path in (_ROOT / "fetcher").rglob("*.py"))
    told = set(re.findall(r"`((?:FETCHER|MODELSCOPE)_[A-Z_]+)`", _README))
    read = set(re.findall(r'"(FETCHER_[A-Z_]+)"', code))
    assert read <= told
    assert all(name in code for name in told)


def test_the_version_of_the_changelog_s_next_release_is_open() -> None:
    """Every user-visible change has its line there until a release names it."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert "## Unreleased" in (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_make_help_lists_the_targets_of_the_readme() -> None:
    """The first screen's commands are real targets."""
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z]+)", _README):
        assert re.search(rf"^{target} *:", makefile, flags=re.MULTILINE), target
