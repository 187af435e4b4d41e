"""`fetcher list`: what is declared and what is pinned, for people and for scripts."""

import os
import pty
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher

_SOURCE = 'source = "ms:owner/model"\n'


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A model of each state: locked, stale, left over, not locked."""
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 3 << 20})
    at = desk(tmp_path / "project", hub.url)
    at.manifest(f"[models.a]\n{_SOURCE}[models.b]\n{_SOURCE}[models.c]\n{_SOURCE}")
    at.ok("lock", "-q")
    at.manifest(
        f'[models.a]\n{_SOURCE}groups = ["g"]\n[models.b]\n{_SOURCE}include = ["*.json"]\n'
        f'[models.d]\n{_SOURCE}revision = "v2"\ntarget = "there"\n'
    )
    hub.close()
    return at


def _rows(at: Desk, *arguments: str) -> list[list[str]]:
    return [line.split("\t") for line in at.ok("list", *arguments).out.splitlines()]


def test_a_script_gets_a_line_a_model(at: Desk) -> None:
    """Without a head and without padding, from the files alone: the hub is closed."""
    source = "modelscope:owner/model"
    rows = _rows(at)
    commit = rows[0][3]
    assert len(commit) == 12
    assert rows == [
        ["a", "locked", source, commit, "2", "3.0 MiB", "models/a"],
        ["b", "stale", source, commit, "2", "3.0 MiB", "models/b"],
        ["c", "left over", source, commit, "2", "3.0 MiB", ""],
        ["d", "not locked", source, "", "", "", "there"],
    ]
    assert _rows(at, "b", "d") == [rows[1], rows[3]]
    assert _rows(at, "--group", "g") == [rows[0]]


def test_json_has_everything(at: Desk) -> None:
    """The whole commit, bytes as a number, None where the lock has no section."""
    found = at.ok("list", "--json", "a", "d").json["models"]
    assert len(found[0].pop("commit")) == 40
    assert found == [
        {
            "name": "a",
            "state": "locked",
            "source": "modelscope:owner/model",
            "revision": None,
            "files": 2,
            "size": (3 << 20) + 2,
            "target": "models/a",
            "groups": ["g"],
        },
        {
            "name": "d",
            "state": "not locked",
            "source": "modelscope:owner/model",
            "revision": "v2",
            "commit": None,
            "files": None,
            "size": None,
            "target": "there",
            "groups": [],
        },
    ]


def test_on_a_terminal_there_is_a_table(at: Desk) -> None:
    """With a head, and columns that stand below each other."""
    parent, child = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.chdir(at.folder)
        os.dup2(child, 1)
        os.execve(sys.executable, [sys.executable, "-m", "fetcher", "list", "a", "d"], at.environment)
    os.close(child)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    lines = os.read(parent, 65536).decode().splitlines()
    os.close(parent)
    assert [line.split()[0] for line in lines] == ["NAME", "a", "d"]
    assert {line.index(word) for line, word in zip(lines, ("TARGET", "models/a", "there"), strict=True)} == {
        lines[0].index("TARGET")
    }


def test_what_there_is_not_is_told(at: Desk) -> None:
    """Names, groups, and a project without a model."""
    assert at.fetcher("list", "n").err == (
        "error: There is no such model.\n  unknown: n\n  fix: name one of: a, b, c, d\n"
    )
    done = at.fetcher("list", "--group", "h")
    assert (done.code, done.err) == (2, "error: No model is in the group h.\n  fix: name one of: g\n")
    at.manifest("")
    (at.folder / "models.lock").unlink()
    empty = at.ok("list")
    assert (empty.out, empty.err) == ("", "models.toml declares no model yet.\n")
