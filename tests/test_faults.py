"""Every fault that a hub or a wire can show: right files, or the documented exit code.

The hub is honest and stands behind a proxy that is not.  Whatever happens, a wrong file
never stands under a final name.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.faults import (
    BYTES,
    FILE,
    LISTING,
    OBJECT,
    Before,
    Corrupt,
    Cut,
    FaultProxy,
    Hangup,
    JsonInstead,
    Lie,
    NoRange,
    RedirectTo,
    Reset,
    Rule,
    Slow,
    Stall,
    Status,
    TooMany,
    WrongLength,
    WrongRange,
)
from tests.hub.publish import KIB, MIB, Publisher

_TREE: dict[str, bytes | int] = {
    "config.json": b'{"a": 1}\n',
    "tokenizer.json": 40 * KIB,
    "model.safetensors": 5 * MIB,
}
_SIZE = sum(len(value) if isinstance(value, bytes) else value for value in _TREE.values())

World = Callable[..., tuple[Desk, FaultProxy, dict[str, bytes]]]


@pytest.fixture
def world(tmp_path: Path, publisher: Publisher, hub: Hub, fault_proxy: Callable[..., FaultProxy]) -> World:
    """A locked project behind a proxy; its faults begin after the lock."""

    def make(*rules: Rule) -> tuple[Desk, FaultProxy, dict[str, bytes]]:
        tree = publisher.publish("owner/model", _TREE)
        proxy = fault_proxy()
        at = desk(tmp_path / "project", proxy.url, more={"FETCHER_IDLE_TIMEOUT": "1.5"})
        at.model()
        at.ok("lock")
        proxy.plan.extend(rules)
        return at, proxy, tree

    return make


def _sent(proxy: FaultProxy) -> int:
    """Body bytes of files, whichever way they went."""
    return sum(r.sent for r in proxy.requests if "/lfs-objects/" in r.target or "/repo?" in r.target)


def _nothing_wrong(at: Desk, tree: dict[str, bytes]) -> None:
    """What is placed is right; a missing file is not wrong."""
    for path, data in at.placed().items():
        assert data == tree[path], f"{path} holds wrong bytes under its final name"
    store = Path(at.environment["FETCHER_STORE"]) / "objects" / "sha256"
    for path in store.rglob("*") if store.exists() else ():
        if path.is_file():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name


def _ends_well(at: Desk, tree: dict[str, bytes]) -> None:
    at.ok("sync")
    assert at.placed() == tree


def test_a_link_cut_every_mebibyte_finishes_and_sends_little_twice(world: World) -> None:
    """The official clients start again or splice; each try that brings bytes counts as progress."""
    at, proxy, tree = world(Rule(BYTES, Cut(after=MIB)))
    _ends_well(at, tree)
    assert _sent(proxy) <= _SIZE + 5 * MIB


@pytest.mark.parametrize(
    "fault",
    [Reset(after=600_000), Hangup(), Stall(after=600_000, seconds=20), Cut(after=0)],
    ids=lambda fault: type(fault).__name__,
)
def test_a_broken_reply_is_tried_again(world: World, fault: Any) -> None:
    """Resets, silence and lengths that are not kept are the wire's, not the file's, fault."""
    at, _, tree = world(Rule(BYTES, fault, times=2))
    _ends_well(at, tree)


@pytest.mark.parametrize("delta", [-5000, 5000])
def test_a_length_that_lies_never_places_a_part(world: World, delta: int) -> None:
    """Too short would cut the file off; too long is another file than the locked one."""
    at, _, tree = world(Rule(OBJECT, WrongLength(delta=delta)))
    done = at.fetcher("sync")
    assert done.code == 4
    assert "error: m/model.safetensors has changed on the server.\n  locked: 5242880 bytes\n" in done.err
    assert "model.safetensors" not in at.placed()
    _nothing_wrong(at, tree)


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_gateway_s_bad_minute_is_waited_out(world: World, code: int) -> None:
    """5xx is transient."""
    at, _, tree = world(Rule(BYTES, Status(code), times=2))
    _ends_well(at, tree)


@pytest.mark.parametrize("match", [OBJECT, FILE])
def test_an_empty_body_for_a_file_that_is_not_empty_is_asked_for_again(world: World, match: str) -> None:
    """A known fault of the CDN: status 200, no bytes; the hub's own address mends it."""
    at, _, tree = world(Rule(match, Status(200), times=2))
    _ends_well(at, tree)


def test_too_many_requests_waits_as_long_as_asked(world: World) -> None:
    """429 with Retry-After: the next request to the file comes not before that."""
    at, proxy, tree = world(Rule(BYTES, TooMany(retry_after=2), times=1))
    _ends_well(at, tree)
    assert [r.status for r in proxy.requests if "/repo?" in r.target].count(429) == 1


def test_a_hub_that_stays_down_ends_with_5(world: World) -> None:
    """Unreachable after retries, with the host in the message."""
    at, proxy, tree = world(Rule(BYTES, Status(503)))
    at.environment["FETCHER_RETRIES"] = "2"
    done = at.fetcher("sync")
    assert done.code == 5
    assert proxy.url.removeprefix("http://") in done.err
    assert "fix: " in done.err
    _nothing_wrong(at, tree)


def test_a_flipped_byte_ends_with_4_and_places_nothing(world: World) -> None:
    """The official clients look at the size only."""
    at, _, tree = world(Rule(OBJECT, Corrupt(offset=2_000_000)))
    done = at.fetcher("sync")
    assert done.code == 4
    assert "model.safetensors" in done.err
    assert "model.safetensors" not in at.placed()
    _nothing_wrong(at, tree)


def test_a_byte_flipped_once_is_fetched_again(world: World) -> None:
    """The next run starts clean, whatever the last one received."""
    at, _, tree = world(Rule(OBJECT, Corrupt(offset=2_000_000), times=1))
    first = at.fetcher("sync")
    assert first.code in (0, 4)
    _ends_well(at, tree)


def test_error_json_with_status_200_is_never_a_file(world: World) -> None:
    """The live hub was seen to answer a missing file like that."""
    at, _, tree = world(Rule(FILE, JsonInstead()))
    done = at.fetcher("sync")
    assert done.code in (4, 5, 7)
    assert at.placed() == {}
    _nothing_wrong(at, tree)


def test_a_range_that_was_not_asked_for_is_never_written(world: World) -> None:
    """Cut first, so that the next try asks for a range."""
    at, _, tree = world(Rule(OBJECT, Cut(after=MIB), times=1), Rule(OBJECT, WrongRange(shift=1000), times=2))
    done = at.fetcher("sync")
    assert done.code in (0, 4, 5)
    _nothing_wrong(at, tree)


def test_a_server_that_ignores_ranges_still_delivers(world: World) -> None:
    """A 200 with the whole file where a part was asked for."""
    at, _, tree = world(Rule(OBJECT, Cut(after=3 * MIB), times=1), Rule(OBJECT, NoRange()))
    _ends_well(at, tree)


def test_a_redirect_loop_ends(world: World) -> None:
    """Not with the file, and not never."""
    at, _, tree = world(Rule(FILE, RedirectTo("")))
    assert at.fetcher("sync").code == 5
    assert at.placed() == {}
    _nothing_wrong(at, tree)


def test_a_slow_link_is_not_a_stalled_one(world: World) -> None:
    """The idle limit counts silence, not slowness."""
    at, _, tree = world(Rule(OBJECT, Slow(rate=2 * MIB)))
    _ends_well(at, tree)


def _entries(change: Callable[[list[dict[str, Any]]], object]) -> Lie:
    def apply(document: Any) -> Any:
        change(document["Data"]["Files"])
        return document

    return Lie(apply)


def _rename(name: str) -> Callable[[list[dict[str, Any]]], object]:
    def change(files: list[dict[str, Any]]) -> None:
        blob = next(entry for entry in files if entry["Type"] == "blob")
        blob["Path"], blob["Name"] = name, name.rpartition("/")[2]

    return change


def _twin(files: list[dict[str, Any]]) -> None:
    blob = next(entry for entry in files if entry["Path"] == "config.json")
    files.append({**blob, "Path": "Config.JSON", "Name": "Config.JSON"})


def _file_and_folder(files: list[dict[str, Any]]) -> None:
    blob = next(entry for entry in files if entry["Path"] == "config.json")
    files.append({**blob, "Path": "config.json/inner", "Name": "inner"})


def _set(key: str, value: object) -> Callable[[list[dict[str, Any]]], object]:
    def change(files: list[dict[str, Any]]) -> None:
        next(entry for entry in files if entry["Type"] == "blob")[key] = value

    return change


_HOSTILE: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "parent": _rename("../escape"),
    "deep parent": _rename("a/../../escape"),
    "absolute": _rename("/etc/escape"),
    "backslash": _rename("a\\..\\escape"),
    "drive": _rename("C:escape"),
    "control": _rename("a\nb"),
    "reserved": _rename("aux.json"),
    "git's own": _rename(".git/config"),
    "git's own, other case": _rename("sub/.GIT/hooks/post-checkout"),
    "git's own, short name": _rename("git~1/config"),
    "git's own, invisible": _rename(".g\u200cit/config"),
    "fetcher's own": _rename(".fetcher/index.sqlite"),
    "right to left": _rename("a\u202egnp.exe"),
    "very deep": _rename("a/" * 100 + "b"),
    "trailing dot": _rename("config.json."),
    "case twin": _twin,
    "file and folder": _file_and_folder,
    "negative size": _set("Size", -1),
    "no hash": _set("Sha256", "abc"),
    "empty hash": _set("Sha256", ""),
    "size as text": _set("Size", "many"),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_listing_is_refused_at_lock_time(
    name: str, tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]
) -> None:
    """Rule 8: exit 4, nothing written, the host named."""
    publisher.publish("owner/model", _TREE)
    proxy = fault_proxy(Rule(LISTING, _entries(_HOSTILE[name])))
    at = desk(tmp_path / "project", proxy.url)
    at.model()
    done = at.fetcher("lock")
    assert done.code in (4, 5), done.err
    assert proxy.url.removeprefix("http://") in done.err
    assert not (at.folder / "models.lock").exists()
    assert not list(tmp_path.rglob("*escape*"))


def test_a_branch_that_moves_between_two_requests_never_mixes_two_commits(
    tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]
) -> None:
    """The listing is made at the commit, not at the branch; so is each file."""
    old = publisher.commit("owner/model", "one", {"a.txt": b"old a", "b.txt": b"old b"})
    new = publisher.commit("owner/model", "two", {"a.txt": b"new a", "b.txt": b"new b"})
    publisher.move("owner/model", "master", to="one")
    proxy = fault_proxy(
        Rule(LISTING, Before(lambda: publisher.move("owner/model", "master", to="two")), times=1),
    )
    at = desk(tmp_path / "project", proxy.url)
    at.model()
    at.ok("lock")
    at.ok("sync")
    assert at.placed() in (old, new)


def test_an_unknown_revision_is_not_an_empty_success(tmp_path: Path, publisher: Publisher, hub: Hub) -> None:
    """The hub answers 200 with `Files: null`, and the official client reports success."""
    publisher.publish("owner/model", _TREE)
    publisher.tag("owner/model", "v1.0", _TREE)
    at = desk(tmp_path / "project", hub.url)
    at.model(more='revision = "v1.1"')
    done = at.fetcher("lock")
    assert done.code == 7
    assert "v1.0" in done.err
    assert "master" in done.err


def test_no_fault_shows_a_traceback(world: World) -> None:
    """Every error is a sentence, its facts and its fix."""
    at, _, _ = world(Rule(BYTES, Lie(lambda document: json.loads("{}"))), Rule(BYTES, Status(418)))
    done = at.fetcher("sync")
    assert "Traceback" not in done.err
    assert "\nerror: " in done.err
    assert "\n  fix: " in done.err
