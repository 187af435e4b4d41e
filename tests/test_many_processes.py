"""Rule 5: many fetchers on one project and one store, also where file locks do nothing."""

import functools
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.core.digest import Sha256
from fetcher.disk.store import Store
from tests.cli.command import Desk, desk
from tests.disk.looks import sha
from tests.hub.faults import BYTES, OBJECT, FaultProxy, Rule, Slow
from tests.hub.publish import KIB, MIB, Publisher, content, read_tree

_TREE: dict[str, bytes | int] = {
    "config.json": b"{}",
    "model-00001.safetensors": 40 * MIB,
    "model-00002.safetensors": 24 * MIB + 1,
    **{f"shards/{number}.json": 3 * KIB + number for number in range(20)},
}
_PROCESSES = 8

# Locks as on a file system where they do nothing: given to everybody.
_DEAF = """
import os, filelock
def give(lock):
    lock._context.lock_file_fd = os.open(os.devnull, os.O_RDONLY)
def take_back(lock):
    os.close(lock._context.lock_file_fd)
    lock._context.lock_file_fd = None
filelock.FileLock._acquire, filelock.FileLock._release = give, take_back
from fetcher.__main__ import main
main()
"""


def _start(at: Desk, *arguments: str, deaf: bool) -> subprocess.Popen[str]:
    program = ["-c", _DEAF] if deaf else ["-m", "fetcher"]
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=at.folder,
        env=at.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _all_end_well(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, f"{out}\n{err}"


def _sent(proxy: FaultProxy) -> int:
    return sum(request.sent for request in proxy.requests if re.search(BYTES, request.target))


def _litter(at: Desk) -> list[str]:
    store = Path(at.environment["FETCHER_STORE"])
    found = [*(store / "partial").rglob("*"), *store.rglob(".*fetcher-*"), *at.folder.rglob(".*.fetcher-*")]
    return sorted(str(path) for path in found)


@pytest.mark.parametrize("deaf", [True, False], ids=["locks do nothing", "locks"])
def test_eight_processes_on_one_project_end_right(
    tmp_path: Path,
    publisher: Publisher,
    fault_proxy: Callable[..., FaultProxy],
    record_property: Callable[[str, object], None],
    deaf: bool,
) -> None:
    """All exit 0, the files are right, and the hub sent little more than one copy."""
    tree = publisher.publish("owner/model", _TREE)
    proxy = fault_proxy()
    at = desk(tmp_path / "project", proxy.url)
    at.model()
    at.ok("lock")
    _all_end_well([_start(at, "sync", "-q", deaf=deaf) for _ in range(_PROCESSES)])
    assert at.placed() == tree
    size = sum(map(len, tree.values()))
    record_property("sent for size", f"{_sent(proxy) / size:.2f}")
    assert _sent(proxy) <= 1.5 * size
    assert _litter(at) == []
    at.ok("sync", "--check")


@pytest.mark.parametrize("deaf", [True, False], ids=["locks do nothing", "locks"])
def test_eight_projects_that_want_the_same_objects_fetch_them_once(
    tmp_path: Path,
    publisher: Publisher,
    fault_proxy: Callable[..., FaultProxy],
    record_property: Callable[[str, object], None],
    deaf: bool,
) -> None:
    """One store of a user, or of a whole cluster: who comes later waits for the object, not for the project."""
    tree = publisher.publish("owner/model", {name: _TREE[name] for name in list(_TREE)[:3]})
    proxy = fault_proxy()
    desks = [desk(tmp_path / f"project{number}", proxy.url) for number in range(_PROCESSES)]
    for at in desks:
        at.model()
    desks[0].ok("lock")
    for at in desks[1:]:
        (at.folder / "models.lock").write_bytes((desks[0].folder / "models.lock").read_bytes())
    _all_end_well([_start(at, "sync", "-q", deaf=deaf) for at in desks])
    for at in desks:
        assert at.placed() == tree
    size = sum(map(len, tree.values()))
    record_property("sent for size", f"{_sent(proxy) / size:.2f}")
    assert _sent(proxy) <= 1.5 * size
    assert _litter(desks[0]) == []


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)


def _is_downloading(at: Desk) -> bool:
    return Store(Path(at.environment["FETCHER_STORE"])).partial_size(_large()) > 0


@functools.cache
def _large() -> Sha256:
    return sha(content("model-00001.safetensors", 40 * MIB))


def test_a_killed_holder_is_followed_at_once(
    tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]
) -> None:
    """Whoever waits goes on with its bytes; nobody waits for the minute after which other machines give up."""
    tree = publisher.publish("owner/model", _TREE)
    proxy = fault_proxy(Rule(OBJECT, Slow(rate=8 * MIB)))
    at = desk(tmp_path / "project", proxy.url)
    at.model()
    at.ok("lock")
    first = _start(at, "sync", "-q", deaf=True)
    _wait_for(lambda: _is_downloading(at), "the first never began")
    second = _start(at, "sync", deaf=True)
    assert second.stderr is not None
    assert "waiting for another fetcher" in second.stderr.readline()
    proxy.plan.clear()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    killed_s = time.monotonic()
    _all_end_well([second])
    assert time.monotonic() - killed_s < 30
    assert read_tree(at.folder / "models" / "m") == tree
    assert _litter(at) == []


def test_who_will_not_wait_is_told_for_whom(
    tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]
) -> None:
    """The whole message of exit 10, for a project and for an object that another project fetches."""
    publisher.publish("owner/model", _TREE)
    proxy = fault_proxy(Rule(OBJECT, Slow(rate=4 * MIB)))
    at, other = desk(tmp_path / "project", proxy.url), desk(tmp_path / "other", proxy.url)
    for each in (at, other):
        each.model()
        each.ok("lock")
    holder = _start(at, "sync", "-q", deaf=True)
    _wait_for(lambda: _is_downloading(at), "the holder never began")
    refused = _start(at, "sync", "--wait", "0", deaf=True)
    _, text = refused.communicate(timeout=60)
    late = _start(other, "sync", "--progress", "none", "--wait", "0.5", deaf=True)
    _, late_text = late.communicate(timeout=60)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    who = f"  holder: process {holder.pid} on {socket.gethostname()} since TIME\n"
    assert refused.returncode == late.returncode == 10, late_text
    assert _timeless(text) == (
        "error: Another fetcher is at work on the project project.\n"
        f"{who}"
        f"  claim: {at.folder}/.fetcher/claim\n"
        "  waited: 0 s\n"
        "  fix: wait for it to end and run the command again\n"
    )
    assert "Another fetcher is downloading the same file.\n" in late_text
    assert who in _timeless(late_text)


def _timeless(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME", text)
