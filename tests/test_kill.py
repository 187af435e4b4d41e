"""Rule 3: killed at any instant, the next run goes on from the bytes on disk."""

import hashlib
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.core.digest import Sha256
from fetcher.disk.store import Store
from tests.cli.command import Desk, desk
from tests.hub.faults import OBJECT, FaultProxy, Rule, Slow
from tests.hub.publish import MIB, Publisher

_OPEN_PART = 16 * MIB  # bytes; what the journal does not know of yet
_THREE_FILES: dict[str, bytes | int] = {
    "config.json": b"{}",
    "model-00001.safetensors": 140 * MIB,
    "model-00002.safetensors": 100 * MIB,
    "model-00003.safetensors": 60 * MIB,
}


class _Loop:
    """Kills syncs at random moments, each followed by another one, over a link that is slow enough to be killed."""

    def __init__(self, tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]) -> None:
        self._folder = tmp_path / "project"
        self._publisher = publisher
        self._proxy = fault_proxy
        self._dice = random.Random(20)

    def run(self, tree: dict[str, bytes | int], *, kills: int, rate: int, connections: int) -> str:
        """Returns what the server sent for what size; each byte is sent once, but for the open parts.

        Args:
            rate: Bytes a second of one connection.
            connections: All that are ever open, whatever the number of files.
        """
        published = self._publisher.publish("owner/model", tree)
        proxy = self._proxy(Rule(OBJECT, Slow(rate=rate)))
        at = desk(self._folder, proxy.url)
        at.model()
        at.ok("lock")
        killed = self._killed(at, published, kills, connections)
        proxy.plan.clear()
        at.ok("sync")
        assert at.placed() == published
        sent = sum(proxy.body_bytes[path] for path in proxy.body_bytes if "/lfs-objects/" in path)
        size = sum(map(len, published.values()))
        assert killed > kills // 2, "the download was over too soon to say anything"
        assert sent <= size + killed * connections * _OPEN_PART
        store = Path(at.environment["FETCHER_STORE"])
        assert [path for path in (store / "partial").rglob("*") if path.is_file()] == []
        return f"{killed} kills, {sent / MIB:.0f} MiB for {size / MIB:.0f} MiB"

    def _killed(self, at: Desk, published: dict[str, bytes], kills: int, connections: int) -> int:
        for killed in range(kills):
            process = at.start("sync", "-q", "--connections", str(connections))
            try:
                process.communicate(timeout=self._dice.uniform(0.4, 1.6))
                return killed
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
            for path, data in at.placed().items():
                assert published[path] == data
        return kills


@pytest.fixture
def loop(tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]) -> _Loop:
    return _Loop(tmp_path, publisher, fault_proxy)


def test_thirty_kills_cost_at_most_the_open_parts(loop: _Loop, record_property: Callable[[str, object], None]) -> None:
    """SIGKILL during a sync of 300 MB in three files."""
    record_property("sent", loop.run(_THREE_FILES, kills=30, rate=24 * MIB, connections=3))


@pytest.mark.slow
def test_fifty_kills_of_a_large_file_cost_at_most_the_open_parts(
    loop: _Loop, record_property: Callable[[str, object], None]
) -> None:
    """SIGKILL during a sync of one file of 2 GiB over four connections."""
    one = {"model.safetensors": 2048 * MIB}
    record_property("sent", loop.run(one, kills=50, rate=12 * MIB, connections=4))


def test_a_byte_flipped_in_a_partial_costs_its_part_only(
    tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]
) -> None:
    """What is on disk of a killed download is proven, part by part, before the next run goes on."""
    size = 120 * MIB
    tree = publisher.publish("owner/model", {"model.safetensors": size})
    proxy = fault_proxy(Rule(OBJECT, Slow(rate=40 * MIB)))
    at = desk(tmp_path / "project", proxy.url)
    at.model()
    at.ok("lock")
    store = Store(Path(at.environment["FETCHER_STORE"]))
    name = Sha256(hashlib.sha256(tree["model.safetensors"]).hexdigest())
    process = at.start("sync", "-q", "--connections", "1")
    while store.partial_size(name) < 48 * MIB:
        assert process.poll() is None, "the download was over too soon to say anything"
    process.kill()
    process.communicate()
    recorded = store.partial_size(name)
    (partial,) = store.partial_folder(name).glob("data-*")
    with partial.open("r+b") as data:
        byte = data.read(1)
        data.seek(0)
        data.write(bytes([byte[0] ^ 1]))
    before = _settled(proxy)
    proxy.plan.clear()
    at.ok("sync", "--connections", "1")
    assert at.placed() == tree
    in_sockets = 16 * MIB  # the proxy counts what it sends, also of a reply that ends where the next bytes are here
    assert sum(proxy.body_bytes.values()) - before <= size - recorded + _OPEN_PART + in_sockets < size


def _settled(proxy: FaultProxy) -> int:
    """All bytes that the proxy sent, once it has noticed that nobody reads any more."""
    before, sent = -1, sum(proxy.body_bytes.values())
    while before != sent:
        time.sleep(0.3)  # six times what it waits between two pieces
        before, sent = sent, sum(proxy.body_bytes.values())
    return sent
