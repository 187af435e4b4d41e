"""Every trap of the hub, against a scripted look-alike."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from fetcher.core.digest import Commit, Sha256
from fetcher.core.interfaces import RemoteAddress, RemoteFile, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.errors import AuthError, FetcherError, IntegrityError, NotFoundError, SourceError
from fetcher.serve.hub import Hub
from fetcher.sources.modelscope import LISTING_CUT, PAGE_SIZE, ModelScopeSource
from tests.hub.publish import MIB, Publisher
from tests.net.test_git_refs import advertisement
from tests.net.wire import Wire, reply
from tests.sources.lookalike import (
    API,
    COMMIT,
    DATASET,
    OTHER,
    Answer,
    Lookalike,
    blob,
    fail,
    listing,
    ok,
    status,
    tree,
)

SECRET = "ms-0123-SECRET"
MODEL = SourceRef.parse("modelscope:owner/name")
DATA = SourceRef.parse("modelscope:datasets/owner/name")
COMMITS_MASTER = f"{API}/commits?PageNumber=1&PageSize=1&Ref=master"
FILES = f"{API}/repo/files"
TREE = f"{DATASET}/repo/tree"
REFS = "/owner/name.git/info/refs"
DATA_REFS = "/datasets/owner/name.git/info/refs"
REVISIONS = {"RevisionMap": {"Branches": [{"Revision": "master"}, {"Revision": "dev"}], "Tags": [{"Revision": "v1.0"}]}}

Make = Callable[..., ModelScopeSource]


@pytest.fixture
def make(make_hub: Callable[..., ModelScopeSource]) -> Make:
    return partial(make_hub, ModelScopeSource)


@pytest.fixture
def source(make: Make) -> ModelScopeSource:
    return make()


def _pages(address: str, entries: list[dict[str, Any]], size: int = PAGE_SIZE) -> dict[str, Answer]:
    """The pages of a dataset, by address."""
    count = len(entries) // size + 1
    return {
        f"{address}?PageNumber={page + 1}&PageSize={size}&Recursive=True&Revision={COMMIT}": listing(
            *entries[page * size : (page + 1) * size]
        )
        for page in range(count)
    }


def _failing(source: ModelScopeSource, ref: SourceRef = MODEL, revision: str | None = COMMIT) -> FetcherError:
    with pytest.raises(FetcherError) as caught:
        source.snapshot(ref, revision)
    return caught.value


def _address(path: str = "a b/é+&.txt", data: bytes = b"content", ref: SourceRef = MODEL) -> RemoteAddress:
    entry = blob(path, data)
    return RemoteAddress(
        ref=ref, commit=Commit(COMMIT), path=RepoPath(path), size=entry["Size"], sha256=Sha256(entry["Sha256"])
    )


def _opening(source: ModelScopeSource, address: RemoteAddress | None = None) -> FetcherError:
    address = address or _address()
    with pytest.raises(FetcherError) as caught:
        source.open(address, 0, address.size)
    return caught.value


def _read(source: ModelScopeSource, address: RemoteAddress, start: int = 0, stop: int | None = None) -> bytes:
    with source.open(address, start, address.size if stop is None else stop) as body:
        buffer, found = bytearray(1000), bytearray()
        while count := body.readinto(memoryview(buffer)):
            found += buffer[:count]
        return bytes(found)


# Pinning


def test_way_a_takes_the_newest_commit_of_the_revision(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """And lists at that commit, so that a push in the middle mixes nothing."""
    hub_like.says(COMMITS_MASTER, ok({"Commit": [{"Id": COMMIT}], "TotalCount": 9}))
    hub_like.says(FILES, listing(tree("onnx"), blob("onnx/m.onnx", b"12"), blob("config.json", b"{}")))
    snapshot = source.snapshot(MODEL, None)
    assert snapshot == Snapshot(
        ref=MODEL,
        commit=Commit(COMMIT),
        files=(
            RemoteFile(path=RepoPath("config.json"), size=2, sha256=Sha256(blob("", b"{}")["Sha256"])),
            RemoteFile(path=RepoPath("onnx/m.onnx"), size=2, sha256=Sha256(blob("", b"12")["Sha256"])),
        ),
    )
    assert hub_like.addresses == [COMMITS_MASTER, f"{FILES}?Recursive=True&Revision={COMMIT}"]


@pytest.mark.parametrize(
    "answer",
    [
        ok({"Commit": None, "TotalCount": 0}),
        ok({"Commit": [], "TotalCount": 0}),
        ok({"Commit": [{"Id": "83ee97c6"}]}),
        ok(None),
        fail(404, status=404),
        fail(10010201001, status=400),
        fail(403, status=403),
        Answer(b"<html>"),
    ],
)
@pytest.mark.parametrize(("revision", "commit"), [("master", OTHER), ("v1", COMMIT)])
def test_way_b_asks_git_where_way_a_has_no_answer(
    source: ModelScopeSource, hub_like: Lookalike, answer: Answer, revision: str, commit: str
) -> None:
    """The commits of datasets are not proven to work; tags are peeled."""
    refs = (f"{OTHER} HEAD\0agent\n", f"{OTHER} refs/heads/master\n", f"{OTHER} refs/tags/v1\n")
    hub_like.says(f"{API}/commits", answer)
    hub_like.says(REFS, Answer(advertisement(*refs, f"{COMMIT} refs/tags/v1^{{}}\n")))
    hub_like.says(FILES, listing(blob("a"), short=commit[:8]))
    assert source.snapshot(MODEL, revision).commit == commit
    git = next(seen for seen in hub_like.seen if seen.address.startswith(REFS))
    assert git.address == f"{REFS}?service=git-upload-pack"
    assert git.headers["user-agent"].startswith("git/")
    assert "fetcher" in git.headers["user-agent"]


@pytest.mark.parametrize("refs", [status(404), Answer(b"<html>"), Answer(advertisement(f"{OTHER} refs/heads/else\n"))])
@pytest.mark.parametrize("ref", [MODEL, DATA], ids=["model", "dataset"])
def test_way_c_takes_the_entry_that_the_short_id_begins(
    source: ModelScopeSource, hub_like: Lookalike, refs: Answer, ref: SourceRef
) -> None:
    """The last commit of one of the files is the head; then it lists again at that commit."""
    files, api, git = (TREE, DATASET, DATA_REFS) if ref.dataset else (FILES, API, REFS)
    hub_like.says(f"{api}/commits", ok({"Commit": []})).says(git, refs)
    hub_like.says(files, listing(blob("a"), blob("b", Revision=COMMIT.upper()), blob("c", Revision=COMMIT)))
    assert source.snapshot(ref, "v1").commit == COMMIT
    listed = [seen.address for seen in hub_like.seen if seen.address.startswith(files)]
    assert [("Revision=v1" in address, f"Revision={COMMIT}" in address) for address in listed] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("short", [None, "", COMMIT[:8]])
def test_a_commit_that_cannot_be_told_is_an_error(
    source: ModelScopeSource, hub_like: Lookalike, short: str | None
) -> None:
    """No guess: the newest entry need not be the head."""
    hub_like.says(FILES, listing(blob("a"), short=short)).says(f"{API}/revisions", ok(REVISIONS))
    error = _failing(source, revision="dev")
    assert isinstance(error, SourceError)
    assert str(error) == (
        f"{hub_like.host} does not tell the commit of a revision.\n"
        "  repository: owner/name\n"
        "  revision: dev\n"
        "  branches: master, dev\n"
        "  tags: v1.0\n"
        "  fix: set `revision` in models.toml to a full commit of 40 hex digits"
    )


def test_two_commits_that_begin_alike_are_not_guessed_between(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Eight digits can belong to two commits."""
    twin = COMMIT[:8] + OTHER[8:]
    hub_like.says(FILES, listing(blob("a", Revision=COMMIT), blob("b", Revision=twin)))
    assert _failing(source, revision="dev").what == f"{hub_like.host} does not tell the commit of a revision."


def test_a_full_commit_is_used_as_it_is(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """One request."""
    hub_like.says(FILES, listing(blob("a")))
    assert source.snapshot(MODEL, COMMIT).commit == COMMIT
    assert hub_like.addresses == [f"{FILES}?Recursive=True&Revision={COMMIT}"]


@pytest.mark.parametrize("short", [OTHER[:8], "", None, "8", "not hex!"])
@pytest.mark.parametrize("ref", [MODEL, DATA], ids=["model", "dataset"])
def test_a_listing_of_another_commit_is_refused(
    source: ModelScopeSource, hub_like: Lookalike, short: str | None, ref: SourceRef
) -> None:
    """A hub that ignores `Revision` would have the branch locked under the commit's name."""
    hub_like.says(TREE if ref.dataset else FILES, listing(blob("a"), short=short))
    error = _failing(source, ref)
    assert isinstance(error, SourceError)
    assert str(error) == (
        f"{hub_like.host} listed another commit of owner/name than it was asked for.\n"
        f"  asked: {COMMIT}\n"
        f"  listed: {short or 'unknown'}\n"
        "  fix: run the command again; if it stays, use another source"
    )


@pytest.mark.parametrize("files", [None, []])
@pytest.mark.parametrize("ref", [MODEL, DATA], ids=["model", "dataset"])
def test_an_unknown_revision_names_those_that_exist(
    source: ModelScopeSource, hub_like: Lookalike, files: list[object] | None, ref: SourceRef
) -> None:
    """Trap 1: 200 with `Files: null`, and the official client reports success."""
    hub_like.says(TREE if ref.dataset else FILES, ok({"Files": files, "LatestCommitter": None}))
    hub_like.says(f"{DATASET if ref.dataset else API}/revisions", ok(REVISIONS))
    for revision in ("v9", COMMIT):
        error = _failing(source, ref, revision)
        assert isinstance(error, NotFoundError)
        assert str(error) == (
            f"owner/name has no revision {revision} at {hub_like.host}, or no file in it.\n"
            "  branches: master, dev\n"
            "  tags: v1.0\n"
            "  fix: set `revision` in models.toml to a branch, a tag or a full commit that exists"
        )


def test_an_unknown_revision_is_told_even_if_the_names_are_not(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """The list is a courtesy."""
    hub_like.says(FILES, ok({"Files": None}))
    assert _failing(source).facts == ("branches and tags: the hub does not tell",)


# The cut at 3000


def _many(folder: str, count: int) -> list[dict[str, Any]]:
    return [blob(f"{folder}f{index:04}") for index in range(count)]


def _list_at(hub: Lookalike, root: str, recursive: str, *entries: dict[str, Any]) -> None:
    where = f"&Root={root}" if root else ""
    hub.says(f"{FILES}?Recursive={recursive}&Revision={COMMIT}{where}", listing(*entries))


def test_a_listing_that_comes_back_full_is_walked(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Trap 2: cut at 3000 entries without a word; folders that come back full are descended into."""
    inner, deep = _many("big/inner/", LISTING_CUT - 1), _many("big/deep/", 10)
    full = [*inner, *deep][:LISTING_CUT]
    _list_at(hub_like, "", "True", *full)
    _list_at(hub_like, "", "False", tree("big"), tree("small"), blob("top"))
    _list_at(hub_like, "small", "True", blob("small/x"))
    _list_at(hub_like, "big", "True", *full)
    _list_at(hub_like, "big", "False", tree("big/inner"), tree("big/deep"), blob("big/y"))
    _list_at(hub_like, "big/inner", "True", *inner)
    _list_at(hub_like, "big/deep", "True", *deep)
    found = {file.path for file in source.snapshot(MODEL, COMMIT).files}
    assert found == {entry["Path"] for entry in [*inner, *deep]} | {"top", "small/x", "big/y"}
    assert len(hub_like.seen) == 7


def test_a_listing_of_2999_is_whole(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """One request then."""
    hub_like.says(FILES, listing(*_many("", LISTING_CUT - 1)))
    assert len(source.snapshot(MODEL, COMMIT).files) == LISTING_CUT - 1
    assert len(hub_like.seen) == 1


@pytest.mark.parametrize("folder", ["", "data"])
def test_a_folder_of_3000_direct_entries_is_refused(source: ModelScopeSource, hub_like: Lookalike, folder: str) -> None:
    """It cannot be listed, and a part of it must not be locked."""
    full = _many(f"{folder}/" if folder else "", LISTING_CUT)
    hub_like.says(FILES, listing(*full))
    if folder:
        _list_at(hub_like, "", "False", tree(folder))
    error = _failing(source)
    assert isinstance(error, SourceError)
    assert not error.transient
    assert str(error) == (
        f"{hub_like.host} cannot list owner/name whole.\n"
        f"  folder: {folder or 'the root'}\n"
        "  entries: 3000 or more; the hub cuts a listing there without saying so\n"
        "  fix: take the repository by git, or ask its owner to use more folders"
    )


@pytest.mark.parametrize("entries", [[], [blob("other/x")], [blob("bigger")], [tree("big")]])
def test_a_folder_s_listing_that_is_not_its_own_is_refused(
    source: ModelScopeSource, hub_like: Lookalike, entries: list[dict[str, Any]]
) -> None:
    """A hub that ignores `Root` would send the walk in circles."""
    hub_like.says(FILES, listing(*_many("big/", LISTING_CUT)))
    _list_at(hub_like, "", "False", tree("big"))
    _list_at(hub_like, "big", "True", *entries)
    assert _failing(source).what == f"{hub_like.host} answered in a way that is not understood."


# Datasets


def test_a_dataset_is_listed_page_by_page(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Until a page is not full."""
    entries = _many("", 2 * PAGE_SIZE)
    for address, answer in _pages(TREE, entries).items():
        hub_like.says(address, answer)
    assert len(source.snapshot(DATA, COMMIT).files) == 2 * PAGE_SIZE
    assert len(hub_like.seen) == 3


def test_a_hub_with_smaller_pages_is_read_to_its_end(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """A page may be shorter than asked for; the total says that more is to come."""
    entries = _many("", 250)
    for page in range(4):
        part = entries[page * 100 : (page + 1) * 100]
        address = f"{TREE}?PageNumber={page + 1}&PageSize={PAGE_SIZE}&Recursive=True&Revision={COMMIT}"
        hub_like.says(address, listing(*part, total=250))
    assert len(source.snapshot(DATA, COMMIT).files) == 250


def test_a_false_403_on_a_later_page_is_tried_again(
    source: ModelScopeSource, hub_like: Lookalike, slept: list[float]
) -> None:
    """The hub sometimes refuses a page of a public dataset."""
    pages = _pages(TREE, _many("", PAGE_SIZE + 1))
    first, second = pages
    hub_like.says(first, pages[first]).says(second, fail(403, status=403), fail(403), pages[second])
    assert len(source.snapshot(DATA, COMMIT).files) == PAGE_SIZE + 1
    assert slept == [0.25, 0.5]


@pytest.mark.parametrize("answers", [[fail(403, status=403)]])
def test_a_403_on_the_first_page_is_believed(
    source: ModelScopeSource, hub_like: Lookalike, slept: list[float], answers: list[Answer]
) -> None:
    """At once; and a later one that stays is believed in the end."""
    hub_like.says(TREE, *answers)
    assert isinstance(_failing(source, DATA), AuthError)
    assert slept == []
    hub_like.says(TREE, listing(*_many("", PAGE_SIZE)), *answers)
    assert isinstance(_failing(source, DATA), AuthError)


@pytest.mark.parametrize("second", [[blob("f0000")], _many("", PAGE_SIZE)])
def test_a_page_that_repeats_another_is_refused(
    source: ModelScopeSource, hub_like: Lookalike, second: list[dict[str, Any]]
) -> None:
    """A hub that ignores `PageNumber` would never end."""
    hub_like.says(TREE, listing(*_many("", PAGE_SIZE)), listing(*second))
    assert "reason: page 2 repeats entries of an earlier page" in _failing(source, DATA).facts


def test_a_later_page_of_another_commit_is_refused(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Two pages must be of one tree."""
    other = [blob(f"g{index}") for index in range(PAGE_SIZE)]
    hub_like.says(TREE, listing(*_many("", PAGE_SIZE)), listing(*other, short=OTHER[:8]))
    assert "listed another commit" in _failing(source, DATA).what


# Failures inside answers


@pytest.mark.parametrize("code", [200, 404])
def test_a_missing_repository_is_not_found(source: ModelScopeSource, hub_like: Lookalike, code: int) -> None:
    """Trap 4, whatever the HTTP status says."""
    hub_like.says(FILES, fail(10010205001, "model not found", status=code))
    error = _failing(source)
    assert isinstance(error, NotFoundError)
    assert str(error) == (
        f"{hub_like.host} has no model owner/name, or does not show it without a token that may read it.\n"
        f"  answer: status {code}, code 10010205001, 'model not found'\n"
        "  fix: correct the name in `source`; if the repository is private, run `fetcher login hub` or set HUB_TOKEN"
    )


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("inside", [True, False])
def test_no_permission_names_the_variable(make: Make, hub_like: Lookalike, code: int, inside: bool) -> None:
    """With and without a token; the text never holds it, whatever the hub repeats."""
    hub_like.says(FILES, fail(code, "no token", status=200 if inside else code))
    error = _failing(make(login_note="login: not read"))
    assert isinstance(error, AuthError)
    assert str(error) == (
        f"{hub_like.host} asks for a token for owner/name.\n"
        f"  answer: status {200 if inside else code}, code {code}, 'no token'\n"
        "  login: not read\n"
        "  fix: run `fetcher login hub` or set HUB_TOKEN, with a token that may read it"
    )
    hub_like.says(FILES, fail(code, f"bad token {SECRET}", status=200 if inside else code))
    error = _failing(make(token=SECRET, login_note="login: not read"))
    assert str(error) == (
        f"{hub_like.host} refuses the token for owner/name.\n"
        f"  answer: status {200 if inside else code}, code {code}, 'bad token ***'\n"
        "  fix: run `fetcher login hub` or set HUB_TOKEN, with a token that may read it"
    )


@pytest.mark.parametrize("answer", [fail(10010100000, "\x1b[31mbusy"), ok(None, Success=False), ok({}, Code=10010)])
def test_a_failure_inside_a_200_is_a_failure(source: ModelScopeSource, hub_like: Lookalike, answer: Answer) -> None:
    """`Success` and `Code` are looked at, whatever the status; a terminal is not coloured by it."""
    hub_like.says(FILES, answer)
    error = _failing(source)
    assert error.what == f"{hub_like.host} refuses to answer about owner/name."
    assert error.facts[0].startswith("answer: status 200, code ")
    assert "\x1b" not in str(error)


@pytest.mark.parametrize(
    "data",
    [None, [], "x", {}, {"Files": "x"}, {"Files": {}}, {"Files": [], "LatestCommitter": "x"}],
)
def test_an_answer_of_another_shape_is_not_an_empty_list(
    source: ModelScopeSource, hub_like: Lookalike, data: object
) -> None:
    """Fail loudly where an answer is not understood."""
    hub_like.says(FILES, ok(data))
    error = _failing(source)
    assert isinstance(error, SourceError)
    assert error.what == f"{hub_like.host} answered in a way that is not understood."
    assert error.facts[0] == "repository: owner/name"


def test_listings_are_asked_again_by_the_one_schedule(
    source: ModelScopeSource, hub_like: Lookalike, slept: list[float]
) -> None:
    """429 with Retry-After is waited for in full; then it is given up with the host's name."""
    hub_like.says(FILES, status(429, ("Retry-After", "7")), status(502), listing(blob("a")))
    assert len(source.snapshot(MODEL, COMMIT).files) == 1
    assert slept == [7.0, 0.5]
    hub_like.says(FILES, status(503))
    error = _failing(source)
    assert isinstance(error, SourceError)
    assert error.what == f"{hub_like.host} cannot answer at the moment."
    assert len(slept) == 4


def test_a_hub_that_is_down_is_not_asked_three_ways(
    source: ModelScopeSource, hub_like: Lookalike, slept: list[float]
) -> None:
    """Be gentle: one question, its tries, an end."""
    hub_like.says(f"{API}/commits", status(503))
    assert isinstance(_failing(source, revision="master"), SourceError)
    assert {address.partition("?")[0] for address in hub_like.addresses} == {f"{API}/commits"}


# Hostile listings


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Path": "../x"}, "unsafe path '../x': it has '..' as a part"),
        ({"Path": "/etc/x"}, "unsafe path '/etc/x': it is absolute"),
        ({"Path": "a\\b"}, "unsafe path 'a\\\\b': it holds a backslash or a control character"),
        ({"Path": "C:x"}, "unsafe path 'C:x': it starts with a drive letter"),
        ({"Path": ""}, "unsafe path '': it is empty"),
        ({"Path": "aux.txt"}, "unsafe path 'aux.txt': 'aux.txt' is a reserved name on Windows"),
        ({"Size": -1}, "its size is -1"),
        ({"Size": None}, "its size is None"),
        ({"Size": 1 << 60}, f"its size is {1 << 60}"),
        ({"Size": 0}, "its size is 0, and its hash says otherwise"),
        ({"Size": "5"}, "Size: Input should be a valid integer"),
        ({"Size": True}, "Size: Input should be a valid integer"),
        ({"Size": 5.0}, "Size: Input should be a valid integer"),
        ({"Sha256": ""}, "expected 64 hex digits of a sha256, got ''"),
        ({"Sha256": None}, "expected 64 hex digits of a sha256, got ''"),
        ({"Sha256": "g" * 64}, f"expected 64 hex digits of a sha256, got '{'g' * 64}'"),
        ({"Sha256": 7}, "Sha256: Input should be a valid string"),
        (
            {"Sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
            "its size is 3, and its hash says otherwise",
        ),
        ({"Type": "commit"}, "it is neither a file nor a folder but 'commit'"),
    ],
)
@pytest.mark.parametrize("ref", [MODEL, DATA], ids=["model", "dataset"])
def test_an_entry_that_cannot_be_is_refused_by_name(
    source: ModelScopeSource, hub_like: Lookalike, changes: dict[str, Any], reason: str, ref: SourceRef
) -> None:
    """Rule 8: exit 4 with the host, the entry and the reason."""
    bad = {**blob("bad"), **changes}
    hub_like.says(TREE if ref.dataset else FILES, listing(blob("good"), bad))
    error = _failing(source, ref)
    assert isinstance(error, IntegrityError)
    assert str(error) == (
        f"{hub_like.host} lists a file of owner/name that cannot be taken.\n"
        f"  entry: {bad['Path']}\n"
        f"  reason: {reason}\n"
        "  fix: tell the owner of the repository, or leave the model out of models.toml"
    )


@pytest.mark.parametrize(
    ("one", "two", "reason"),
    [
        ("a.txt", "A.TXT", "'a.txt' and 'A.TXT' would be the same file on some systems"),
        ("a.txt", "a.txt", "'a.txt' and 'a.txt' would be the same file on some systems"),
        ("a", "a/b", "'a' is a file and also a directory of 'a/b'"),
    ],
)
def test_twins_are_refused(source: ModelScopeSource, hub_like: Lookalike, one: str, two: str, reason: str) -> None:
    """Two files that cannot stand side by side on every system."""
    hub_like.says(FILES, listing(blob(one), blob(two)))
    error = _failing(source)
    assert isinstance(error, IntegrityError)
    assert error.facts == (f"reason: {reason}",)


def test_a_hash_in_upper_case_is_taken(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Lower-cased; and an empty file is a file."""
    entry = blob("a")
    hub_like.says(FILES, listing({**entry, "Sha256": entry["Sha256"].upper()}, blob("empty", b"")))
    files = source.snapshot(MODEL, COMMIT).files
    assert files[0].sha256 == entry["Sha256"]
    assert (files[1].path, files[1].size) == ("empty", 0)


# Bytes


def test_a_file_is_asked_for_at_the_commit_in_form_encoding(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Space as `+`, `/` as `%2F`, as the official client does."""
    hub_like.says(f"{API}/repo", Answer(b"content", 200, ()))
    assert _read(source, _address()) == b"content"
    assert hub_like.seen[0].target == f"{API}/repo?Revision={COMMIT}&FilePath=a+b%2F%C3%A9%2B%26.txt"
    assert "range" not in hub_like.seen[0].headers


def test_the_hub_s_own_address_is_asked_at_each_open(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Signed links live for minutes."""
    links = [status(302, ("Location", f"{hub_like.url}/lfs/{n}?auth_key={SECRET}")) for n in (1, 2)]
    hub_like.says(f"{API}/repo", *links).says("/lfs/1", Answer(b"content", 200, ())).says("/lfs/2", status(403))
    assert _read(source, _address()) == b"content"
    error = _opening(source)
    assert SECRET not in str(error)
    assert [address.partition("?")[0] for address in hub_like.addresses] == [
        f"{API}/repo",
        "/lfs/1",
        f"{API}/repo",
        "/lfs/2",
    ]


def test_a_part_is_judged_by_content_range_not_by_206(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """The gateway answers a bounded range with 200 and Content-Range."""
    hub_like.says(f"{API}/repo", Answer(b"nte", 200, (("Content-Range", "bytes 2-4/7"),)))
    with source.open(_address(), 2, 5) as body:
        assert (body.head.status, body.head.first, body.head.total, body.head.length) == (200, 2, 7, 3)
    assert hub_like.seen[0].headers["range"] == "bytes=2-4"


@pytest.mark.parametrize("code", [200, 404])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_missing_file_is_not_found_whatever_the_status(
    source: ModelScopeSource, hub_like: Lookalike, code: int, is_chunked: bool
) -> None:
    """Trap 3: 200 with error JSON as the body, which the official client saves as the file."""
    answer = fail(10990101007, "file not found", status=code)
    if is_chunked:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer.body), answer.body)
        answer = Answer(body, code, (*answer.headers, ("Transfer-Encoding", "chunked")))
    hub_like.says(f"{API}/repo", answer)
    error = _opening(source)
    assert isinstance(error, NotFoundError)
    assert str(error) == (
        f"{hub_like.host} does not have a b/é+&.txt of owner/name at the locked commit.\n"
        f"  answer: status {code}, code 10990101007, 'file not found'\n"
        "  fix: run `fetcher lock --upgrade` to pin what is there now"
    )


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    "data", [b"{}", fail(10990101007).body, json.dumps({"Success": False, "x": "y" * 200_000}).encode()]
)
def test_a_file_that_is_json_itself_is_served(
    source: ModelScopeSource, hub_like: Lookalike, data: bytes, is_chunked: bool
) -> None:
    """Even one that looks like an error: its length is the locked one, and its hash decides."""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json; charset=utf-8"),)
    body = data
    if is_chunked:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
        headers = (*headers, ("Transfer-Encoding", "chunked"))
    hub_like.says(f"{API}/repo", Answer(body, 200, headers))
    assert _read(source, _address("config.json", data)) == data


def test_other_json_instead_of_bytes_is_said_so(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Transient: a gateway in a bad minute."""
    hub_like.says(f"{API}/repo", Answer(b'{"maintenance": true}'))
    error = _opening(source)
    assert isinstance(error, SourceError)
    assert error.transient
    assert str(error) == (
        f"{hub_like.host} sent JSON instead of a b/é+&.txt.\n"
        "  locked: 7 bytes\n"
        "  sent: 21 bytes\n"
        "  fix: run the command again, or use another source"
    )


# Who is asking


def test_a_token_goes_with_each_question_to_the_hub_and_nowhere_else(make: Make, hub_like: Lookalike) -> None:
    """Trap 5: Bearer and cookie to the hub, Basic to its git; nothing to the CDN; the hub's cookies are dropped."""
    with Lookalike() as cdn:
        cdn.says("/o", Answer(b"content", 200, ()))
        cookie = ("Set-Cookie", f"m_session_id={SECRET}; Path=/")
        hub_like.says(REFS, Answer(advertisement(f"{COMMIT} refs/heads/master\n"), 200, (cookie,)))
        hub_like.says(FILES, listing(blob("a")))
        hub_like.says(f"{API}/repo", status(302, ("Location", f"{cdn.url}/o?auth_key=1"), cookie))
        source = make(token=SECRET)
        source.snapshot(MODEL, "master")
        assert _read(source, _address()) == b"content"
        assert [seen.headers["authorization"].partition(" ")[0] for seen in hub_like.seen] == [
            "Bearer",
            "Basic",
            "Bearer",
            "Bearer",
        ]
        assert [seen.headers.get("cookie") for seen in hub_like.seen] == [
            f"m_session_id={SECRET}",
            None,
            f"m_session_id={SECRET}",
            f"m_session_id={SECRET}",
        ]
        assert not cdn.seen[0].headers.keys() & {"authorization", "cookie", "referer"}


def test_without_a_token_nothing_is_sent(source: ModelScopeSource, hub_like: Lookalike) -> None:
    """Asking as anybody."""
    hub_like.says(FILES, listing(blob("a")))
    source.snapshot(MODEL, COMMIT)
    assert not hub_like.seen[0].headers.keys() & {"authorization", "cookie"}


def test_the_label_is_the_host(make: Make) -> None:
    """And never a secret."""
    assert make(endpoint="https://modelscope.cn").label == "modelscope.cn"
    assert make(endpoint="https://hub.example:8443/base", token=SECRET).label == "hub.example:8443"
    assert SECRET not in repr(vars(make(token=SECRET))["_api_auth"])


# The product's own hub, which the official client accepts


def test_a_published_folder_is_listed_and_read(publisher: Publisher, hub: Hub, make: Make) -> None:
    """The honest road: branch, tag, dataset, small file and CDN."""
    first = publisher.publish("owner/name", {"config.json": b"{}", "d/w.bin": 3 * MIB, "empty": b""})
    publisher.tag("owner/name", "v1", {"old.txt": b"old"})
    publisher.publish("datasets/owner/name", {"train.csv": b"1,2"})
    source = make(endpoint=hub.url)
    snapshot = source.snapshot(MODEL, None)
    assert {file.path: file.size for file in snapshot.files} == {path: len(data) for path, data in first.items()}
    for file in snapshot.files:
        if file.size and file.sha256:
            address = RemoteAddress(
                ref=MODEL, commit=snapshot.commit, path=file.path, size=file.size, sha256=file.sha256
            )
            assert _read(source, address) == first[file.path]
            assert first[file.path][file.size // 2 : file.size] in _read(source, address, file.size // 2, file.size)
    assert [file.path for file in source.snapshot(MODEL, "v1").files] == ["old.txt"]
    assert [file.path for file in source.snapshot(DATA, None).files] == ["train.csv"]
    assert isinstance(_failing(source, revision="v2"), NotFoundError)
    assert isinstance(_failing(source, SourceRef.parse("ms:owner/none")), NotFoundError)


def test_a_large_published_folder_is_listed_whole(publisher: Publisher, hub: Hub, make: Make) -> None:
    """The hub cuts at 3000 as the live one does."""
    tree = publisher.publish("owner/name", {f"d{n % 4}/f{n:04}": b"x" for n in range(3300)})
    assert {file.path for file in make(endpoint=hub.url).snapshot(MODEL, None).files} == tree.keys()


def test_a_short_answer_that_drips_is_given_up(make: Make) -> None:
    """Nobody watches for a stall while it is found out whether it is a file or an error."""
    drip = [reply(b"", "Content-Type: application/json", length=600), *[b" ", 0.05] * 600]
    address = RemoteAddress(ref=MODEL, commit=Commit(COMMIT), path=RepoPath("a.json"), size=5, sha256=Sha256("0" * 64))
    with Wire(lambda head: drip) as wire:
        source = make(endpoint=wire.url, peek_s=0.3)
        with pytest.raises(SourceError) as caught:
            source.open(address, 0, 5)
        assert caught.value.transient
        assert str(caught.value) == (
            f"{wire.host} closed the connection early.\n"
            "  reason: a short answer came too slowly\n"
            "  fix: run the command again; what was received is kept"
        )
