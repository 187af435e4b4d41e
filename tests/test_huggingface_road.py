"""The road from models.toml to files with Hugging Face as the source, by the command line.

The hub is the product's own, accepted by the official client in tests/serve; the second half
is what that client is known to do wrong, each with the public report.
"""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.faults import Corrupt, Cut, FaultProxy, Rule, Slow, Status
from tests.hub.publish import KIB, MIB, Publisher

_TREE: Mapping[str, bytes | int] = {
    ".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
    "config.json": b'{"a": 1}\n',
    "empty.txt": b"",
    "onnx/model.onnx": 3 * MIB,
    "small.safetensors": 500,
    "tokenizer 深 é+&.json": 40 * KIB,
    "model.safetensors": 5 * MIB,
}
_LARGE = {"onnx/model.onnx", "small.safetensors", "model.safetensors"}
_SMALL_BYTES, _LARGE_BYTES = "/resolve-cache/", "/lfs-objects/"


def _desk(folder: Path, url: str, *, repo: str = "owner/model", more: str = "") -> Desk:
    made = desk(folder, url, more={"HF_ENDPOINT": url, "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"})
    made.manifest(f'[models.m]\nsource = "hf:{repo}"\n{more}\n')
    return made


@pytest.fixture
def at(tmp_path: Path, hub: Hub) -> Desk:
    return _desk(tmp_path / "project", hub.url)


def _kinds(hub: Hub) -> Counter[str]:
    """How often each kind of address was asked for."""
    return Counter(re.sub(r"/[0-9a-f]{40}.*|/lfs-objects/.*", "", entry.path) for entry in hub.requests)


def test_a_model_is_locked_and_synced_with_one_get_a_file(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """Small files once, at lock time; large ones once, at sync time; the redirects belong to them."""
    tree = publisher.publish("owner/model", _TREE)
    at.ok("lock")
    assert {entry.method for entry in hub.requests} == {"GET"}
    small = len(tree) - len(_LARGE) - 1  # the empty one needs no request
    assert _kinds(hub) == {
        "/api/models/owner/model/revision/main": 1,
        "/api/models/owner/model/tree": 1,
        "/owner/model/resolve": small,
        "/api/resolve-cache/models/owner/model": small,
    }
    hub.forget_requests()
    at.ok("sync")
    assert at.placed() == tree
    assert _kinds(hub) == {"/owner/model/resolve": len(_LARGE), "": len(_LARGE)}
    assert {entry.method for entry in hub.requests} == {"GET"}


def test_three_thousand_files_cost_a_revision_three_pages_and_the_small_files(
    at: Desk, publisher: Publisher, hub: Hub
) -> None:
    """Counted; then nothing is asked again for an unchanged commit, and the sync needs no network."""
    names = {f"part-{number % 7}/vocab-{number:04}.json": b"%d" % number for number in range(2987)}
    tree = publisher.publish("owner/model", {**names, ".gitattributes": b"", "w.bin": MIB, "x.bin": MIB})
    at.ok("lock")
    assert _kinds(hub) == {
        "/api/models/owner/model/revision/main": 1,
        "/api/models/owner/model/tree": 3,
        "/owner/model/resolve": len(names),
        "/api/resolve-cache/models/owner/model": len(names),
    }
    hub.forget_requests()
    at.ok("lock")
    assert hub.requests == []
    at.ok("lock", "--upgrade")
    assert _kinds(hub) == {"/api/models/owner/model/revision/main": 1, "/api/models/owner/model/tree": 3}
    hub.forget_requests()
    at.ok("sync")
    assert at.placed() == tree
    assert _kinds(hub) == {"/owner/model/resolve": 2, "": 2}


def test_a_dataset_a_tag_and_a_commit(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """All of them by the lock's own commit."""
    data = publisher.publish("datasets/owner/data", {"train/a.parquet": 2 * MIB, "README.md": b"# data"})
    tag = publisher.tag("owner/model", "v1", {"config.json": b"old", "w.bin": MIB})
    publisher.publish("owner/model", {"config.json": b"new", "w.bin": MIB}, seed=2)
    at.manifest(
        '[models.d]\nsource = "huggingface:datasets/owner/data"\n'
        '[models.t]\nsource = "hf:owner/model"\nrevision = "v1"\n'
    )
    at.ok("lock")
    at.ok("sync")
    assert (at.placed("d"), at.placed("t")) == (data, tag)
    commit = re.search(
        r'\[models\.t\]\nsource = .*\ncommit = "([0-9a-f]{40})"', (at.folder / "models.lock").read_text()
    )
    assert commit is not None
    at.manifest(f'[models.t]\nsource = "hf:owner/model"\nrevision = "{commit[1]}"\n')
    at.ok("lock")
    assert at.placed("t") == tag


def test_both_hubs_give_the_same_tree(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """A lock pins bytes, whoever sent them; as each other's fallback neither needs the other's bytes."""
    publisher.publish("owner/model", _TREE)
    at.environment["MODELSCOPE_ENDPOINT"] = hub.url
    at.manifest(
        '[models.hf]\nsource = "hf:owner/model"\nfallback = ["ms:owner/model"]\n'
        '[models.ms]\nsource = "ms:owner/model"\nfallback = ["hf:owner/model"]\n'
    )
    at.ok("lock")
    trees = re.findall(r'^tree = "(.*)"', (at.folder / "models.lock").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(trees) == 2
    assert trees[0] == trees[1]


def test_a_private_hub_needs_its_token_and_says_so(
    tmp_path: Path, publisher: Publisher, start_hub: Callable[..., Hub]
) -> None:
    """Exit 7 like a missing repository, as the hub has it; with the token all is well."""
    tree = publisher.publish("owner/model", _TREE)
    hub = start_hub(token="hf_SECRET")
    at = _desk(tmp_path / "project", hub.url)
    refused = at.fetcher("lock")
    host = hub.url.removeprefix("http://")
    assert (refused.code, refused.err) == (
        7,
        (
            f"error: m: {host} has no model owner/model, or does not show it without a token that may read it.\n"
            "  answer: status 401, RepoNotFound, 'Repository not found'\n"
            "  fix: correct the name in `source`; if the repository is private, "
            "run `fetcher login huggingface` or set HF_TOKEN\n"
        ),
    )
    at.environment["HF_TOKEN"] = "hf_WRONG"
    assert at.fetcher("lock").code == 6
    at.environment["HF_TOKEN"] = "hf_SECRET"
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == tree


def test_a_missing_revision_names_those_that_exist(at: Desk, publisher: Publisher) -> None:
    """Exit 7."""
    publisher.publish("owner/model", _TREE)
    publisher.tag("owner/model", "v1", {"a": b"1"})
    at.manifest('[models.m]\nsource = "hf:owner/model"\nrevision = "v2"\n')
    refused = at.fetcher("lock")
    assert refused.code == 7
    assert "  branches: main\n  tags: v1\n" in refused.err


# Where the official client falls short


World = Callable[..., tuple[Desk, FaultProxy, dict[str, bytes]]]


@pytest.fixture
def world(tmp_path: Path, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]) -> World:
    """A locked project behind a proxy; its faults begin after the lock."""

    def make(*rules: Rule, tree: Mapping[str, bytes | int] = _TREE) -> tuple[Desk, FaultProxy, dict[str, bytes]]:
        published = publisher.publish("owner/model", tree)
        proxy = fault_proxy()
        made = _desk(tmp_path / "project", proxy.url)
        made.environment["FETCHER_IDLE_TIMEOUT"] = "5"
        made.ok("lock")
        proxy.plan.extend(rules)
        return made, proxy, published

    return make


def _sent(proxy: FaultProxy, pattern: str = _LARGE_BYTES) -> int:
    return sum(request.sent for request in proxy.requests if pattern in request.target)


def test_a_flipped_byte_is_never_placed(world: World) -> None:
    """huggingface_hub #3643, #2364: only the size is checked, and the exit code is 0."""
    at, _, tree = world(Rule(_LARGE_BYTES, Corrupt(offset=1000)))
    refused = at.fetcher("sync")
    assert refused.code == 4
    assert "sent other bytes than the lock has for m/" in refused.err
    assert all(tree[path] == data for path, data in at.placed().items())


def test_a_flipped_byte_of_a_small_file_is_never_locked(
    at: Desk, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]
) -> None:
    """What a damaged cache sends would become the pin."""
    publisher.publish("owner/model", _TREE)
    at.environment["HF_ENDPOINT"] = fault_proxy(Rule(_SMALL_BYTES, Corrupt(offset=0))).url
    refused = at.fetcher("lock")
    assert refused.code == 4
    assert "sent other bytes than its listing has for m/" in refused.err
    assert not (at.folder / "models.lock").exists()


def test_a_killed_sync_goes_on_where_it_was(world: World) -> None:
    """#4196, #4306: it starts again, and the orphans stay."""
    size = 48 * MIB
    at, proxy, tree = world(Rule(_LARGE_BYTES, Slow(rate=12 * MIB)), tree={"w.bin": size})
    process = at.start("sync", "-q")
    try:
        process.communicate(timeout=3.0)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = _sent(proxy)
    assert before < size, "the download was over too soon to say anything"
    proxy.plan.clear()
    at.ok("sync")
    assert at.placed() == tree
    assert _sent(proxy) <= size + 16 * MIB
    store = Path(at.environment["FETCHER_STORE"])
    assert [path for path in (store / "partial").rglob("*") if path.is_file()] == []


def test_a_link_that_is_cut_every_mebibyte_finishes(world: World) -> None:
    """It never does there, although ranges work."""
    at, proxy, tree = world(Rule(_LARGE_BYTES, Cut(after=MIB)))
    at.ok("sync")
    assert at.placed() == tree
    assert _sent(proxy) <= sum(len(tree[path]) for path in _LARGE) + 5 * MIB


def test_files_that_were_deleted_upstream_leave_the_folder(at: Desk, publisher: Publisher) -> None:
    """#1013, #2903: they stay in a local dir for ever."""
    publisher.publish("owner/model", _TREE)
    at.ok("lock")
    at.ok("sync")
    fewer = publisher.publish("owner/model", {"config.json": b"{}", "model.safetensors": 5 * MIB})
    at.ok("lock", "--upgrade")
    at.ok("sync")
    assert at.placed() == fewer


def test_a_pattern_that_matches_nothing_is_said_and_nothing_at_all_is_an_error(at: Desk, publisher: Publisher) -> None:
    """There: exit 0 and an empty folder."""
    publisher.publish("owner/model", _TREE)
    at.manifest('[models.m]\nsource = "hf:owner/model"\ninclude = ["*.json", "*.gguf"]\n')
    assert 'm: the pattern "*.gguf" matches no file' in at.ok("lock").err
    at.manifest('[models.m]\nsource = "hf:owner/model"\ninclude = ["*.gguf"]\n')
    assert at.fetcher("lock").code == 7


def test_verify_needs_no_network(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """`hf cache verify` asks the hub for the hashes."""
    publisher.publish("owner/model", _TREE)
    at.ok("lock")
    at.ok("sync")
    hub.close()
    at.ok("verify")
    file = at.folder / "models/m/model.safetensors"
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.unlink()
    file.write_bytes(data)
    assert at.fetcher("verify").code != 0


def test_a_rate_can_be_given(world: World) -> None:
    """#2118: there is no cap."""
    at, _proxy, tree = world(tree={"w.bin": 6 * MIB})
    done = at.ok("sync", "--limit-rate", "3M", "--progress", "json")
    assert at.placed() == tree
    assert done.err.count('"progress"') >= 2, "6 MiB at 3 MB a second take two seconds"


def test_store_and_target_share_their_bytes(at: Desk, publisher: Publisher) -> None:
    """#2284, #1922: twice the disk."""
    publisher.publish("owner/model", _TREE)
    at.ok("lock")
    at.ok("sync")
    file = (at.folder / "models/m/model.safetensors").stat()
    twins = [path for path in Path(at.environment["FETCHER_STORE"]).rglob("*") if path.stat().st_ino == file.st_ino]
    assert len(twins) == 1


def test_a_hub_that_asks_to_wait_is_waited_for(world: World) -> None:
    """429 with the hub's own header, for the bytes as for the listing."""
    wait = Status(429, headers={"RateLimit": '"resolvers";r=0;t=1'})
    at, _proxy, tree = world(Rule("/resolve/", wait, times=1))
    at.ok("sync")
    assert at.placed() == tree
