"""`fetcher login`, `logout` and `auth` as a person meets them."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher

NO_HF = "huggingface  https://huggingface.co  no token; HF_TOKEN is not set\n"
SECRET = "ms-0123-SECRET"


@pytest.fixture
def private(start_hub: Callable[..., Hub]) -> Hub:
    return start_hub(token=SECRET)


@pytest.fixture
def at(tmp_path: Path, private: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/model", {"config.json": b"{}"})
    at = desk(tmp_path / "project", private.url, more={"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"})
    at.model()
    return at


def given(at: Desk, text: str, *arguments: str) -> tuple[int, str, str]:
    """A command that reads `text` from standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "fetcher", *arguments],
        cwd=at.folder, env=at.environment, input=text, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_private_model_is_locked_after_a_login_and_not_after_a_logout(at: Desk, private: Hub) -> None:
    """The whole way of a token that stands in no variable."""
    kept = Path(at.environment["HOME"]) / ".config/fetcher/logins.json"
    refused = at.fetcher("lock")
    assert refused.code == 6
    assert "fix: run `fetcher login modelscope` or set MODELSCOPE_API_TOKEN, with a token that" in refused.err
    assert given(at, f"{SECRET}\nanother line\n", "login", "modelscope", "--token-stdin") == (
        0,
        "",
        f"Logged in as fetcher at {private.url}; the token is kept in {kept}.\n",
    )
    at.ok("lock")
    said = at.ok("auth")
    assert said.out == f"modelscope  {private.url}  token from {kept}, fetcher\n{NO_HF}"
    assert at.ok("auth", "--offline").out == f"modelscope  {private.url}  token from {kept}\n{NO_HF}"
    assert at.ok("auth", "--json").json == {
        "sources": [
            {
                "name": "modelscope",
                "server": private.url,
                "token_from": str(kept),
                "token_env": "MODELSCOPE_API_TOKEN",
                "user": "fetcher",
                "problem": None,
            },
            {
                "name": "huggingface",
                "server": "https://huggingface.co",
                "token_from": None,
                "token_env": "HF_TOKEN",
                "user": None,
                "problem": None,
            },
        ]
    }
    assert at.ok("logout", "modelscope").err == f"Logged out of {private.url}.\n"
    assert at.ok("logout", "modelscope").err == f"There is no login at {private.url}.\n"
    assert at.ok("auth").out == f"modelscope  {private.url}  no token; MODELSCOPE_API_TOKEN is not set\n{NO_HF}"
    assert at.fetcher("lock", "--upgrade").code == 6


@pytest.mark.parametrize("words", [[SECRET], ["--token", SECRET], [f"--token={SECRET}"]])
def test_a_token_as_an_argument_is_refused_with_the_reason(at: Desk, words: list[str]) -> None:
    """It is in the process list by then; the message must not spread it further."""
    done = at.fetcher("login", "modelscope", *words)
    assert done.code == 2
    assert done.err == (
        "error: A token is not taken as an argument.\n"
        "  reason: everybody on this machine can see arguments, and the shell keeps them in its history\n"
        "  fix: run `fetcher login SOURCE` and paste it, or give it by --token-stdin; revoke this one\n"
    )


def test_a_token_in_place_of_the_source_is_not_repeated(at: Desk) -> None:
    """`fetcher login TOKEN` is an easy slip."""
    done = at.fetcher("login", SECRET, "--json")
    assert (done.code, done.json["error"]["what"]) == (2, "There is no source of this name.")
    assert SECRET not in done.err + done.out


def test_without_a_terminal_or_a_line_there_is_nothing_to_read(at: Desk) -> None:
    """A prompt in a CI job would wait for ever."""
    assert at.fetcher("login", "modelscope").err == (
        "error: There is no terminal to ask for the token.\n"
        "  fix: give it by standard input: `fetcher login SOURCE --token-stdin < token.txt`\n"
    )
    assert at.fetcher("login", "modelscope", "--token-stdin").err == (
        "error: There is no token on standard input.\n"
        "  fix: run it as `fetcher login SOURCE --token-stdin < token.txt`\n"
    )


def test_what_is_typed_at_the_prompt_is_not_shown(at: Desk, private: Hub) -> None:
    """On a real terminal; the prompt names the source."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(at.folder)
        os.execve(sys.executable, [sys.executable, "-m", "fetcher", "login", "modelscope"], at.environment)
    shown = b""
    while b"Token for modelscope: " not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, f"{SECRET}\n".encode())
    while b"Logged in" not in shown:
        shown += os.read(terminal, 1000)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)
    assert SECRET.encode() not in shown
    assert f"Logged in as fetcher at {private.url}" in shown.decode()


def test_a_refused_token_ends_auth_with_6_after_all_lines(at: Desk, private: Hub) -> None:
    """A script that asks `fetcher auth` before a long job wants to know by the exit code."""
    at.manifest(f'[sources.corp]\nkind = "modelscope"\nendpoint = "{private.url}"\ntoken-env = "CORP"\n')
    at.environment.update(CORP=SECRET, MODELSCOPE_API_TOKEN="ms-9999-WRONG")
    done = at.fetcher("auth")
    host = private.url.removeprefix("http://")
    assert done.code == 6
    assert done.out == (
        f"modelscope  {private.url}  {host} refuses the token.\n{NO_HF}corp  {private.url}  token from CORP, fetcher\n"
    )


def test_no_manifest_is_needed(at: Desk, tmp_path: Path, private: Hub) -> None:
    """A login is of the user, not of a project; a broken manifest is still told."""
    (at.folder / "models.toml").unlink()
    assert given(at, SECRET, "login", "ms", "--token-stdin")[0] == 0
    assert given(at, SECRET, "login", "corp", "--token-stdin")[0] == 2
    at.manifest("[models.m]\nsorce = 1\n")
    assert at.fetcher("auth").code == 2
