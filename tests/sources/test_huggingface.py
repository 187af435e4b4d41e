"""Every trap of Hugging Face's hub and of its mirrors, against a scripted look-alike."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from fetcher.core.digest import EMPTY_SHA256, Commit, GitBlob, Sha256
from fetcher.core.interfaces import RemoteAddress, RemoteFile, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.errors import AuthError, FetcherError, IntegrityError, NotFoundError, SourceError
from fetcher.sources.allowance import MOST_CHARACTERS
from fetcher.sources.huggingface.source import MOST_AT_ONCE, HuggingFaceSource
from tests.sources.hf_lookalike import API, REVISION, TREE, file, git_blob, large, refuses, says
from tests.sources.lookalike import COMMIT, Answer, Lookalike

SECRET = "hf_0123SECRET"
MODEL = SourceRef.parse("huggingface:owner/name")
DATA = SourceRef.parse("hf:datasets/owner/name")
QUERY = "expand=false&recursive=true"
DATA_BYTES = b"some content"

Make = Callable[..., HuggingFaceSource]


@pytest.fixture
def make(make_hub: Callable[..., HuggingFaceSource]) -> Make:
    return partial(make_hub, HuggingFaceSource, login="run `fetcher login huggingface` or set HF_TOKEN")


@pytest.fixture
def source(make: Make) -> HuggingFaceSource:
    return make()


def _file(path: str, data: bytes = DATA_BYTES, **changes: Any) -> dict[str, Any]:
    return file(path, data, **changes)


def _large(path: str, data: bytes = DATA_BYTES, **changes: Any) -> dict[str, Any]:
    return large(path, data, **changes)


def _failing(source: HuggingFaceSource, ref: SourceRef = MODEL, revision: str | None = COMMIT) -> FetcherError:
    with pytest.raises(FetcherError) as caught:
        source.snapshot(ref, revision)
    return caught.value


def _address(path: str = "a b/é+&.txt", size: int = len(DATA_BYTES), ref: SourceRef = MODEL) -> RemoteAddress:
    return RemoteAddress(ref=ref, commit=Commit(COMMIT), path=RepoPath(path), size=size, sha256=None)


def _opening(source: HuggingFaceSource) -> FetcherError:
    with pytest.raises(FetcherError) as caught:
        source.open(_address(), 0, len(DATA_BYTES))
    return caught.value


def _read(source: HuggingFaceSource, address: RemoteAddress, start: int = 0, stop: int | None = None) -> bytes:
    with source.open(address, start, address.size if stop is None else stop) as body:
        buffer, found = bytearray(1000), bytearray()
        while count := body.readinto(memoryview(buffer)):
            found += buffer[:count]
        return bytes(found)


# Pinning and listing


def test_a_branch_is_pinned_and_its_commit_listed(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """One request for the commit, one for the page; large files bring a sha256, small ones their git blob."""
    hub_like.says(REVISION, says({"sha": COMMIT, "gated": False, "private": False, "new": 1}))
    folder = {"type": "directory", "oid": "1" * 40, "size": 0, "path": "onnx"}
    hub_like.says(TREE, says([folder, _large("onnx/m.onnx"), _file("config.json"), _file("empty", b"")]))
    assert source.snapshot(MODEL, None) == Snapshot(
        ref=MODEL,
        commit=Commit(COMMIT),
        files=(
            RemoteFile(path=RepoPath("config.json"), size=12, sha256=None, git_blob=GitBlob(git_blob(DATA_BYTES))),
            RemoteFile(path=RepoPath("empty"), size=0, sha256=EMPTY_SHA256, git_blob=GitBlob(git_blob(b""))),
            RemoteFile(path=RepoPath("onnx/m.onnx"), size=12, sha256=Sha256(hashlib.sha256(DATA_BYTES).hexdigest())),
        ),
    )
    assert hub_like.addresses == [REVISION, f"{TREE}?{QUERY}"]
    assert {seen.headers["accept-encoding"] for seen in hub_like.seen} == {"identity"}


def test_a_full_commit_needs_no_resolving(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """A pin that is listed again costs the pages only."""
    hub_like.says(TREE, says([_file("a")]))
    source.snapshot(MODEL, COMMIT)
    assert hub_like.addresses == [f"{TREE}?{QUERY}"]


@pytest.mark.parametrize("revision", ["feature/x", "refs/pr/1", "v1.0"])
def test_a_revision_is_one_segment_of_the_address(
    source: HuggingFaceSource, hub_like: Lookalike, revision: str
) -> None:
    """A slash in a branch would otherwise be another address."""
    hub_like.says(f"{API}/revision/{revision.replace('/', '%2F')}", says({"sha": COMMIT}))
    hub_like.says(TREE, says([_file("a")]))
    assert source.snapshot(MODEL, revision).commit == COMMIT


def test_datasets_have_their_own_addresses(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """Listing and bytes."""
    hub_like.says("/api/datasets/owner/name/revision/main", says({"sha": COMMIT}))
    hub_like.says(f"/api/datasets/owner/name/tree/{COMMIT}", says([_file("a")]))
    hub_like.says(f"/datasets/owner/name/resolve/{COMMIT}/a", Answer(DATA_BYTES))
    assert source.snapshot(DATA, None).files[0].path == "a"
    assert _read(source, _address("a", ref=DATA)) == DATA_BYTES


def test_a_model_without_an_owner_is_one_that_the_hub_leads_from(
    source: HuggingFaceSource, hub_like: Lookalike
) -> None:
    """`gpt2` has moved to an owner; the hub answers with redirects."""
    gpt2 = SourceRef.parse("hf:gpt2")
    there = ("Location", "/api/models/openai-community/gpt2/revision/main")
    hub_like.says("/api/models/gpt2/revision/main", Answer(b"", 307, (there,)))
    hub_like.says("/api/models/openai-community/gpt2/revision/main", says({"sha": COMMIT}))
    hub_like.says(f"/api/models/gpt2/tree/{COMMIT}", says([_file("a")]))
    assert source.snapshot(gpt2, None).ref == gpt2
    assert SourceRef.parse("hf:datasets/squad") == SourceRef(scheme="huggingface", repo="squad", dataset=True)
    with pytest.raises(ValueError, match="OWNER/NAME"):
        SourceRef.parse("ms:gpt2")


@pytest.mark.parametrize("host", ["", "https://huggingface.co"], ids=["own link", "the hub's link at a mirror"])
def test_pages_are_followed_at_this_endpoint(make: Make, hub_like: Lookalike, host: str) -> None:
    """Mirrors pass the hub's links on as they are; going there would leave the mirror, and take the token along."""

    def link(cursor: str) -> tuple[str, str]:
        return "Link", f'<{host or hub_like.url}{TREE}?recursive=true&expand=false&cursor={cursor}>; rel="next"'

    hub_like.says(f"{TREE}?{QUERY}", says([_file("a")], link("one")))
    hub_like.says(f"{TREE}?cursor=one&{QUERY}", says([_file("b")], link("two=")))
    hub_like.says(f"{TREE}?cursor=two=&{QUERY}", says([_file("c")]))
    files = make(token=SECRET).snapshot(MODEL, COMMIT).files
    assert [file.path for file in files] == ["a", "b", "c"]
    assert len(hub_like.seen) == 3


def test_pages_that_lead_in_a_circle_are_refused(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """Else a listing would never end."""
    hub_like.says(TREE, says([], ("Link", f"<{hub_like.url}{TREE}?cursor=x>; rel=next")))
    assert str(_failing(source)) == (
        f"{hub_like.host} answered in a way that is not understood.\n"
        "  repository: owner/name\n"
        "  reason: its pages lead in a circle\n"
        "  fix: check that the endpoint is right, then run the command again"
    )


def test_pages_cost_something_together(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """Each alone is harmless; the names of these have more characters than fit into memory."""
    name = "n" * (35 << 20)

    def page(following: str) -> Answer:
        link = ("Link", f"<{hub_like.url}{TREE}?cursor={following}>; rel=next")
        return says([{"type": "directory", "path": name}], link)

    hub_like.says(TREE, page("one"))
    hub_like.says(f"{TREE}?cursor=one", page("two"))
    assert _failing(source).facts == (
        "repository: owner/name",
        f"reason: its names have more than {MOST_CHARACTERS} characters",
    )
    assert len(hub_like.seen) == 2


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (_file("../x"), "a path may not contain"),
        (_file("a", size=-1), "its size is -1"),
        (_file("a", size=None), "its size is None"),
        (_file("a", oid="zz"), "expected 40 hex digits of a git blob, got 'zz'"),
        (_file("a", oid=None), "expected 40 hex digits of a git blob, got ''"),
        (_file("a", size=0), "its size is 0, and its hash says otherwise"),
        (_file("a", b"", size=3), "its size is 3, and its hash says otherwise"),
        (_large("a", size=13), "its size is 13, and as a large file 12"),
        (_large("a", lfs={"oid": "0" * 63, "size": 12}), "expected 64 hex digits of a sha256"),
        (_large("a", lfs={"oid": EMPTY_SHA256, "size": 12}), "its size is 12, and its hash says otherwise"),
        (_file("a", type="commit"), "it is neither a file nor a folder but 'commit'"),
        (_file("a", size="12"), "size: Input should be a valid integer"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_by_name(
    source: HuggingFaceSource, hub_like: Lookalike, entry: dict[str, Any], reason: str
) -> None:
    """Exit 4, with the host and the entry; the rest of the listing is not taken."""
    hub_like.says(TREE, says([_file("fine"), entry]))
    error = _failing(source)
    assert isinstance(error, IntegrityError)
    assert error.what == f"{hub_like.host} lists a file of owner/name that cannot be taken."
    assert error.facts[0] == f"entry: {entry['path']}"
    assert reason in error.facts[1] or entry["path"] == "../x"


@pytest.mark.parametrize("twins", [("a", "A"), ("a", "a"), ("a", "a/b")])
def test_names_that_no_disk_can_hold_together_are_refused(
    source: HuggingFaceSource, hub_like: Lookalike, twins: tuple[str, str]
) -> None:
    """On one system they would be one file."""
    hub_like.says(TREE, says([_file(path) for path in twins]))
    assert isinstance(_failing(source), IntegrityError)


@pytest.mark.parametrize("document", [{}, [], "x", [1], {"sha": "short"}, {"sha": 5}, None])
def test_an_answer_of_another_shape_is_an_error_and_never_an_empty_list(
    source: HuggingFaceSource, hub_like: Lookalike, document: object
) -> None:
    """Both as a revision and as a listing."""
    hub_like.says(REVISION, says(document))
    hub_like.says(TREE, says(document))
    assert isinstance(_failing(source, revision=None), SourceError)
    assert isinstance(_failing(source), SourceError)


# Refusals


def test_a_missing_repository_looks_like_a_private_one(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """The hub does not tell them apart, so neither does the error."""
    hub_like.says(REVISION, refuses(401, "RepoNotFound", "Repository not found"))
    error = _failing(source, revision=None)
    assert isinstance(error, NotFoundError)
    assert str(error) == (
        f"{hub_like.host} has no model owner/name, or does not show it without a token that may read it.\n"
        "  answer: status 401, RepoNotFound, 'Repository not found'\n"
        "  fix: correct the name in `source`; if the repository is private, "
        "run `fetcher login huggingface` or set HF_TOKEN"
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_says_where_its_conditions_are(make: Make, hub_like: Lookalike, status: int) -> None:
    """At lock time and at sync time."""
    source = make(token=SECRET)
    hub_like.says(TREE, refuses(status, "GatedRepo", f"Access to it is restricted, {SECRET}"))
    hub_like.says(f"/owner/name/resolve/{COMMIT}/a%20b/%C3%A9%2B%26.txt", refuses(status, "GatedRepo"))
    error = _failing(source)
    assert isinstance(error, AuthError)
    assert str(error) == (
        f"owner/name is gated at {hub_like.host}: its owner asks for consent to conditions first.\n"
        f"  answer: status {status}, GatedRepo, 'Access to it is restricted, ***'\n"
        f"  fix: accept the conditions at {hub_like.url}/owner/name, then run `fetcher login huggingface` "
        "or set HF_TOKEN, with a token of that account"
    )
    assert "is gated at" in str(_opening(source))


def test_a_missing_revision_names_those_that_exist(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """What to write into models.toml instead."""
    hub_like.says(f"{API}/revision/v9", refuses(404, "RevisionNotFound", "Invalid rev id: v9"))
    refs = {
        "branches": [{"name": "main", "ref": "r", "targetCommit": COMMIT}],
        "tags": [{"name": "v1"}],
        "converts": [],
    }
    hub_like.says(f"{API}/refs", says(refs))
    assert str(_failing(source, revision="v9")) == (
        f"owner/name does not have the revision v9 at {hub_like.host}.\n"
        "  branches: main\n"
        "  tags: v1\n"
        "  fix: set `revision` in models.toml to a branch, a tag or a full commit that exists"
    )


def test_a_file_that_is_gone_is_not_found(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """At the locked commit; another file of the model may still be there."""
    hub_like.says(
        f"/owner/name/resolve/{COMMIT}/a%20b/%C3%A9%2B%26.txt", refuses(404, "EntryNotFound", "Entry not found")
    )
    assert str(_opening(source)) == (
        f"{hub_like.host} does not have a b/é+&.txt of owner/name at the locked commit.\n"
        "  answer: status 404, EntryNotFound, 'Entry not found'\n"
        "  fix: run `fetcher lock --upgrade` to pin what is there now"
    )


def test_a_refused_token_is_said(make: Make, hub_like: Lookalike) -> None:
    """A 401 without a code: the token is wrong, whatever the repository is."""
    hub_like.says(TREE, refuses(401, "", "Invalid credentials in Authorization header"))
    error = _failing(make(token=SECRET))
    assert isinstance(error, AuthError)
    assert error.what == f"{hub_like.host} refuses the token for owner/name."


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry_After": "7", "RateLimit": '"resolvers";r=0;t=55'}, 7.0),
        ({"RateLimit": '"resolvers";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=12;t=80, "resolvers";r=0;t=40'}, 40.0),
        ({"RateLimit": '"api";r=12;t=80'}, 0.25),
    ],
)
def test_a_429_is_waited_for_as_its_headers_say(
    source: HuggingFaceSource, hub_like: Lookalike, slept: list[float], headers: dict[str, str], wait_s: float
) -> None:
    """Retry-After, else the limit that is spent."""
    hub_like.says(TREE, refuses(429, **headers), says([_file("a")]))
    source.snapshot(MODEL, COMMIT)
    assert slept == [wait_s]


# Bytes


def test_a_small_file_comes_over_a_relative_redirect(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """One GET of ours each way, no HEAD, and the path escaped as one writes it."""
    there = ("Location", f"/api/resolve-cache/models/owner/name/{COMMIT}/x?y=1")
    hub_like.says(f"/owner/name/resolve/{COMMIT}/a%20b/%C3%A9%2B%26.txt", Answer(b"", 307, (there, ("ETag", '"x"'))))
    hub_like.says(f"/api/resolve-cache/models/owner/name/{COMMIT}/x", Answer(DATA_BYTES))
    assert _read(source, _address()) == DATA_BYTES


def test_the_token_stays_with_the_hub_when_the_bytes_come_from_elsewhere(make: Make, hub_like: Lookalike) -> None:
    """A signed link is all that the CDN needs; its 64 hex digits of ETag are not the file's."""
    with Lookalike() as cdn:
        link = ("Location", f"{cdn.url}/signed?Signature=s")
        linked = ("X-Linked-Etag", '"' + "1" * 64 + '"')
        hub_like.says(f"/owner/name/resolve/{COMMIT}/w.bin", Answer(b"", 302, (link, linked, ("X-Linked-Size", "12"))))
        cdn.says("/signed", Answer(DATA_BYTES, 200, (("ETag", '"' + "2" * 64 + '"'),)))
        assert _read(make(token=SECRET), _address("w.bin")) == DATA_BYTES
        assert "authorization" not in cdn.seen[0].headers
        assert hub_like.seen[0].headers["authorization"] == f"Bearer {SECRET}"


def test_the_link_is_asked_for_at_every_open(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """It lives for an hour; a large file may take longer."""
    with Lookalike() as cdn:
        links = [Answer(b"", 302, (("Location", f"{cdn.url}/{number}"),)) for number in (1, 2)]
        hub_like.says(f"/owner/name/resolve/{COMMIT}/w.bin", *links)
        cdn.says("/1", Answer(b"expired", 403)).says("/2", Answer(DATA_BYTES))
        with pytest.raises(SourceError) as caught:
            _read(source, _address("w.bin"))
        assert caught.value.transient
        assert _read(source, _address("w.bin")) == DATA_BYTES


def test_more_than_16_gib_are_never_asked_for_at_once(source: HuggingFaceSource, hub_like: Lookalike) -> None:
    """The hub refuses a whole file above 50 GB; in ranges it sends any."""
    hub_like.says(
        f"/owner/name/resolve/{COMMIT}/w.bin", Answer(b"", 206, (("Content-Range", "bytes 0-0/64424509440"),))
    )
    size = 60 << 30
    with pytest.raises(SourceError):
        source.open(_address("w.bin", size), 0, size)
    assert hub_like.seen[0].headers["range"] == f"bytes=0-{MOST_AT_ONCE - 1}"


# Who am I


def test_the_hub_tells_whose_token_it_is(make: Make, hub_like: Lookalike) -> None:
    """For `fetcher auth`; a wrong token is told from a hub that is down."""
    hub_like.says("/api/whoami-v2", says({"type": "user", "name": "somebody", "orgs": []}), refuses(401), says([]))
    source = make(token=SECRET)
    assert source.user() == "somebody"
    with pytest.raises(AuthError, match="refuses the token"):
        source.user()
    with pytest.raises(SourceError, match="does not tell whose token it is"):
        source.user()
