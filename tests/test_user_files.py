"""Rule 1: nothing of the user's is lost, seen from the command line."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree

_TREE: dict[str, bytes | int] = {"config.json": b'{"a": 1}\n', "sub/model.bin": 2 * MIB, "sub/other.bin": 2 * MIB}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/model", _TREE)
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    return at


def _own_file(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "config.json").write_bytes(b"the user's own")


def _directory(target: Path) -> None:
    (target / "config.json").mkdir(parents=True)
    (target / "config.json" / "inner").write_bytes(b"the user's own")


def _symlink(target: Path) -> None:
    target.mkdir(parents=True)
    elsewhere = target.parents[2] / "elsewhere"
    elsewhere.write_bytes(b"the user's own")
    (target / "config.json").symlink_to(elsewhere)


def _file_as_folder(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "sub").write_bytes(b"the user's own")


def _linked_folder(target: Path) -> None:
    target.mkdir(parents=True)
    elsewhere = target.parents[2] / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.bin").write_bytes(b"the user's own")
    (target / "sub").symlink_to(elsewhere)


_IN_THE_WAY: list[tuple[Callable[[Path], None], str]] = [
    (_own_file, "models/m/config.json: a file that fetcher did not write"),
    (_directory, "models/m/config.json: a directory"),
    (_symlink, "models/m/config.json: a symlink"),
    (_file_as_folder, "models/m/sub: a file where a folder is due"),
    (_linked_folder, "models/m/sub: a symlink to {elsewhere} where a folder is due"),
]


def _users_bytes(folder: Path) -> list[bytes]:
    return sorted(data for path, data in read_tree(folder).items() if data == b"the user's own")


@pytest.mark.parametrize(("obstacle", "line"), _IN_THE_WAY, ids=[o.__name__ for o, _ in _IN_THE_WAY])
def test_what_is_in_the_way_stays_and_is_listed(
    at: Desk, tmp_path: Path, hub: Hub, obstacle: Callable[[Path], None], line: str
) -> None:
    """Exit 9 with the list, before a byte is fetched; `--force` moves it aside, bytes and all."""
    obstacle(at.folder / "models" / "m")
    before = _snapshot(tmp_path / "project")
    hub.forget_requests()
    done = at.fetcher("sync")
    assert done.code == 9
    assert done.err == (
        "error: 1 thing is in the way and not fetcher's to replace.\n"
        f"  {line.format(elsewhere=tmp_path / 'elsewhere')}\n"
        "  fix: move it away, or run `fetcher sync --force` to have it moved into .fetcher/trash/\n"
    )
    assert _snapshot(tmp_path / "project") == before
    assert hub.requests == []
    users = _users_bytes(tmp_path)
    at.ok("sync", "--force")
    assert (at.folder / "models/m/config.json").read_bytes() == _TREE["config.json"]
    assert (at.folder / "models/m/sub/model.bin").stat().st_size == 2 * MIB
    assert _users_bytes(tmp_path) == users, "moved, not destroyed"
    at.ok("sync", "--check")


def test_an_edited_file_stays_until_force_and_then_lies_in_the_trash(at: Desk) -> None:
    """An upgrade must not run over someone's experiment."""
    at.ok("sync")
    config = at.folder / "models/m/config.json"
    config.write_bytes(b"an experiment")
    done = at.fetcher("sync")
    assert (done.code, config.read_bytes()) == (9, b"an experiment")
    assert "models/m/config.json: edited since fetcher wrote it" in done.err
    at.ok("sync", "--force")
    assert config.read_bytes() == _TREE["config.json"]
    assert b"an experiment" in read_tree(at.folder / ".fetcher" / "trash").values()


def test_an_edited_file_that_is_no_longer_wanted_stays_and_is_said(at: Desk) -> None:
    """Prune takes own unchanged files only."""
    at.ok("sync")
    (at.folder / "models/m/config.json").write_bytes(b"an experiment")
    at.model(more='exclude = ["config.json"]')
    at.ok("lock")
    done = at.ok("sync", "--json")
    assert done.json["left"] == ["models/m/config.json"]
    assert (at.folder / "models/m/config.json").read_bytes() == b"an experiment"
    assert "left, edited since fetcher wrote it: models/m/config.json" in done.err


def test_a_lost_index_loses_nothing(at: Desk) -> None:
    """It is a cache: files are hashed again, and none is removed or replaced without it."""
    at.ok("sync")
    (at.folder / ".fetcher" / "index.sqlite").unlink()
    at.model(more='exclude = ["sub/other.bin"]')
    at.ok("lock")
    at.ok("sync")
    assert set(at.placed()) == set(_TREE), "without the index nothing is known to be fetcher's"
    at.model(more='exclude = ["sub/other.bin", "config.json"]')
    at.ok("lock")
    at.ok("sync")
    assert set(at.placed()) == set(_TREE), "what was found right is not fetcher's either"


def test_other_files_in_the_target_are_none_of_fetcher_s_business(at: Desk) -> None:
    """Notes beside the weights."""
    at.ok("sync")
    (at.folder / "models/m/notes.txt").write_bytes(b"the user's own")
    at.model(more='include = ["config.json"]')
    at.ok("lock")
    at.ok("sync")
    assert set(at.placed()) == {"config.json", "notes.txt"}


def test_keep_going_does_the_other_models_and_exits_3(tmp_path: Path, publisher: Publisher, hub: Hub) -> None:
    """One obstacle must not hold up a night's download."""
    at = desk(tmp_path / "project", hub.url)
    tree = publisher.publish("owner/good", {"a.bin": b"a"})
    publisher.publish("owner/bad", {"b.bin": b"b"})
    at.manifest('[models.good]\nsource = "ms:owner/good"\n[models.bad]\nsource = "ms:owner/bad"\n')
    at.ok("lock")
    _own_b = at.folder / "models/bad/b.bin"
    _own_b.parent.mkdir(parents=True)
    _own_b.write_bytes(b"the user's own")
    assert at.fetcher("sync").code == 9
    assert at.placed("good") == {}
    done = at.fetcher("sync", "--keep-going")
    assert done.code == 3
    assert at.placed("good") == tree
    assert _own_b.read_bytes() == b"the user's own"
    assert "  bad: 1 thing is in the way and not fetcher's to replace.\n" in done.err


def test_bytes_that_rotted_are_found_by_verify_and_mended_by_sync(at: Desk, hub: Hub) -> None:
    """Nobody edited the file; the disk changed it.  The broken one is kept aside all the same."""
    at.ok("sync")
    model = at.folder / "models/m/sub/model.bin"
    found = model.stat()
    model.chmod(0o644)
    with model.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"rot")
    os.utime(model, ns=(found.st_atime_ns, found.st_mtime_ns))
    model.chmod(0o444)
    done = at.fetcher("verify")
    assert done.code == 4
    assert (
        "  models/m/sub/model.bin: its bytes have changed, though its size and date have not; differs in bytes 0-"
        in done.err
    )
    at.ok("sync")
    at.ok("verify")
    assert "sub/model.bin" in at.placed()
    assert at.placed() == {**at.placed(), "config.json": _TREE["config.json"]}


def _snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if ".fetcher" in path.parts:
            continue
        info = path.lstat()
        data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path)] = (info.st_mode, data)
    return found
