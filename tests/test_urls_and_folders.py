"""URLs and folders by the command line: lock, sync, what changes later, the same tree everywhere."""

import hashlib
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.faults import Before, Corrupt, Cut, FaultProxy, Rule, Status
from tests.hub.publish import KIB, MIB, Publisher, write_tree

_TREE: dict[str, bytes | int] = {"config.json": b'{"a": 1}\n', "empty.txt": b"", "onnx/model.onnx": 3 * MIB + 5}


@pytest.fixture
def at(tmp_path: Path, hub: Hub) -> Desk:
    return desk(tmp_path / "project", hub.url)


def _locked(at: Desk, name: str = "m") -> Any:
    return tomllib.loads((at.folder / "models.lock").read_text("utf-8"))["models"][name]


def _folder_model(at: Desk, more: str = "") -> None:
    at.manifest(f'[models.m]\nsource = "file:../weights"\n{more}\n')


def test_the_same_model_has_the_same_tree_from_both_hubs_a_folder_and_a_web_server(
    at: Desk, publisher: Publisher, tmp_path: Path, web: tuple[Path, str]
) -> None:
    """A lock pins bytes, not where they come from; what has no commits is at the digest of its tree."""
    tree = publisher.publish("owner/model", _TREE)
    at.environment["HF_ENDPOINT"] = at.environment["MODELSCOPE_ENDPOINT"]
    write_tree(tmp_path / "weights", tree)
    write_tree(web[0], tree)
    names = ", ".join(f'"{path}"' for path in tree)
    at.manifest(
        '[models.hub]\nsource = "ms:owner/model"\n'
        '[models.hf]\nsource = "hf:owner/model"\n'
        '[models.folder]\nsource = "file:../weights/"\n'
        f'[models.web]\nsource = "{web[1]}/"\nfiles = [{names}]\n'
    )
    at.ok("lock")
    trees = {_locked(at, name)["tree"] for name in ("hub", "hf", "folder", "web")}
    assert len(trees) == 1
    assert {f"sha256:{_locked(at, name)['commit']}" for name in ("folder", "web")} == trees
    assert _locked(at, "folder")["source"] == "file:../weights"
    at.ok("lock", "--check")
    at.ok("sync")
    assert at.placed("hub") == at.placed("hf") == at.placed("folder") == at.placed("web") == tree


def test_a_folder_is_hashed_where_it_is_and_copied_by_the_sync(at: Desk, tmp_path: Path) -> None:
    """A lock of a folder of 100 GB must not fill the store."""
    tree = write_tree(tmp_path / "weights", _TREE)
    _folder_model(at)
    at.ok("lock")
    assert not list(Path(at.environment["FETCHER_STORE"]).rglob("objects/sha256/*/*"))
    at.ok("sync")
    assert at.placed() == tree
    placed, original = at.folder / "models/m/onnx/model.onnx", tmp_path / "weights/onnx/model.onnx"
    assert placed.stat().st_ino != original.stat().st_ino, "an edit of the original must not reach the store"
    assert at.ok("sync").err == "Up to date: 3 files.\n"


def test_a_folder_that_changed_after_the_lock_ends_a_sync_with_4(at: Desk, tmp_path: Path) -> None:
    """Same size or another: said with the file, both facts and the fix."""
    tree = write_tree(tmp_path / "weights", _TREE)
    _folder_model(at)
    at.ok("lock")
    file = tmp_path / "weights/onnx/model.onnx"
    flipped = b"x" + tree["onnx/model.onnx"][1:]
    file.write_bytes(flipped)
    done = at.fetcher("sync")
    assert done.code == 4
    assert "file:../weights sent other bytes than the lock has for m/onnx/model.onnx.\n" in done.err
    assert "fix: run `fetcher lock --upgrade m` if the change is wanted" in done.err
    file.write_bytes(b"short")
    done = at.fetcher("sync")
    assert done.code == 4
    assert "m/onnx/model.onnx has changed on the server.\n  locked: 3145733 bytes\n  offered: 5 bytes\n" in done.err
    at.ok("lock", "--upgrade", "m")
    at.ok("sync")
    assert at.placed()["onnx/model.onnx"] == b"short"


def test_other_patterns_keep_the_pins_of_a_folder(at: Desk, tmp_path: Path) -> None:
    """A change of wishes must not smuggle an upgrade in."""
    write_tree(tmp_path / "weights", _TREE)
    _folder_model(at, 'include = ["*.onnx"]')
    at.ok("lock")
    (tmp_path / "weights/onnx/model.onnx").write_bytes(b"another")
    _folder_model(at)
    done = at.fetcher("lock")
    assert done.code == 4
    assert done.err == (
        "error: m: onnx/model.onnx has changed at file:../weights since it was locked.\n"
        "  locked: 3145733 bytes\n"
        "  offered: 7 bytes\n"
        "  fix: run `fetcher lock --upgrade m` to accept the new file\n"
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: (folder / "out").symlink_to("/etc/hostname"), "a link that leads out of the folder"),
        (lambda folder: (folder / "gone").symlink_to("nothing"), "a link that leads out of the folder, or to nothing"),
        (lambda folder: (folder / "again").symlink_to(folder / "onnx"), "no file but a link to a folder"),
        (lambda folder: os.mkfifo(folder / "pipe"), "no file but a device, a pipe or a socket"),
        (lambda folder: (folder / "CONFIG.json").write_bytes(b""), "would be the same file on some systems"),
        (lambda folder: (folder / "con").write_bytes(b""), "a reserved name on Windows"),
        (lambda folder: (folder / "a\nb").write_bytes(b""), "a control character"),
    ],
    ids=["out", "dangling", "folder link", "pipe", "twin", "reserved", "control"],
)
def test_what_no_hub_may_have_no_folder_may_have(
    at: Desk, tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    """The target of one person is the source of another."""
    write_tree(tmp_path / "weights", _TREE)
    make(tmp_path / "weights")
    _folder_model(at)
    done = at.fetcher("lock", timeout_s=20)
    assert done.code == 4, done.err
    assert "error: m: file:../weights holds a file that cannot be taken.\n" in done.err
    assert reason in done.err


def test_links_inside_a_folder_are_followed_and_git_s_own_files_left_out(at: Desk, tmp_path: Path) -> None:
    """Caches of other tools are full of links; a clone has a `.git`."""
    tree = write_tree(tmp_path / "weights", {"blobs/a1": b"bytes", ".git/config": b"x"})
    (tmp_path / "weights/model.bin").symlink_to("blobs/a1")
    _folder_model(at)
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == {"blobs/a1": tree["blobs/a1"], "model.bin": tree["blobs/a1"]}


def test_a_folder_that_holds_the_project_is_refused(at: Desk) -> None:
    """It would hold its own targets."""
    at.manifest('[models.m]\nsource = "file:."\n')
    done = at.fetcher("lock")
    assert done.code == 2
    assert "file:. holds the project itself" in done.err


def test_a_missing_folder_is_named(at: Desk, tmp_path: Path) -> None:
    """With the place that was meant."""
    _folder_model(at)
    done = at.fetcher("lock")
    assert done.code == 7
    assert done.err == (
        "error: m: There is no folder file:../weights.\n"
        f"  folder: {tmp_path / 'weights'}\n"
        "  fix: correct `source`; a folder is relative to models.toml\n"
    )


def test_a_url_is_fetched_once_for_lock_and_sync(at: Desk, web: tuple[Path, str], fault_proxy: Any) -> None:
    """Hashing it at lock time brings the bytes; the sync finds them in the store."""
    tree = write_tree(web[0], {"a b.bin": 2 * MIB})
    proxy = fault_proxy(upstream_url=web[1])
    at.manifest(f'[models.m]\nsource = "{proxy.url}/a%20b.bin?download=true"\n')
    at.ok("lock")
    assert _locked(at)["requested"] == {"files": ["a b.bin"]}
    proxy.forget_requests()
    at.ok("sync")
    assert at.placed() == tree
    assert proxy.requests == []


def test_a_url_with_its_sha256_is_not_fetched_by_the_lock_and_proven_by_the_sync(
    at: Desk, web: tuple[Path, str], fault_proxy: Any
) -> None:
    """What is given need not be trusted at first sight."""
    tree = write_tree(web[0], {"model.bin": 2 * MIB})
    proxy = fault_proxy(upstream_url=web[1])
    digest = hashlib.sha256(tree["model.bin"]).hexdigest()
    at.manifest(f'[models.m]\nsource = "{proxy.url}/model.bin"\nsha256 = "{digest}"\n')
    at.ok("lock")
    assert _locked(at)["files"] == {"model.bin": f"sha256:{digest} {2 * MIB}"}
    assert len(proxy.requests) == 1
    proxy.plan.append(Rule("model", Corrupt(offset=7)))
    done = at.fetcher("sync")
    assert done.code == 4
    assert "sent other bytes than the lock has for m/model.bin" in done.err
    proxy.plan.clear()
    at.ok("sync")
    assert at.placed() == tree


def test_names_with_addresses_elsewhere_are_read_from_the_manifest_also_by_a_frozen_sync(
    at: Desk, web: tuple[Path, str]
) -> None:
    """The lock has no URL but the source; a changed address is stale."""
    tree = write_tree(web[0], {"v1/model.bin": 9 * KIB, "shared/config.json": b"{}"})
    entries = '"model.bin" = "v1/model.bin"\n"config.json" = { url = "%s/shared/config.json" }\n'
    at.manifest(f'[models.m]\nsource = "{web[1]}/"\n[models.m.files]\n{entries % web[1]}')
    at.ok("lock")
    assert "shared" not in (at.folder / "models.lock").read_text()
    at.environment["FETCHER_STORE"] = str(at.folder / "other store")
    at.ok("sync", "--frozen")
    assert at.placed() == {"model.bin": tree["v1/model.bin"], "config.json": b"{}"}
    write_tree(web[0], {"v2/model.bin": 9 * KIB})
    at.manifest(f'[models.m]\nsource = "{web[1]}/"\n[models.m.files]\n{entries % web[1]}'.replace("v1", "v2"))
    done = at.fetcher("lock", "--check")
    assert done.code == 1
    assert "m.addresses: models.toml has" in done.err
    at.ok("lock")
    assert _locked(at)["files"]["model.bin"] != f"sha256:{hashlib.sha256(tree['v1/model.bin']).hexdigest()} 9216"


def test_a_page_is_not_taken_for_a_file(at: Desk, web: tuple[Path, str], fault_proxy: Any) -> None:
    """Hosts answer with a page that asks for a login, and status 200."""
    proxy = fault_proxy(
        Rule("model", Status(200, headers={"Content-Type": "text/html"}, body=b"<html>log in</html>")),
        upstream_url=web[1],
    )
    at.manifest(f'[models.m]\nsource = "{proxy.url}/model.bin?inline=false"\n')
    done = at.fetcher("lock")
    assert done.code == 5
    host = proxy.url.removeprefix("http://")
    assert done.err == (
        f"error: m: {host} sends a page instead of model.bin.\n"
        f"  address: {host}/model.bin\n"
        "  content type: text/html\n"
        "  fix: write the address of the file itself; a page that asks for a login is none\n"
    )


def test_a_file_that_is_not_there_is_named(at: Desk, web: tuple[Path, str]) -> None:
    """Exit 7, with the address."""
    at.manifest(f'[models.m]\nsource = "{web[1]}/"\nfiles = ["gone.bin"]\n')
    done = at.fetcher("lock")
    assert done.code == 7
    host = web[1].removeprefix("http://")
    assert done.err == (
        f"error: m: {host} does not have gone.bin.\n"
        "  status: 404\n"
        f"  address: {host}/gone.bin\n"
        "  fix: correct the address in models.toml\n"
    )


def test_a_web_server_and_a_folder_are_fallbacks_and_their_bytes_are_compared(
    at: Desk, publisher: Publisher, tmp_path: Path, web: tuple[Path, str]
) -> None:
    """No listing tells their hashes, so their bytes do."""
    tree = publisher.publish("owner/model", _TREE)
    write_tree(web[0], tree)
    write_tree(tmp_path / "weights", tree)
    more = f'fallback = ["{web[1]}/", "file:../weights"]'
    at.model(more=more)
    at.ok("lock")
    commit = _locked(at)["tree"].removeprefix("sha256:")
    assert _locked(at)["fallback"] == [f"{web[1]}/@{commit}", f"file:../weights@{commit}"]
    at.environment.update(MODELSCOPE_ENDPOINT="http://127.0.0.1:9", FETCHER_RETRIES="1")
    at.ok("sync")
    assert at.placed() == tree


def test_one_byte_that_differs_in_a_folder_fails_the_lock(at: Desk, publisher: Publisher, tmp_path: Path) -> None:
    """The same rule as between hubs."""
    tree = publisher.publish("owner/model", {"model.bin": 2 * MIB})
    flipped = b"x" + tree["model.bin"][1:]
    write_tree(tmp_path / "weights", {"model.bin": flipped})
    at.model(more='fallback = ["file:../weights"]')
    done = at.fetcher("lock")
    assert done.code == 4
    here, there = hashlib.sha256(tree["model.bin"]).hexdigest(), hashlib.sha256(flipped).hexdigest()
    assert f"model.bin: sha256 {here} at the source, {there} at the fallback\n" in done.err


def test_a_url_that_is_cut_while_it_is_locked_goes_on(
    at: Desk, publisher: Publisher, hub: Hub, fault_proxy: Any
) -> None:
    """Where the server knows ranges and versions, what came is kept."""
    tree = publisher.publish("owner/model", {"model.bin": 8 * MIB})
    address = "/models/owner/model/resolve/master/model.bin"
    proxy: FaultProxy = fault_proxy(Rule("lfs-objects|resolve", Cut(after=3 * MIB)))
    at.manifest(f'[models.m]\nsource = "{proxy.url}{address}"\n')
    at.ok("lock")
    sent = sum(seen.sent for seen in proxy.requests)
    assert sent < 10 * MIB
    at.ok("sync")
    assert at.placed() == tree


def test_a_file_that_changes_while_it_is_locked_is_not_locked(
    at: Desk, publisher: Publisher, hub: Hub, fault_proxy: Any
) -> None:
    """Half of one version and half of another would be pinned for ever."""
    publisher.publish("owner/model", {"model.bin": 2 * MIB})
    address = "/models/owner/model/resolve/master/model.bin"
    changed: list[bool] = []

    def change() -> None:
        changed.append(True)
        if len(changed) == 2:
            publisher.publish("owner/model", {"model.bin": 2 * MIB}, seed=1)

    proxy = fault_proxy(Rule("resolve", Before(change)))
    at.manifest(f'[models.m]\nsource = "{proxy.url}{address}"\n')
    done = at.fetcher("lock")
    assert done.code == 4, done.err
    assert "has changed model.bin while it was being locked.\n" in done.err
