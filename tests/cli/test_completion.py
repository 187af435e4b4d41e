"""Shell completion, by the shells themselves: names of models, groups and files."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher

PROMPT = "READY> "
TO_START, TAB = "\x01", "\t"
_PRINTED = re.compile(r"^= (.*)$", re.MULTILINE)
CASES = [
    ("fetcher sync bg", "fetcher sync bge-small"),
    ("fetcher sync --group em", "fetcher sync --group embed"),
    ("fetcher lock --upgrade oth", "fetcher lock --upgrade other.one"),
    ("fetcher exec oth", "fetcher exec other.one"),
    ("fetcher remove oth", "fetcher remove other.one"),
    ("fetcher add ms:a/b --group em", "fetcher add ms:a/b --group embed"),
    ("fetcher path bge-small sub/m", "fetcher path bge-small sub/model.bin"),
    ("fetcher verify -C inner dee", "fetcher verify -C inner deep"),
    ("fetcher exec bge-small -- cat models.t", "fetcher exec bge-small -- cat models.toml"),
]


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """Two models, one of them locked; `fetcher` in PATH; another project below."""
    publisher.publish("a/b", {"sub/model.bin": b"b", "config.json": b"{}", "it's $(touch here).json": b"{}"})
    at = desk(tmp_path / "project", hub.url)
    at.manifest('[models.bge-small]\nsource = "ms:a/b"\ngroups = ["embed"]\n')
    at.ok("lock")
    at.manifest('[models.bge-small]\nsource = "ms:a/b"\ngroups = ["embed"]\n[models."other.one"]\nsource = "ms:a/c"\n')
    (at.folder / "inner").mkdir()
    (at.folder / "inner/models.toml").write_text('version = 1\n[models.deep]\nsource = "ms:a/d"\n')
    at.environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PS1": PROMPT,
        "TERM": "dumb",
        "COLUMNS": "200",
    }
    return at


def _needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


def _typed(at: Desk, shell: list[str], lines: list[str]) -> list[str]:
    """What each line prints behind `= `; it is typed on a terminal once the one before has printed."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        shell, stdin=child, stdout=child, stderr=child, cwd=at.folder, env=at.environment, start_new_session=True
    )
    os.close(child)
    shown, printed = "", 0
    try:
        for wanted, line in enumerate([*lines, "exit\n"]):
            while PROMPT not in shown or printed < wanted:
                assert select.select([parent], [], [], 30)[0], shown
                shown += os.read(parent, 65536).decode().replace("\r", "")
                printed = len(_PRINTED.findall(shown))
            os.write(parent, line.encode())
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(parent)
    return _PRINTED.findall(shown)


def _completed(at: Desk, shell: list[str], *setup: str) -> list[str]:
    """Each case typed and completed by the tabulator key, then printed instead of run."""
    lines = [f"{text}{TAB}{TO_START}echo = \n" for text, _ in CASES]
    found = _typed(at, shell, [f"{'; '.join(setup)}; echo = ready\n", *lines])
    return [line.strip() for line in found[1:]]


@_needs("bash")
def test_bash(at: Desk) -> None:
    """Readline on a terminal."""
    setup = ['eval "$(fetcher --show-completion)"', "bind 'set enable-bracketed-paste off'"]
    assert _completed(at, ["bash", "--norc", "--noprofile", "-i"], *setup) == [whole for _, whole in CASES]


@_needs("zsh")
def test_zsh(at: Desk) -> None:
    """The line editor on a terminal."""
    setup = ["autoload -Uz compinit", "compinit -u -D", 'eval "$(fetcher --show-completion)"', "bindkey -e"]
    assert _completed(at, ["zsh", "-f", "-i"], *setup) == [whole for _, whole in CASES]


@_needs("fish")
def test_fish(at: Desk) -> None:
    """Its own way to ask for completions."""
    script = "fetcher --show-completion | source; complete -C $argv[1]"
    for text, whole in CASES[:-1]:
        done = subprocess.run(
            ["fish", "--no-config", "-c", script, text],
            cwd=at.folder,
            env=at.environment,
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == [whole.rpartition(" ")[2]], done.stderr


def _asked(at: Desk, **request: str) -> str:
    """What the program answers to a shell."""
    done = subprocess.run(
        ["fetcher"], cwd=at.folder, env={**at.environment, **request}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_what_shells_would_evaluate_is_not_offered(at: Desk) -> None:
    """Names of files come from the source; those that are not plain are left to be typed."""
    answer = _asked(at, _FETCHER_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="fetcher path bge-small ")
    assert answer == '_arguments \'*: :(("config.json"\n"sub/model.bin"))\''


def test_a_manifest_with_mistakes_completes_nothing(at: Desk) -> None:
    """And says nothing: the command will."""
    request = {"_FETCHER_COMPLETE": "complete_bash", "COMP_WORDS": "fetcher sync ", "COMP_CWORD": "2"}
    assert _asked(at, **request) == "bge-small\nother.one"
    at.manifest("[models.m\n")
    assert _asked(at, **request) == ""
