"""`fetcher status`: how the lock and the disk stand, in words and as JSON."""

from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import KIB, Publisher


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A model in place, and one that is not."""
    publisher.publish("owner/model", {"a.bin": 3 * KIB, "config.json": b"{}", "sub/b.txt": b"b", "sub/c.txt": b"c"})
    publisher.publish("owner/other", {"d.bin": 2 * KIB})
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock", "-q")
    at.ok("sync", "-q")
    at.manifest('[models.m]\nsource = "ms:owner/model"\n[models.o]\nsource = "ms:owner/other"\n')
    at.ok("lock", "-q")
    return at


def test_what_is_missing_edited_in_the_way_and_unmanaged_is_told_apart(at: Desk, hub: Hub) -> None:
    """Each asks for something else of whoever reads it; the network is not asked."""
    hub.close()
    placed = at.folder / "models/m"
    for name in ("config.json", "sub/b.txt", "sub/c.txt"):
        (placed / name).unlink()
    (placed / "config.json").write_bytes(b"mine")
    (placed / "sub/b.txt").mkdir()
    (placed / "notes").mkdir()
    (placed / "sub/x").touch()
    done = at.ok("status")
    assert done.out.partition("trash: ")[0] == (
        "m: 1 missing, 1 edited, 1 in the way, 1 right of 4 files (3.0 KiB); 0 B to fetch\n"
        "o: 1 missing of 1 file (2.0 KiB); 2.0 KiB to fetch\n"
        "  in the way: models/m/config.json: edited since fetcher wrote it\n"
        "  in the way: models/m/sub/b.txt: a directory\n"
        "  unmanaged: models/m/notes/\n"
        "  unmanaged: models/m/sub/x\n"
    )
    assert done.err == (
        "Move away what is in the way, or run `fetcher sync --force` to have it moved into .fetcher/trash/.\n"
    )
    found = at.ok("status", "--json").json
    assert found["unmanaged"] == ["models/m/notes/", "models/m/sub/x"]
    assert (found["lock"], found["up_to_date"]) == ("fresh", False)
    assert found["models"][0] == {
        "name": "m",
        "files": 4,
        "right": 1,
        "missing": 1,
        "outdated": 0,
        "damaged": 0,
        "edited": 1,
        "in_the_way": 1,
        "size": 3 * KIB + 4,
        "fetch_size": 0,
    }
    assert [model["name"] for model in at.ok("status", "o", "--json").json["models"]] == ["o"]


def test_without_a_lock_and_with_a_stale_one_it_says_so(at: Desk) -> None:
    """The fields that differ, and what to run."""
    at.model(more='exclude = ["*.txt"]')
    done = at.ok("status")
    assert done.out.splitlines()[:2] == [
        "models.lock: stale; run `fetcher lock`",
        '  m.exclude: models.toml has ["*.txt"], models.lock has none',
    ]
    assert at.ok("status", "--json").json["lock"] == "stale"
    (at.folder / "models.lock").unlink()
    assert at.ok("status").out.startswith("models.lock: none yet; run `fetcher lock`\n")
    assert at.ok("status", "--json").json["lock"] == "missing"


def test_much_that_is_unmanaged_is_cut(at: Desk) -> None:
    """A list that nobody reads to its end would hide what is above it."""
    for number in range(23):
        (at.folder / f"models/m/{number:02}").touch()
    lines = [line for line in at.ok("status").out.splitlines() if "unmanaged" in line]
    assert (len(lines), lines[-1]) == (21, "  and 3 more unmanaged")
    assert len(at.ok("status", "--json").json["unmanaged"]) == 23
