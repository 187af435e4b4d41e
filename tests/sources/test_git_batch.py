"""The LFS batch API: who is asked, with what, and what its answers mean."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Sha256
from fetcher.core.pointer import Pointer
from fetcher.errors import AuthError, FetcherError, NotFoundError, SourceError
from fetcher.net.credentials import Token
from fetcher.net.http import HttpClient
from fetcher.sources.git_lfs.access import Access, checked_headers
from fetcher.sources.git_lfs.batch import Batch
from fetcher.sources.git_lfs.program import Git
from fetcher.sources.git_lfs.remote import Remote
from tests.sources.git_server import Asked, GitServer, basic, serving

SECRET, LINK_SECRET = "git-0123-SECRET", "link-4567-SECRET"
CONTENT = b"the bytes of a large file"
POINTER = Pointer(sha256=Sha256(hashlib.sha256(CONTENT).hexdigest()), size=len(CONTENT))
OTHERS = [Pointer(sha256=Sha256(f"{number:064x}"), size=7) for number in range(150)]

Answer = tuple[str, list[tuple[str, str]], bytes]
MakeBatch = Callable[..., Batch]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Callable[[Asked], Answer]], GitServer]]:
    """A server that answers as a test says."""
    with ExitStack() as stack:

        def start(answer: Callable[[Asked], Answer]) -> GitServer:
            server = GitServer(root=tmp_path, storage=tmp_path / "lfs", before=answer)
            return stack.enter_context(serving(server))

        yield start


@pytest.fixture
def batch(tmp_path: Path) -> Iterator[MakeBatch]:
    with ExitStack() as stack:

        def make(url: str, *, token: str = "", clock: Callable[[], float] = lambda: 0.0) -> Batch:
            remote = Remote.parse(f"{url}/owner/model", shown="it")
            environment = {**os.environ, "HOME": str(tmp_path)}
            git = Git(environment=environment, allowed=("http",), host=remote.label, idle_timeout_s=10.0)
            client = HttpClient(idle_timeout_s=10.0)
            stack.callback(client.close)
            stack.callback(git.close)
            return Batch(
                remote,
                client=client,
                access=Access(
                    remote,
                    git=git,
                    token=Token(secret=token, variable="X") if token else None,
                    home=tmp_path,
                    environment=environment,
                ),
                token_fix="run `fetcher login X`",
                scrub=lambda text: text.replace(SECRET, "***"),
                clock=clock,
                now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            )

        yield make


def _json(document: object, status: str = "200 OK") -> Answer:
    return status, [("Content-Type", "application/vnd.git-lfs+json")], json.dumps(document).encode()


def _links(asked: Asked, url: str, **action: Any) -> Answer:
    """An answer with a link for each object of a question."""
    objects = [
        {**each, "actions": {"download": {"href": f"{url}/bytes/{each['oid']}", **action}}}
        for each in json.loads(asked.body)["objects"]
    ]
    return _json({"transfer": "basic", "objects": objects})


def _batches(server: GitServer) -> list[Any]:
    return [json.loads(each.body) for each in server.asked if each.path.endswith("/objects/batch")]


def _read(batch: Batch, start: int = 0, stop: int = len(CONTENT), others: list[Pointer] | None = None) -> bytes:
    buffer = memoryview(bytearray(1000))
    with batch.open(POINTER, lambda: others or [], start, stop) as body:
        content = b""
        while count := body.readinto(buffer):
            content += bytes(buffer[:count])
    return content


def _failing(batch: Batch) -> FetcherError:
    with pytest.raises(FetcherError) as caught:
        _read(batch)
    return caught.value


# --- questions and links -----------------------------------------------------------------


def test_a_question_is_as_git_lfs_asks_it(serve: Any, batch: MakeBatch) -> None:
    """Its media type, one way of transfer, a hundred objects at a time, the wanted one first."""
    server = serve(lambda asked: _links(asked, server.url) if asked.body else ("200 OK", [], CONTENT))
    assert _read(batch(server.url), others=OTHERS) == CONTENT
    question = server.asked[0]
    assert (question.method, question.path) == ("POST", "/owner/model.git/info/lfs/objects/batch")
    assert question.headers["accept"] == "application/vnd.git-lfs+json"
    wanted = [POINTER, *OTHERS[:99]]
    assert json.loads(question.body) == {
        "operation": "download",
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": each.sha256, "size": each.size} for each in wanted],
    }


def test_a_link_is_asked_for_once_until_it_expires(serve: Any, batch: MakeBatch) -> None:
    """A large file has many parts, and a signed link an hour."""
    server = serve(lambda asked: _links(asked, server.url, expires_in=100) if asked.body else ("200 OK", [], CONTENT))
    time = [0.0]
    asking = batch(server.url, clock=lambda: time[0])
    for time[0], questions in [(0.0, 1), (94.0, 1), (96.0, 2), (100.0, 2)]:
        _read(asking)
        assert len(_batches(server)) == questions, time


@pytest.mark.parametrize(
    ("expiry", "good_s"),
    [
        ({"expires_in": 60}, 55),
        ({"expires_at": "2026-01-01T00:01:00Z"}, 55),
        ({"expires_at": "2026-01-01T02:01:00.123+02:00"}, 55.123),
        ({"expires_at": "0001-01-01T00:00:00Z"}, 3595),
        ({"expires_at": "soon"}, 3595),
        ({"expires_at": "2025-01-01T00:00:00Z"}, 0),
        ({"expires_in": 10**9}, 3595),
        ({"expires_in": -1}, 3595),
        ({}, 3595),
    ],
)
def test_every_way_to_say_when_a_link_ends_is_read(
    serve: Any, batch: MakeBatch, expiry: dict[str, Any], good_s: float
) -> None:
    """Seconds, a time with its zone, Go's zero time, nothing."""
    server = serve(lambda asked: _links(asked, server.url, **expiry) if asked.body else ("200 OK", [], CONTENT))
    time = [0.0]
    asking = batch(server.url, clock=lambda: time[0])
    _read(asking)
    time[0] = good_s - 0.01
    if good_s > 1:
        _read(asking)
        assert len(_batches(server)) == 1
    time[0] = good_s + 0.01
    _read(asking)
    assert len(_batches(server)) == 2


def test_a_link_that_is_refused_is_asked_for_again_once(serve: Any, batch: MakeBatch) -> None:
    """Its signature may have ended early; a new link that is refused at once is an error."""
    good = ["1"]

    def answer(asked: Asked) -> Answer:
        if asked.body:
            return _links(asked, server.url, header={"X-Try": good[0]})
        return ("200 OK", [], CONTENT) if asked.headers["x-try"] == good[0] else ("403 No", [], b"")

    server = serve(answer)
    asking = batch(server.url)
    assert _read(asking) == CONTENT
    good[0] = "2"
    assert _read(asking) == CONTENT
    assert len(_batches(server)) == 2
    server.before = lambda asked: _links(asked, server.url) if asked.body else ("403 No", [], b"")
    error = _failing(batch(server.url))
    assert isinstance(error, AuthError)
    host = server.url.removeprefix("http://")
    assert (error.what, error.facts) == (f"{host} refuses its own link to a large file.", ("answer: 403",))


# --- secrets -----------------------------------------------------------------------------


def test_a_token_is_for_the_server_and_a_link_s_headers_are_for_the_link(serve: Any, batch: MakeBatch) -> None:
    """Neither the storage behind a redirect nor the storage itself sees what is not its own."""
    behind = serve(lambda asked: ("200 OK", [], CONTENT))
    storage = serve(lambda asked: ("302 Found", [("Location", f"{behind.url}/x")], b""))
    header = {"Authorization": f"Storage {LINK_SECRET}", "X-Own": "1"}
    server = serve(lambda asked: _links(asked, storage.url, header=header))
    assert _read(batch(server.url, token=SECRET)) == CONTENT
    assert server.asked[0].headers["authorization"] == basic(SECRET)
    (link,) = storage.asked
    assert (link.headers["authorization"], link.headers["x-own"]) == (f"Storage {LINK_SECRET}", "1")
    (last,) = behind.asked
    assert not last.headers.keys() & {"authorization", "x-own"}


def test_a_question_is_redirected_with_its_body_and_without_its_token(serve: Any, batch: MakeBatch) -> None:
    """To another port is to another server; 302 would make it a GET, which is no question."""
    behind = serve(lambda asked: _links(asked, behind.url) if asked.body else ("200 OK", [], CONTENT))
    location = [("Location", f"{behind.url}/owner/model.git/info/lfs/objects/batch")]
    server = serve(lambda asked: ("307 There", location, b""))
    assert _read(batch(server.url, token=SECRET)) == CONTENT
    assert "authorization" in server.asked[0].headers
    assert "authorization" not in behind.asked[0].headers
    assert behind.asked[0].body == server.asked[0].body
    server.before = lambda asked: ("302 There", location, b"")
    error = _failing(batch(server.url, token=SECRET))
    assert error.what == f"{server.url.removeprefix('http://')} does not answer where large files are."
    assert error.facts == ("answer: 302", "path: /owner/model.git/info/lfs/objects/batch")


def test_headers_that_are_not_the_server_s_business_are_not_sent() -> None:
    """They would change which bytes come, or whose they are."""
    told = {"Host": "a", "Range": "b", "Content-Length": "1", "TE": "x", "Proxy-Authorization": "c", "X-Amz-Date": "d"}
    assert checked_headers(told) == {"X-Amz-Date": "d"}
    for wrong in ({"a b": "c"}, {"a": "b\r\nc: d"}, {"a": 1}, {"é": "b"}, ["a"]):
        with pytest.raises(ValueError):
            checked_headers(wrong)


def test_credentials_are_tried_one_after_the_other(serve: Any, batch: MakeBatch, tmp_path: Path) -> None:
    """The token of the source, ~/.netrc, git's helpers; what was accepted is kept."""

    def answer(asked: Asked) -> Answer:
        if not asked.body:
            return "200 OK", [], CONTENT
        good = asked.headers.get("authorization") == basic("from-helper", "helped")
        return _links(asked, server.url) if good else ("401 No", [], b"")

    server = serve(answer)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login net password from-netrc\n", encoding="utf-8")
    (tmp_path / ".gitconfig").write_text(
        '[credential]\n\thelper = "!f() { test $1 = get && echo username=helped && echo password=from-helper; }; f"\n',
        encoding="utf-8",
    )
    asking = batch(server.url, token=SECRET)
    assert _read(asking) == CONTENT
    tried = [each.headers.get("authorization") for each in server.asked if each.body]
    assert tried == [basic(SECRET), basic("from-netrc", "net"), basic("from-helper", "helped")]
    server.asked.clear()
    asking.open(OTHERS[0], list, 0, 7).close()
    assert [each.headers.get("authorization") for each in server.asked if each.body] == [tried[-1]]


def test_a_token_may_name_its_user(serve: Any, batch: MakeBatch) -> None:
    """Some hosts want another one than `oauth2`."""
    server = serve(lambda asked: _links(asked, server.url) if asked.body else ("200 OK", [], CONTENT))
    _read(batch(server.url, token=f"me:{SECRET}"))
    assert server.asked[0].headers["authorization"] == basic(SECRET, "me")


# --- answers that are errors -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "kind", "what", "said"),
    [
        (
            {"code": 404, "message": f"gone {SECRET}"},
            NotFoundError,
            "does not have a large file that its repository points at.",
            "answer: 404, 'gone ***'",
        ),
        (
            {"code": 410, "message": ""},
            NotFoundError,
            "does not have a large file that its repository points at.",
            "answer: 410",
        ),
        ({"code": 403}, AuthError, "does not give a large file without another token.", "answer: 403"),
        ({"code": 500, "message": "x"}, SourceError, "cannot give a large file.", "answer: 500, 'x'"),
    ],
)
def test_an_object_s_trouble_is_the_error_that_it_means(
    serve: Any, batch: MakeBatch, trouble: dict[str, Any], kind: type[FetcherError], what: str, said: str
) -> None:
    """Each object of an answer has its own."""
    server = serve(lambda asked: _json({"objects": [{"oid": POINTER.sha256, "size": 1, "error": trouble}]}))
    error = _failing(batch(server.url))
    assert type(error) is kind
    assert error.what == f"{server.url.removeprefix('http://')} {what}"
    assert error.facts == (f"object: sha256 {POINTER.sha256}, {POINTER.size} bytes", said)


@pytest.mark.parametrize(
    ("status", "kind", "what"),
    [
        ("401 No", AuthError, "does not say where large files are without a token that may read them."),
        ("404 No", NotFoundError, "has no git-lfs for this repository, or does not show it without a token."),
        ("413 No", SourceError, "does not answer where large files are."),
        ("503 No", SourceError, "cannot answer at the moment."),
    ],
)
def test_a_refused_question_is_the_error_that_it_means(
    serve: Any, batch: MakeBatch, status: str, kind: type[FetcherError], what: str
) -> None:
    """With the server's message, and without our token in it."""
    server = serve(lambda asked: _json({"message": f"because of {SECRET}"}, status))
    error = _failing(batch(server.url, token=SECRET))
    assert type(error) is kind
    assert error.what == f"{server.url.removeprefix('http://')} {what}"
    assert SECRET not in str(error)
    if status != "503 No":
        assert error.facts[0] == f"answer: {status[:3]}, 'because of ***'"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "reason: it is no object of JSON"),
        ({}, "reason: objects: Field required"),
        ({"objects": [{"oid": "0" * 64}]}, "reason: it speaks of objects that were not asked for"),
        ({"objects": [], "transfer": "tus"}, "reason: it wants another way of transfer than was asked for"),
        ({"objects": [], "hash_algo": "md5"}, "reason: it wants another way of transfer than was asked for"),
        (
            {"objects": [{"oid": POINTER.sha256, "actions": {"download": {"href": "file:///etc/passwd"}}}]},
            "reason: its link leads to another kind of address than http(s), or out of TLS",
        ),
        (
            {
                "objects": [
                    {"oid": POINTER.sha256, "actions": {"download": {"href": "http://x/", "header": {"a": "\n"}}}}
                ]
            },
            "reason: its link has headers of which one is wrong: a header that cannot be sent",
        ),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(serve: Any, batch: MakeBatch, document: object, reason: str) -> None:
    """What is not understood is an error, never a guess."""
    server = serve(lambda asked: _json(document))
    error = _failing(batch(server.url))
    assert isinstance(error, SourceError)
    assert not error.transient
    assert error.what.endswith(" answers questions for large files in a way that is not understood.")
    assert error.facts == (reason,)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "objects",
                        "oid",
                        "actions",
                        "download",
                        "href",
                        "header",
                        "error",
                        "code",
                        "expires_in",
                        "expires_at",
                        "transfer",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_the_answer_there_is_a_link_or_an_error(document: object) -> None:
    """Answers come from strangers."""
    remote = Remote.parse("http://127.0.0.1/owner/model", shown="it")
    asking = Batch(
        remote,
        client=_Says(document),  # type: ignore[arg-type]
        access=_Anybody(),  # type: ignore[arg-type]
        token_fix="",
        scrub=str,
    )
    with pytest.raises(FetcherError):
        asking.open(POINTER, list, 0, 1)


class _Anybody:
    """Access to a server that asks for nothing."""

    def places(self) -> Iterator[Any]:
        from fetcher.sources.git_lfs.access import Place

        yield Place(url="http://127.0.0.1/lfs")


class _Says:
    """A client of a server that says one thing, and has no bytes."""

    def __init__(self, document: object) -> None:
        self._content = json.dumps(document).encode()

    def post(self, url: str, content: bytes, **options: Any) -> Any:
        from fetcher.net.reply import Reply

        return Reply(status=200, host="127.0.0.1", path="/lfs", content=self._content)

    def require_public(self, asked: str, there: str) -> None: ...

    def open_range(self, url: str, **options: Any) -> Any:
        raise NotFoundError("no bytes")
