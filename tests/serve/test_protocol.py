"""The wire's forms: Range, listings, refs and questions, as protocols say and not as the code does."""

import json
import re
from collections.abc import Mapping

import pytest

from fetcher.core.digest import Commit, Sha256
from fetcher.serve import protocol
from fetcher.serve.protocol import GetFile, GetObject, ListFiles, Login, question_of
from fetcher.serve.repositories import RepoKey, Revisions, Stamp, StoredFile, Tree
from fetcher.serve.wire import ByteRange, FileSlice, Request, UnsatisfiableRangeError, cdn_range

KEY = RepoKey(owner="o", name="n")
HEX = "0123456789abcdef" * 4


def stored(path: str, size: int = 10) -> StoredFile:
    stamp = Stamp(size=size, mtime_ns=7 * 10**9, inode=1)
    return StoredFile(path=path, location=f"/nowhere/{path}", stamp=stamp, sha256=Sha256(HEX), git_blob=None)


def tree_of(*paths: str, commit: str = "ab" * 20) -> Tree:
    files = {path: stored(path) for path in sorted(paths)}
    return Tree(commit=Commit(commit), files=files, changed_s=7)


def listed(tree: Tree, root: str = "", *, recursive: bool = True, page: int | None = None) -> list[str]:
    """Paths of a listing, folders with a slash behind them."""
    question = ListFiles(key=KEY, revision="master", root=root, recursive=recursive, page=page, page_size=200)
    files = protocol.listing(tree, question)["Files"]
    assert isinstance(files, list)
    return [entry["Path"] + "/" * (entry["Type"] == "tree") for entry in files]


def get(target: str) -> protocol.Question | None:
    return question_of(Request(method="GET", target=target))


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=99-99", (99, 100)),
        ("bytes=40-", (40, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=20-10", None),
        ("bytes=0-1,5-6", None),
        ("bytes= 0-1", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1\n", None),
        ("bytes=٠-١", None),
    ],
)
def test_the_cdn_path_sends_the_range_or_the_whole(header: str | None, part: tuple[int, int] | None) -> None:
    """RFC 9110, 14.2: what is not understood is ignored."""
    expected = ByteRange(start=part[0], stop=part[1]) if part else None
    assert cdn_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_unsatisfiable(header: str) -> None:
    """RFC 9110, 15.5.17: 416 rather than an empty body."""
    with pytest.raises(UnsatisfiableRangeError):
        cdn_range(header, 100)


@pytest.mark.parametrize(
    ("header", "content_range", "count"),
    [
        (None, None, 100),
        ("bytes=5-9", "bytes 5-9/100", 5),
        ("bytes=0-", None, 100),
        ("bytes=50-", None, 100),
        ("bytes=-5", None, 100),
    ],
)
def test_the_gateway_answers_200_and_knows_bounded_ranges_only(
    header: str | None, content_range: str | None, count: int
) -> None:
    """The oddity by which a client that looks for 206 goes wrong."""
    answer = protocol.gateway_file(stored("a", 100), {"range": header} if header else {})
    assert isinstance(answer.body, FileSlice)
    assert (answer.status, dict(answer.headers).get("Content-Range")) == (200, content_range)
    assert answer.body.stop - answer.body.start == count


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"range": "bytes=5-"}, 206),
        ({"range": "bytes=5-", "if-range": f'"{HEX}"'}, 206),
        ({"range": "bytes=5-", "if-range": '"other"'}, 200),
        ({"range": "bytes=5-", "if-range": "Mon, 01 Jan 2024 00:00:00 GMT"}, 200),
        ({}, 200),
    ],
)
def test_if_range_sends_the_whole_of_another_file(headers: Mapping[str, str], status: int) -> None:
    """RFC 9110, 13.1.5: a part of another version must never be glued on."""
    answer = protocol.cdn_file(stored("a", 100), headers)
    assert (answer.status, dict(answer.headers)["ETag"]) == (status, f'"{HEX}"')
    assert dict(answer.headers)["X-Linked-ETag"] == f'"{HEX}"'


def test_an_unknown_revision_is_a_success_without_files() -> None:
    """Trap 1 of the protocol page, in the whole envelope."""
    question = ListFiles(key=KEY, revision="nope", root="", recursive=True)
    answer = protocol.success(protocol.listing(None, question), request_id="r")
    assert isinstance(answer.body, bytes)
    assert answer.status == 200
    assert json.loads(answer.body) == {
        "Code": 200,
        "Success": True,
        "Message": "success",
        "RequestId": "r",
        "Data": {"Files": None, "LatestCommitter": None, "TotalCount": 0},
    }


def test_a_listing_names_folders_and_files_from_the_repositorys_root() -> None:
    """`Root` narrows the listing and does not shorten the paths."""
    tree = tree_of("a", "b/c", "b/d/e", "bb/f")
    assert listed(tree) == ["b/", "b/d/", "bb/", "a", "b/c", "b/d/e", "bb/f"]
    assert listed(tree, recursive=False) == ["b/", "bb/", "a"]
    assert listed(tree, "b") == ["b/d/", "b/c", "b/d/e"]
    assert listed(tree, "b", recursive=False) == ["b/d/", "b/c"]
    assert listed(tree, "nowhere") == []


def test_a_models_listing_is_cut_at_3000_entries_with_folders() -> None:
    """Trap 2: the cut is silent and folders count."""
    tree = tree_of(*(f"d/{number:04}" for number in range(3100)))
    assert len(listed(tree)) == 3000
    assert listed(tree)[0] == "d/"


def test_a_datasets_listing_comes_in_pages_without_a_cut() -> None:
    """Pages cover every entry once and the last is short."""
    tree = tree_of(*(f"{number:04}" for number in range(450)))
    pages = [listed(tree, page=page) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [200, 200, 50, 0]
    assert sorted(path for page in pages for path in page) == list(tree.files)


def test_an_entry_has_the_fields_of_the_hub() -> None:
    """Size and Sha256 for every blob; Revision is not the head; LFS from 1 MiB on."""
    files = {"small": stored("small", (1 << 20) - 1), "x/large": stored("x/large", 1 << 20)}
    tree = Tree(commit=Commit("ab" * 20), files=files, changed_s=7)
    data = protocol.listing(tree, ListFiles(key=KEY, revision="master", root="", recursive=True))
    files_told = data["Files"]
    assert isinstance(files_told, list)
    _, small, large = files_told
    assert (small["IsLFS"], large["IsLFS"]) == (False, True)
    assert re.fullmatch(r"[0-9a-f]{40}", large.pop("Revision"))
    assert large == {
        "Type": "blob",
        "Path": "x/large",
        "Name": "large",
        "Size": 1 << 20,
        "Sha256": HEX,
        "IsLFS": True,
        "Mode": "33188",
        "CommitMessage": "published",
        "CommittedDate": 7,
        "CommitterName": "fetcher",
        "InCheck": False,
    }
    assert small["Revision"] != tree.commit
    committer = data["LatestCommitter"]
    assert isinstance(committer, dict)
    assert (committer["Id"], committer["ShortId"]) == ("", "abababab")


def test_refs_are_git_packets_with_peeled_tags() -> None:
    """gitprotocol-http: lengths in hex, a flush after the service line, the capabilities after NUL."""
    revisions = Revisions(
        branches={"dev": tree_of("b", commit="cd" * 20), "master": tree_of("a")}, tags={"v1": tree_of("c")}
    )
    body = protocol.advertised_refs(revisions).body
    assert isinstance(body, bytes)
    lines, rest = [], body
    while rest:
        length = int(rest[:4], 16) or 4
        lines.append(rest[4:length].decode())
        rest = rest[length:]
    tag = lines[5].split()[0]
    assert lines == [
        "# service=git-upload-pack\n",
        "",
        f"{'ab' * 20} HEAD\0symref=HEAD:refs/heads/master object-format=sha1 agent=fetcher\n",
        f"{'cd' * 20} refs/heads/dev\n",
        f"{'ab' * 20} refs/heads/master\n",
        f"{tag} refs/tags/v1\n",
        f"{'ab' * 20} refs/tags/v1^{{}}\n",
        "",
    ]
    assert tag != "ab" * 20


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/api/v1/models/o/n/repo?Revision=v1&FilePath=a%2Fb+c", "a/b c"),
        ("/api/v1/models/o/n/repo?Revision=v1&FilePath=a/b%20c", "a/b c"),
        ("/models/o/n/resolve/v1/a/b%20c", "a/b c"),
        ("/models/o/n/resolve/v1/a+b", "a+b"),
        ("/models/o/n/resolve/v1/%E6%B7%B1", "深"),
        ("/models/o/n/resolve/v1/..%2F..%2Fx", "../../x"),
    ],
)
def test_both_forms_ask_for_a_file(target: str, path: str) -> None:
    """A plus is a space in a form and a plus in a path; what is unsafe is refused further in."""
    assert get(target) == GetFile(key=KEY, revision="v1", path=path)


def test_the_revision_is_master_unless_told_and_recursive_in_any_case() -> None:
    """Clients send `True`, people `true`."""
    expected = ListFiles(key=KEY, revision="master", root="a/b", recursive=True)
    assert get("/api/v1/models/o/n/repo/files?Recursive=True&Root=a/b") == expected
    assert get("/api/v1/models/o/n/repo/files?Recursive=true&Root=%2Fa%2Fb%2F") == expected


def test_a_signed_object_is_named_by_its_whole_hash() -> None:
    """The path that was signed is the path that was asked for."""
    target = f"/lfs-objects/{HEX[:2]}/{HEX[2:4]}/{HEX[4:]}"
    assert get(f"{target}?auth_key=1-a") == GetObject(sha256=HEX, path=target, auth_key="1-a")
    assert get(f"{target}/x?auth_key=1-a") is None


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/api/v1/models/o",
        "/api/v1/models/o/n/repo/tree?Revision=master",
        "/api/v1/datasets/o/n/repo/files?Revision=master",
        "/api/v1/studios/o/n",
        "/models/o/n/resolve/master",
        "/o/n.git/info/refs?service=git-receive-pack",
        "/o/n/info/refs?service=git-upload-pack",
        "/api/v1/login",
    ],
)
def test_other_addresses_are_unknown(target: str) -> None:
    """A read-only hub: nothing is answered by accident."""
    assert get(target) is None


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET", target="/api/v1/datasets/o/n/repo/tree?PageNumber=0"),
        Request(method="GET", target="/api/v1/datasets/o/n/repo/tree?PageNumber=x"),
        Request(method="GET", target="/models/o/n/resolve/master/%FF"),
        Request(method="GET", target="/api/v1/models/o/n/repo?FilePath=%FF"),
        Request(method="GET", target="http://[x/"),
        Request(method="POST", target="/api/v1/login", body=b"{"),
        Request(method="POST", target="/api/v1/login", body=b"[]"),
        Request(method="POST", target="/api/v1/login", body=b"[" * 60_000),
        Request(method="POST", target="/api/v1/login", body=b'{"AccessToken": 1}'),
        Request(method="POST", target="/api/v1/login", body=b"\xff"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(request_: Request) -> None:
    """The server turns it into 400; anything else would be a crash of the thread."""
    with pytest.raises(ValueError):
        question_of(request_)


def test_login_is_a_post() -> None:
    """The token comes in the body, never in an address."""
    body = json.dumps({"AccessToken": "ms-1"}).encode()
    assert question_of(Request(method="POST", target="/api/v1/login", body=body)) == Login(token="ms-1")
