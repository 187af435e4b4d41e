"""Rule 3: killed at any instant, the next run goes on from the bytes on disk."""

import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
