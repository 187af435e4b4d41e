"""Progress for people, for logs and for programs."""

import json
import os
import pty
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, write_tree

_SIZE = 2 + 4 * MIB


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 4 * MIB})
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock", "-q")
    return at


def test_json_events_are_one_object_a_line_and_add_up(at: Desk) -> None:
    """A program that watches must be able to draw its own bar."""
    done = at.ok("sync", "-q", "--progress", "json")
    events = [json.loads(line) for line in done.err.splitlines()]
    assert events[0] == {"event": "transfer-started", "files": 2, "size": _SIZE, "have": 0}
    assert events[-1] == {"event": "transfer-done", "have": _SIZE, "size": _SIZE}
    assert sorted(e["file"] for e in events if e["event"] == "file-done") == ["m/config.json", "m/model.bin"]
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert all(f"`{event['event']}`" in readme for event in events)


def test_a_lock_shows_the_bytes_that_it_hashes_and_those_that_it_fetches(at: Desk, hub: Hub, tmp_path: Path) -> None:
    """Of folders the hashed ones, of what no listing tells the fetched ones; short ones are not told in lines."""
    write_tree(tmp_path / "weights", {"a.bin": 3 * MIB, "b.json": b"{}"})
    at.environment["HF_ENDPOINT"] = hub.url
    at.manifest('[models.f]\nsource = "file:../weights"\n[models.h]\nsource = "hf:owner/model"\n')
    done = at.ok("lock", "--progress", "json")
    events = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    kinds = [event["event"] for event in events]
    assert events[kinds.index("hashing-started")] == {"event": "hashing-started", "files": 2, "size": 3 * MIB + 2}
    assert events[kinds.index("hashing-done")] == {"event": "hashing-done", "have": 3 * MIB + 2, "size": 3 * MIB + 2}
    assert events[kinds.index("transfer-started")] == {"event": "transfer-started", "files": 1, "size": 2, "have": 0}
    (at.folder / "models.lock").unlink()
    assert at.ok("lock").err.endswith("\nWrote models.lock.\n")
    assert "Fetching" not in at.ok("lock", "--upgrade").err


def test_without_a_terminal_there_are_lines(at: Desk) -> None:
    """Logs must not fill with control characters."""
    done = at.ok("sync")
    assert done.err.startswith("Fetching 2 files, 4.0 MiB.\nSynced: fetched 2 files (4.0 MiB), placed 2")
    assert "\x1b" not in done.err


def test_quiet_says_nothing(at: Desk) -> None:
    """For cron."""
    done = at.ok("sync", "-q")
    assert (done.out, done.err) == ("", "")


def test_none_leaves_the_result(at: Desk) -> None:
    """`--progress none` is about progress only."""
    done = at.ok("sync", "--progress", "none")
    assert done.err.startswith("Synced: ")
    assert done.err.count("\n") == 1


def test_on_a_terminal_there_are_bars_that_go_away(at: Desk) -> None:
    """The total and each file; the last line that stays is the result."""
    parent, child = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.chdir(at.folder)
        os.setsid()
        for number in (0, 1, 2):
            os.dup2(child, number)
        environment = {**at.environment, "TERM": "xterm", "COLUMNS": "100"}
        os.execve(sys.executable, [sys.executable, "-m", "fetcher", "sync"], environment)
    os.close(child)
    shown = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break  # Linux says so when the last writer is gone
        if not piece:
            break
        shown += piece
    os.close(parent)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = shown.decode()
    assert "0/2 files" in text
    assert "MiB" in text
    assert "\x1b[" in text
    assert text.rstrip().splitlines()[-1].endswith(" s.")
    assert "Synced: fetched 2 files" in text
