"""Something else than a file has the name of the manifest or the lock: nobody waits, and nothing is written."""

import os
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Desk, desk

pytestmark = pytest.mark.skipif("os.name != 'posix'", reason="pipes and devices by a name")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


_KINDS: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/null"),
    "a socket": _socket,
}
_COMMANDS = ["lock", "lock --check", "sync"]


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    """A project that is in place."""
    at = desk(tmp_path / "p", "http://127.0.0.1:9")
    at.manifest('[models.m]\nsource = "file:from"\n')
    (at.folder / "from").mkdir()
    (at.folder / "from/config.json").write_text("{}", encoding="utf-8")
    at.ok("lock")
    at.ok("sync")
    return at


@pytest.mark.parametrize(
    ("name", "kind"), [*(("models.lock", kind) for kind in _KINDS), ("models.toml", "a named pipe")]
)
def test_what_is_no_file_is_named_and_not_read(at: Desk, name: str, kind: str) -> None:
    """A pipe would never answer, a device never end; the front room, which comes first, does not wait either."""
    path = at.folder / name
    path.unlink()
    _KINDS[kind](path)
    for command in _COMMANDS:
        done = at.fetcher(*command.split(), timeout_s=60)
        assert done.code == 2
        assert done.err == (
            f"error: {name} is {kind}, not a file.\n"
            f"  path: {path}\n"
            f"  fix: move it away: mv {shlex.quote(str(path))} {shlex.quote(str(path) + '.old')}\n"
        )


def test_a_manifest_that_leads_nowhere_is_named(at: Desk) -> None:
    """It is not that there is none."""
    (at.folder / "models.toml").unlink()
    (at.folder / "models.toml").symlink_to("gone.toml")
    assert at.fetcher("sync").err.startswith("error: models.toml is a symlink to nothing, not a file.\n")


@pytest.mark.parametrize("goal", ["there", "missing"])
def test_no_lock_is_written_out_of_the_project(at: Desk, goal: str) -> None:
    """A link that came with somebody's project must not have `fetcher lock` write to any place of the user's."""
    elsewhere, lock = at.folder.parent / "elsewhere.lock", at.folder / "models.lock"
    if goal == "there":
        lock.rename(elsewhere)
    else:
        lock.unlink()
    before = elsewhere.read_bytes() if elsewhere.exists() else None
    lock.symlink_to(elsewhere)
    (at.folder / "from/more.json").write_text("[]", encoding="utf-8")
    done = at.fetcher("lock", "--upgrade")
    assert done.code == 9
    assert done.err.endswith(
        "error: models.lock is a symlink out of the project; nothing was written through it.\n"
        f"  {lock} -> {elsewhere}\n"
        f"  fix: remove it, what it leads to stays: rm {lock}\n"
    )
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == before


def test_a_lock_may_be_a_link_within_the_project(at: Desk) -> None:
    """Nobody is harmed by that, and it stays one."""
    lock = at.folder / "models.lock"
    lock.rename(at.folder / "real.lock")
    lock.symlink_to("real.lock")
    (at.folder / "from/more.json").write_text("[]", encoding="utf-8")
    at.ok("lock", "--upgrade")
    assert lock.is_symlink()
    assert "more.json" in (at.folder / "real.lock").read_text(encoding="utf-8")
