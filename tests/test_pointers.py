"""A git-lfs pointer where a file was due: whatever the source, it never gets the file's name."""

import threading
from pathlib import Path

from fetcher.core.interfaces import NoEvents
from fetcher.core.retry import RetrySchedule
from fetcher.disk.store import Store
from fetcher.errors import PointerError
from fetcher.serve.hub import Hub
from fetcher.transfer import Job, TransferSettings, run_transfer
from tests.cli.command import desk
from tests.hub.publish import Publisher
from tests.scripted import ScriptedSource, request_for

_OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{_OID}\nsize 12345\n".encode()


def test_a_hub_that_holds_pointers_is_found_out(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """Somebody uploaded a clone without its large files; the hub's hash is right, and of no use."""
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": POINTER})
    at = desk(tmp_path / "project", hub.url, more={"FETCHER_RETRIES": "1"})
    at.model()
    at.ok("lock")
    done = at.fetcher("sync")
    assert done.code == 4
    assert done.err.endswith(
        "The source has a git-lfs pointer instead of m/model.bin.\n"
        f"  stands for: sha256 {_OID}, 12345 bytes\n"
        "  sent: 130 bytes of text\n"
        "  fix: use a source that has the file itself, run `git lfs pull` where the source was copied from, "
        "or add the file to `exclude`\n"
    )
    assert at.placed() == {}
    at.model(more='exclude = ["model.bin"]')
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == {"config.json": b"{}"}


def test_nobody_else_is_asked_for_a_pointer_s_bytes(tmp_path: Path) -> None:
    """They are right; a mirror has the same."""
    first, second = (ScriptedSource({"model.bin": POINTER}, label=label) for label in ("first", "second"))
    store = Store(tmp_path / "store")
    (outcome,) = run_transfer(
        [Job(request=request_for(POINTER, "model.bin", [first, second]), store=store)],
        settings=TransferSettings(retry=RetrySchedule(attempts=2), keep_going=True),
        events=NoEvents(),
        stop=threading.Event(),
    )
    assert isinstance(outcome.error, PointerError)
    assert (len(first.asked), len(second.asked)) == (1, 0)
    assert not store.has(outcome.request.name, len(POINTER))
