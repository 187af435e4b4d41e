"""Other homes of the same bytes, by the command line: fallbacks, mirrors, routes of the environment."""

import hashlib
import random
import re
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.faults import BYTES, OBJECT, Corrupt, Fault, FaultProxy, Hangup, Line, Reply, Rule
from tests.hub.publish import KIB, MIB, Publisher

_LARGE = 300 * MIB
_TREE: dict[str, bytes | int] = {"config.json": b'{"a": 1}\n', "model.safetensors": 2 * MIB}

Proxies = Callable[..., FaultProxy]


class _DiesAt(Fault):
    """A host that sends so many bytes, over all connections, and then never answers again."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def instead(self, target: str) -> Reply | None:
        dead = Reply(status=0, headers=(), length=0, body=iter(()))
        return dead if self._left <= 0 else None

    def deliver(self, reply: Reply, line: Line) -> None:
        for piece in reply.body:
            with self._lock:
                count = min(self._left, len(piece))
                self._left -= count
            line.send(piece[:count])
            if count < len(piece):
                line.cut()
                return


class _Partials(threading.Thread):
    """Counts the partials of a store while a sync runs."""

    def __init__(self, store: Path) -> None:
        super().__init__(daemon=True)
        self._store = store
        self._over = threading.Event()
        self.names: set[str] = set()

    def run(self) -> None:
        while not self._over.wait(0.02):
            found = {f"{path.parent.name}/{path.name}" for path in self._store.glob("partial/*/data-*")}
            self.names.update(found)

    def end(self) -> set[str]:
        self._over.set()
        self.join()
        return self.names


def _write_large(path: Path) -> str:
    """A file of 300 MiB in which no two pieces are the same; returns its sha256."""
    body = random.Random("large").randbytes(MIB - 8)
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for number in range(_LARGE // MIB):
            piece = number.to_bytes(8, "big") + body
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def _homes(at: Desk, url: str, *, mirrors: tuple[str, ...] = (), fallback: str = "") -> None:
    """A model of the hub A, its mirrors, and a hub B at `url`."""
    listed = ", ".join(f'"{mirror}"' for mirror in mirrors)
    at.manifest(
        f'[models.m]\nsource = "a:owner/model"\n{fallback}\n'
        f'[sources.a]\nkind = "modelscope"\nmirrors = [{listed}]\n'
        f'endpoint = "{at.environment["MODELSCOPE_ENDPOINT"]}"\n'
        f'[sources.b]\nkind = "modelscope"\nendpoint = "{url}"\n'
    )


def _sent(proxy: FaultProxy) -> int:
    return sum(seen.sent for seen in proxy.requests if re.search(BYTES, seen.target))


def test_a_hub_that_dies_at_40_percent_is_replaced_in_the_middle_of_a_file(
    tmp_path: Path, publisher: Publisher, fault_proxy: Proxies
) -> None:
    """One partial, right bytes, exit 0; what came of A is not asked of B."""
    sha256 = _write_large(publisher.folder("owner/model") / "model.safetensors")
    (publisher.folder("other")).mkdir()
    (publisher.folder("other") / "copy").symlink_to(publisher.folder("owner/model"))
    a, b = fault_proxy(), fault_proxy()
    at = desk(tmp_path / "project", a.url)
    _homes(at, b.url, fallback='fallback = ["b:other/copy"]')
    at.ok("lock")
    a.plan.append(Rule(OBJECT, _DiesAt(_LARGE * 4 // 10)))
    a.forget_requests()
    b.forget_requests()
    partials = _Partials(Path(at.environment["FETCHER_STORE"]))
    partials.start()
    done = at.fetcher("sync")
    names = partials.end()
    assert done.code == 0, done.err
    assert [name.partition("/")[0] for name in names] == [sha256], "one partial, by one writer"
    assert done.code == 0, done.err
    with (at.folder / "models/m/model.safetensors").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256
    assert 0.39 * _LARGE < _sent(a) <= 0.4 * _LARGE
    connections = sum(seen.sent > 0 for seen in a.requests if re.search(OBJECT, seen.target))
    twice = _sent(a) + _sent(b) - _LARGE
    assert 0 <= twice <= connections * 8 * MIB, (
        f"{twice} bytes were sent twice: more than the least part of each connection"
    )


def test_one_byte_that_differs_in_a_fallback_fails_the_lock_and_names_it(
    tmp_path: Path, publisher: Publisher, hub: Hub
) -> None:
    """The whole message, and no lock is written."""
    tree = publisher.publish("owner/model", _TREE)
    flipped = bytearray(tree["model.safetensors"])
    flipped[MIB] ^= 1
    publisher.publish("owner/copy", {**tree, "model.safetensors": bytes(flipped)})
    at = desk(tmp_path / "project", hub.url)
    _homes(at, hub.url, fallback='fallback = ["b:owner/copy"]')
    done = at.fetcher("lock")
    here, there = hashlib.sha256(tree["model.safetensors"]), hashlib.sha256(flipped)
    assert done.code == 4
    assert done.err == (
        "error: m: the fallback b:owner/copy has other bytes.\n"
        f"  model.safetensors: sha256 {here.hexdigest()} at the source, {there.hexdigest()} at the fallback\n"
        "  fix: remove it from `fallback` of [models.m] in models.toml\n"
    )
    assert not (at.folder / "models.lock").exists()
    assert all("/repo?" not in seen.path for seen in hub.requests), "the listings told; no byte was fetched"


def test_a_hub_of_another_kind_takes_over_in_the_middle_of_a_file(
    tmp_path: Path, publisher: Publisher, fault_proxy: Proxies
) -> None:
    """Hugging Face dies at 40 %; ModelScope, whose pin is in the lock, has the rest of the same bytes."""
    size = 40 * MIB
    tree = publisher.publish("owner/model", {"config.json": b"{}", "model.safetensors": size})
    a, b = fault_proxy(), fault_proxy()
    at = desk(tmp_path / "project", b.url, more={"HF_ENDPOINT": a.url})
    at.manifest('[models.m]\nsource = "hf:owner/model"\nfallback = ["ms:owner/model"]\n')
    at.ok("lock")
    a.plan.append(Rule(OBJECT, _DiesAt(size * 4 // 10)))
    a.forget_requests()
    b.forget_requests()
    partials = _Partials(Path(at.environment["FETCHER_STORE"]))
    partials.start()
    at.ok("sync")
    sha256 = hashlib.sha256(tree["model.safetensors"]).hexdigest()
    assert {name.partition("/")[0] for name in partials.end()} <= {sha256}
    assert at.placed() == tree
    assert 0.3 * size < _sent(a) <= 0.4 * size
    assert _sent(b) < 0.9 * size, "what came of the first is not asked of the second"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_one_byte_that_differs_in_a_hub_of_another_kind_fails_the_lock(
    tmp_path: Path, publisher: Publisher, start_hub: Callable[..., Hub], name: str
) -> None:
    """Also of a small file, for which one of the hubs lists no sha256."""
    tree = publisher.publish("owner/model", _TREE)
    flipped = bytearray(tree[name])
    flipped[1] ^= 1
    publisher.publish("owner/copy", {**tree, name: bytes(flipped)})
    hub = start_hub()
    at = desk(tmp_path / "project", hub.url, more={"HF_ENDPOINT": hub.url})
    here, there = hashlib.sha256(tree[name]).hexdigest(), hashlib.sha256(flipped).hexdigest()
    for source, fallback in (("hf:owner/model", "ms:owner/copy"), ("ms:owner/model", "hf:owner/copy")):
        at.manifest(f'[models.m]\nsource = "{source}"\nfallback = ["{fallback}"]\n')
        done = at.fetcher("lock")
        shown = fallback.replace("hf:", "huggingface:").replace("ms:", "modelscope:")
        assert (done.code, done.err) == (
            4,
            (
                f"error: m: the fallback {shown} has other bytes.\n"
                f"  {name}: sha256 {here} at the source, {there} at the fallback\n"
                "  fix: remove it from `fallback` of [models.m] in models.toml\n"
            ),
        )
        assert not (at.folder / "models.lock").exists()


def test_a_mirror_that_sends_wrong_bytes_is_dropped_and_named(
    tmp_path: Path, publisher: Publisher, fault_proxy: Proxies
) -> None:
    """The sync ends well by the next one, and says who lied."""
    tree = publisher.publish("owner/model", _TREE)
    dead, liar, honest = fault_proxy(), fault_proxy(Rule(BYTES, Corrupt(offset=MIB))), fault_proxy()
    at = desk(tmp_path / "project", dead.url, more={"FETCHER_RETRIES": "2"})
    _homes(at, honest.url, mirrors=(liar.url, honest.url))
    at.ok("lock")
    dead.plan.append(Rule("", Hangup()))
    done = at.ok("sync")
    assert at.placed() == tree
    name = liar.url.removeprefix("http://")
    assert f"{name} sent wrong bytes of m/model.safetensors; others had the right ones.\n" in done.err
    assert honest.bytes_of(BYTES) >= 2 * MIB


def test_the_environment_routes_a_sync_through_a_mirror_and_leaves_the_lock(
    tmp_path: Path, publisher: Publisher, fault_proxy: Proxies
) -> None:
    """The hub need not even be reachable."""
    tree = publisher.publish("owner/model", _TREE)
    home, mirror = fault_proxy(), fault_proxy()
    at = desk(tmp_path / "project", home.url)
    at.model()
    at.ok("lock")
    lock = (at.folder / "models.lock").read_bytes()
    home.plan.append(Rule("", Hangup()))
    home.forget_requests()
    at.environment["FETCHER_MODELSCOPE_MIRRORS"] = mirror.url
    at.ok("sync")
    assert at.placed() == tree
    (at.folder / "models.lock").unlink()
    at.ok("lock")
    assert (at.folder / "models.lock").read_bytes() == lock
    assert home.requests == []


def test_a_fallback_keeps_its_own_pin_while_the_model_keeps_its(tmp_path: Path, publisher: Publisher, hub: Hub) -> None:
    """Another choice of files must not fail because the other home has moved on."""
    tree = publisher.publish("owner/model", {"a.bin": 9 * KIB, "b.bin": 5 * KIB})
    publisher.publish("owner/copy", tree)
    at = desk(tmp_path / "project", hub.url)
    _homes(at, hub.url, fallback='fallback = ["b:owner/copy"]\ninclude = ["a.bin"]')
    at.ok("lock")
    before = tomllib.loads((at.folder / "models.lock").read_text())["models"]["m"]
    publisher.branch("owner/copy", "master", {"a.bin": b"moved on", "b.bin": tree["b.bin"]})
    _homes(at, hub.url, fallback='fallback = ["b:owner/copy"]')
    at.ok("lock")
    after = tomllib.loads((at.folder / "models.lock").read_text())["models"]["m"]
    assert list(after["files"]) == ["a.bin", "b.bin"]
    assert after["fallback"] == before["fallback"]
    assert at.fetcher("lock", "--upgrade").code == 4
