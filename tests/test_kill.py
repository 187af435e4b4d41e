"""Rule 3: killed at any instant, the next run goes on from the bytes on disk."""

import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cli.command import desk
from tests.hub.faults import OBJECT, FaultProxy, Rule, Slow
from tests.hub.publish import MIB, Publisher

_KILLS = 30
_OPEN_PART = 16 * MIB  # bytes; what the journal does not know of yet
_TREE: dict[str, bytes | int] = {
    "config.json": b"{}",
    "model-00001.safetensors": 140 * MIB,
    "model-00002.safetensors": 100 * MIB,
    "model-00003.safetensors": 60 * MIB,
}
_CONNECTIONS = 3  # the large files come side by side


def test_thirty_kills_cost_at_most_the_open_parts(
    tmp_path: Path,
    publisher: Publisher,
    fault_proxy: Callable[..., FaultProxy],
    record_property: Callable[[str, object], None],
) -> None:
    """SIGKILL at random moments of a sync of 300 MB, each followed by another sync.

    The link is slow enough that the download is not over before the last kill.
    """
    tree = publisher.publish("owner/model", _TREE)
    proxy = fault_proxy(Rule(OBJECT, Slow(rate=24 * MIB)))
    at = desk(tmp_path / "project", proxy.url)
    at.model()
    at.ok("lock")
    dice = random.Random(20)
    killed = 0
    while killed < _KILLS:
        process = at.start("sync", "-q")
        try:
            process.communicate(timeout=dice.uniform(0.4, 1.6))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
        for path, data in at.placed().items():
            assert tree[path] == data
    proxy.plan.clear()
    at.ok("sync")
    assert at.placed() == tree
    sent = sum(proxy.body_bytes[path] for path in proxy.body_bytes if "/lfs-objects/" in path)
    size = sum(map(len, tree.values()))
    record_property("kills", killed)
    record_property("sent_for_size", f"{sent / MIB:.0f} MiB for {size / MIB:.0f} MiB")
    assert killed > _KILLS // 2, "the download was over too soon to say anything"
    assert sent <= size + killed * _CONNECTIONS * _OPEN_PART
    store = Path(at.environment["FETCHER_STORE"])
    assert [path for path in (store / "partial").rglob("*") if path.is_file()] == []
