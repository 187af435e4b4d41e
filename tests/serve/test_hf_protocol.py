"""The hub's words and oddities as Hugging Face's clients hear them, over a socket."""

import hashlib
import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from fetcher.serve.hub import Hub
from tests.hub.publish import MIB, Publisher

ATTRIBUTES = (
    b"# large\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n/onnx/** filter=lfs\nkeep.safetensors -filter\n"
)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _ask(hub: Hub, path: str, method: str = "GET", **headers: str) -> _Reply:
    """One request; redirects are not followed."""
    connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return _Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def published(publisher: Publisher) -> dict[str, bytes]:
    files = {".gitattributes": ATTRIBUTES, "a.json": b"{}", "keep.safetensors": b"k", "w.safetensors": b"w" * 9}
    return publisher.publish("o/n", {**files, "big.bin": MIB, "sub/é.txt": b"e"})


def _tree(hub: Hub, query: str = "recursive=true", folder: str = "") -> _Reply:
    return _ask(hub, f"/api/models/o/n/tree/main{folder}?{query}")


def test_small_files_tell_their_blob_and_large_ones_their_pointer_s(hub: Hub, published: dict[str, bytes]) -> None:
    """A blob id is git's own, so `git hash-object` says the same."""
    entries = {entry["path"]: entry for entry in _tree(hub).json}
    assert {path for path, entry in entries.items() if "lfs" in entry} == {"big.bin", "w.safetensors"}
    assert entries["a.json"] == {"type": "file", "oid": _blob(b"{}"), "size": 2, "path": "a.json"}
    sha256 = hashlib.sha256(published["w.safetensors"]).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize 9\n".encode()
    assert entries["w.safetensors"]["lfs"] == {"oid": sha256, "size": 9, "pointerSize": len(pointer)}
    assert entries["w.safetensors"]["oid"] == _blob(pointer)
    assert entries["sub"]["type"] == "directory"


def test_a_listing_goes_by_folder_and_by_page(hub: Hub, published: dict[str, bytes]) -> None:
    """The link to the next page is whole, and the last page has none."""
    assert [entry["path"] for entry in _tree(hub, "").json if entry["type"] == "directory"] == ["sub"]
    assert [entry["path"] for entry in _tree(hub, folder="/sub").json] == ["sub/é.txt"]
    assert _tree(hub, folder="/none").headers["x-error-code"] == "EntryNotFound"
    found, path = [], "/api/models/o/n/tree/main?recursive=true&limit=3"
    while path:
        page = _ask(hub, path)
        found += [entry["path"] for entry in page.json]
        link = page.headers.get("link", "")
        assert not link or (link.startswith(f"<{hub.url}/") and link.endswith('>; rel="next"'))
        path = link.partition(hub.url)[2].partition(">")[0]
    assert found == sorted([*published, "sub"])
    assert _tree(hub, "cursor=x").status == 400


def test_a_small_file_is_led_to_by_a_relative_redirect(hub: Hub, published: dict[str, bytes]) -> None:
    """HEAD and GET, whole and in part."""
    commit = _ask(hub, "/api/models/o/n").json["sha"]
    led = _ask(hub, "/o/n/resolve/main/sub/%C3%A9.txt", "HEAD")
    assert (led.status, led.headers["x-repo-commit"], led.body) == (307, commit, b"")
    assert led.headers["location"] == f"/api/resolve-cache/models/o/n/{commit}/sub/%C3%A9.txt"
    there = _ask(hub, led.headers["location"])
    assert (there.status, there.headers["etag"], there.body) == (200, f'"{_blob(b"e")}"', b"e")
    part = _ask(hub, f"/api/resolve-cache/models/o/n/{commit}/a.json", Range="bytes=1-")
    assert (part.status, part.headers["content-range"], part.body) == (206, "bytes 1-1/2", b"}")
    assert _ask(hub, f"/api/resolve-cache/models/o/n/{commit}/a.json", Range="bytes=9-").status == 416


@pytest.mark.parametrize("path", ["big.bin", "w.safetensors"])
def test_a_large_file_is_led_to_by_a_signed_link(hub: Hub, published: dict[str, bytes], path: str) -> None:
    """The redirect's own headers tell commit, size and sha256; an unsigned link opens nothing."""
    led = _ask(hub, f"/o/n/resolve/main/{path}")
    data = published[path]
    assert led.status == 302
    assert led.headers["x-linked-size"] == str(len(data))
    assert led.headers["x-linked-etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    target = led.headers["location"].removeprefix(hub.url)
    there = _ask(hub, target, Range="bytes=1-4")
    assert (there.status, there.body) == (206, data[1:5])
    assert there.headers["x-repo-commit"] == led.headers["x-repo-commit"]
    assert _ask(hub, target.partition("?")[0]).status == 403
    split = target.replace(led.headers["x-repo-commit"], "x%0D%0AEvil:1")
    assert _ask(hub, split).status == 400


def test_refusals_have_the_hub_s_codes(hub: Hub, published: dict[str, bytes]) -> None:
    """Clients tell them apart by these alone."""
    told = {
        path: (reply.status, reply.headers.get("x-error-code"))
        for path in (
            "/o/n/resolve/main/none",
            "/o/n/resolve/v9/a.json",
            "/api/models/o/n/revision/v9",
            "/api/models/no/one",
        )
        for reply in [_ask(hub, path)]
    }
    assert list(told.values()) == [
        (404, "EntryNotFound"),
        (404, "RevisionNotFound"),
        (404, "RevisionNotFound"),
        (401, "RepoNotFound"),
    ]
    assert _ask(hub, "/api/models/no/one", Authorization="Bearer x").status == 404


def test_a_private_hub_tells_nothing_without_its_token(
    start_hub: Callable[..., Hub], published: dict[str, bytes]
) -> None:
    """Neither names nor whether there is anything."""
    hub = start_hub(token="hf_SECRET")
    for path in ("/api/models/o/n", "/api/models/o/n/tree/main", "/api/models/o/n/refs", "/o/n/resolve/main/a.json"):
        assert _ask(hub, path).headers["x-error-code"] == "RepoNotFound"
        assert _ask(hub, path, Authorization="Bearer wrong").status == 401
        assert _ask(hub, path, Authorization="Bearer hf_SECRET").status in (200, 307)
    assert _ask(hub, "/api/whoami-v2", Authorization="Bearer hf_SECRET").json["name"] == "fetcher"
    assert _ask(hub, "/api/whoami-v2").status == 401


def test_the_folder_s_own_branch_is_main_unless_there_is_one(hub: Hub, publisher: Publisher) -> None:
    """Tags and branches keep their names."""
    publisher.publish("o/n", {"a": b"own"})
    publisher.tag("o/n", "v1", {"a": b"tag"})
    refs = _ask(hub, "/api/models/o/n/refs").json
    assert [ref["name"] for ref in refs["branches"]] == ["main"]
    assert [ref["ref"] for ref in refs["tags"]] == ["refs/tags/v1"]
    publisher.branch("o/n", "main", {"a": b"main"})
    names = {ref["name"]: ref["targetCommit"] for ref in _ask(hub, "/api/models/o/n/refs").json["branches"]}
    assert set(names) == {"main", "master"}
    assert _ask(hub, "/api/models/o/n/revision/main").json["sha"] == names["main"]
