"""`fetcher undo`: the last sync, put back byte for byte, and nothing of the user's touched."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher

_OLD: dict[str, bytes | int] = {"config.json": b"one", "sub/gone.bin": 2 * MIB, "changed.bin": 2 * MIB}
_NEW: dict[str, bytes | int] = {"config.json": b"one, anew", "fresh/new.bin": b"new", "changed.bin": 3 * MIB}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A project that was synced at the old tree and is locked at the new one."""
    publisher.publish("owner/model", _OLD)
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    at.ok("sync")
    publisher.publish("owner/model", _NEW)
    at.ok("lock", "--upgrade")
    return at


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder but fetcher's state: mode, time, content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if ".fetcher" in path.relative_to(folder).parts or path.name.startswith("models."):
            continue
        info = path.lstat()
        if path.is_symlink():
            found[str(path.relative_to(folder))] = (info.st_mode, 0, os.readlink(path).encode())
        elif path.is_dir():
            found[str(path.relative_to(folder))] = (info.st_mode, 0, b"")
        else:
            found[str(path.relative_to(folder))] = (info.st_mode, info.st_mtime_ns, path.read_bytes())
    return found


def test_an_upgrade_is_put_back_byte_for_byte(at: Desk) -> None:
    """Replaced, removed and new files; the next sync goes forward again, without the hub."""
    before = snapshot(at.folder)
    at.ok("sync")
    after = snapshot(at.folder)
    assert after != before
    done = at.ok("undo", "--json")
    assert snapshot(at.folder) == before
    assert set(done.json["restored"]) == {"models/m/config.json", "models/m/sub/gone.bin", "models/m/changed.bin"}
    assert done.json["taken"] == ["models/m/fresh/new.bin"]
    at.ok("sync", "--offline")
    assert {path: data for path, (_, _, data) in snapshot(at.folder).items()} == {
        path: data for path, (_, _, data) in after.items()
    }


def test_undoing_again_undoes_the_sync_before_and_then_there_is_none(at: Desk) -> None:
    """One step each, as in an editor."""
    at.ok("sync")
    at.ok("undo")
    done = at.ok("undo")
    assert snapshot(at.folder) == {}
    assert "put back, 3 files taken away" in done.err
    assert at.ok("undo").err == "There is no sync to undo.\n"


def test_what_force_moved_aside_comes_back(at: Desk) -> None:
    """An edited file, a folder and a symlink in the way of the upgrade."""
    target = at.folder / "models/m"
    (target / "config.json").write_bytes(b"the user's own")
    (target / "fresh").symlink_to(at.folder)
    (target / "changed.bin").unlink()
    (target / "changed.bin").mkdir()
    (target / "changed.bin" / "inner").write_bytes(b"the user's too")
    before = snapshot(at.folder)
    at.ok("sync", "--force")
    at.ok("undo")
    assert snapshot(at.folder) == before


def test_what_a_killed_undo_left_of_its_claim_goes_with_the_next(at: Desk) -> None:
    """It has nothing to undo, and nobody else may come by."""
    at.ok("undo")
    at.ok("undo")
    owner = at.folder / ".fetcher/owner"
    owner.write_text("torn")
    os.utime(owner, (1_600_000_000, 1_600_000_000))
    assert at.ok("undo").err == "There is no sync to undo.\n"
    assert not owner.exists()


@pytest.mark.parametrize("name", ["config.json", "fresh/new.bin", "changed.bin", "sub/gone.bin"])
def test_a_file_that_was_changed_since_stops_the_undo(at: Desk, name: str) -> None:
    """Exit 9 with the list, and nothing is changed."""
    at.ok("sync")
    path = at.folder / "models/m" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(b"the user's own")
    before = snapshot(at.folder)
    done = at.fetcher("undo")
    assert done.code == 9
    assert done.err == (
        "error: 1 thing was changed since the sync, and an undo would run over it.\n"
        f"  models/m/{name}: changed since the sync\n"
        "  fix: move it away and run `fetcher undo` again; nothing was changed\n"
    )
    assert snapshot(at.folder) == before
    path.unlink()
    at.ok("undo")
    assert (at.folder / "models/m/config.json").read_bytes() == b"one"


_KILLED_AT_RENAME = """
import os, signal, sys
from fetcher.cli.app import run

left = [int(sys.argv.pop(1))]

def dying(function):
    def call(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

for name in ("rename", "replace", "link", "unlink", "mkdir", "rmdir"):
    setattr(os, name, dying(getattr(os, name)))
run()
"""


def _killed(at: Desk, command: str, after: int) -> bool:
    """Run a command that is killed before its n-th change of a name; whether it came so far."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AT_RENAME, str(after), command],
        cwd=at.folder,
        env=at.environment,
        capture_output=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("after", [9, 17, 21])
def test_a_killed_undo_goes_on_and_a_killed_sync_can_be_undone(at: Desk, after: int) -> None:
    """Wherever the kill comes, the files are as before in the end."""
    before = snapshot(at.folder)
    _killed(at, "sync", after)
    at.ok("sync")
    _killed(at, "undo", after)
    at.ok("undo")
    if not snapshot(at.folder):  # the killed undo had come to its end: this one undid the sync before
        return
    assert snapshot(at.folder) == before


def test_status_says_what_the_trash_holds_and_the_bounds_hold(at: Desk) -> None:
    """The user's own file stays whatever the bounds; the last sync can still be undone from the store."""
    (at.folder / "models/m/config.json").write_bytes(b"the user's own")
    before = snapshot(at.folder)
    at.ok("sync", "--force")
    done = at.ok("status")
    assert "trash: 2 syncs can be undone with `fetcher undo`; 2 files kept for that, taking 0 B\n" in done.out
    assert "trash: 1 file of yours, 14 B, moved aside; in .fetcher/trash/ until you remove them\n" in done.out
    assert at.ok("status", "--json").json["trash"]["users"] == 1
    at.environment.update(FETCHER_TRASH_AGE="0s", FETCHER_TRASH_SIZE="0")
    at.model(more='exclude = ["fresh/*"]')
    at.ok("lock")
    done = at.ok("sync")
    assert "note: the trash has let 3 files of earlier syncs go\n" in done.err
    trash = at.folder / ".fetcher/trash"
    kept = [path.read_bytes() for path in trash.rglob("*") if path.is_file() and path.suffix != ".jsonl"]
    assert kept == [b"the user's own"]
    assert before != snapshot(at.folder)
    assert at.ok("undo").err == "There is no sync to undo.\n"
    at.environment["FETCHER_TRASH_AGE"] = "soon"
    assert at.fetcher("sync").err == (
        "error: FETCHER_TRASH_AGE: expected an age such as 30d or 12h, got 'soon'.\n"
        "  fix: correct FETCHER_TRASH_AGE or unset it\n"
    )


def test_a_sync_after_a_killed_undo_goes_forward(at: Desk) -> None:
    """What came back is fetcher's, though the undo did not live to say so."""
    at.ok("sync")
    after = {path: data for path, (_, _, data) in snapshot(at.folder).items()}
    assert _killed(at, "undo", 14)
    half = {path: data for path, (_, _, data) in snapshot(at.folder).items()}
    assert half != after, "the kill came too early"
    at.ok("sync")
    assert {path: data for path, (_, _, data) in snapshot(at.folder).items()} == after
