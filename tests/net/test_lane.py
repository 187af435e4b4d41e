"""The short way to small files is the long way to everybody who looks."""

import gzip
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fetcher.errors import FetcherError, NotFoundError, SourceError
from fetcher.net.credentials import Credential
from fetcher.net.http import HttpClient
from fetcher.net.lane import parse_head
from tests.net.test_body import chunked
from tests.net.wire import CUT, Piece, Wire, reply, trusting

SECRET = "ms-0123-SECRET"
MARK = b"the mark of the next reply"

Outcome = tuple[object, ...]


class Scripted:
    """A server whose next answer is set by the test, for all paths but /warm and /mark."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.wire = Wire(self._answer)

    def _answer(self, head: bytes) -> list[Piece]:
        path = head.split()[1]
        if path in (b"/warm", b"/mark"):
            return [reply(b"warm" if path == b"/warm" else MARK)]
        return self.pieces

    @property
    def requests(self) -> list[bytes]:
        return [head for head in self.wire.requests if head.split()[1] not in (b"/warm", b"/mark")]


@pytest.fixture
def server() -> Iterator[Scripted]:
    scripted = Scripted()
    with scripted.wire:
        yield scripted


@contextmanager
def clients(url: str, idle_timeout_s: float = 5.0) -> Iterator[tuple[HttpClient, HttpClient]]:
    """One that has a connection to use again, and one that has none."""
    warm, cold = (HttpClient(idle_timeout_s=idle_timeout_s, tls=trusting) for _ in range(2))
    assert outcome(warm, f"{url}/warm", 4)[-1] == b"warm"
    yield warm, cold
    warm.close()
    cold.close()


def outcome(client: HttpClient, url: str, size: int, auth: Credential | None = None) -> Outcome:
    """All that a caller sees of a file."""
    found = bytearray()
    try:
        with client.open_range(url, start=0, stop=size, size=size, auth=auth) as body:
            head = body.head
            buffer = memoryview(bytearray(777))
            while count := body.readinto(buffer):
                found += buffer[:count]
    except FetcherError as error:
        return type(error), error.what, bytes(found)  # the library's reason depends on the packets
    return head.status, head.first, head.total, head.length, head.content_type, bytes(found)


# Requests

TEXT = st.text(alphabet=st.sampled_from("abcXYZ019-._~!$&'()*+,;=:@/?%\"<>[]{}|\\^`# é\u4e2d"), max_size=12)
ESCAPED = st.lists(st.sampled_from(["a", "/", ".", "..", "%2F", "%e9", "%", "?", "&x=", "+", "é", " "]), max_size=8)
TAIL = st.one_of(TEXT, ESCAPED.map("".join))
VALUE = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=TAIL, value=st.one_of(st.none(), VALUE), size=st.sampled_from([4, 9]))
def test_a_request_is_byte_for_byte_that_of_the_library(
    server: Scripted, tail: str, value: str | None, size: int
) -> None:
    """Nobody can tell the ways apart; no header of one is missing in the other."""
    server.pieces = [reply(b"1234")]
    url = f"{server.wire.url}/{tail}"
    auth = Credential.bound(url, {"Authorization": value, "Cookie": f"m={value}"}) if value else None
    with clients(server.wire.url) as (warm, cold):
        before = len(server.requests)
        results = [outcome(client, url, size, auth) for client in (warm, cold)]
    sent = server.requests[before:]
    assert results[0] == results[1]
    assert len(set(sent)) <= 1
    assert len(sent) in (0, 2)


def test_the_lane_is_taken(server: Scripted) -> None:
    """Else the tests here compare the library with itself."""
    server.pieces = [reply(b"1234")]
    with clients(server.wire.url) as (warm, _):
        for _ in range(50):
            assert outcome(warm, f"{server.wire.url}/a%20b?c=d", 4)[-1] == b"1234"
    assert server.wire.connections == 1


def test_a_secret_goes_to_its_own_host_only(server: Scripted) -> None:
    """Though both connections are there already."""
    other = Scripted()
    with other.wire, clients(server.wire.url) as (warm, _):
        outcome(warm, f"{other.wire.url}/warm", 4)
        server.pieces = [reply(b"", f"Location: {other.wire.url}/o?auth_key=1", status="302 Found")]
        other.pieces = [reply(b"1234")]
        auth = Credential.bound(server.wire.url, {"Authorization": SECRET})
        assert outcome(warm, f"{server.wire.url}/f", 4, auth)[-1] == b"1234"
        assert (server.wire.connections, other.wire.connections) == (1, 1)
        assert SECRET.encode() in server.requests[-1]
        assert SECRET.encode() not in other.requests[-1]


# Replies

LINES = st.sampled_from(
    [
        b"Content-Length: 5",
        b"Content-Length: 5",
        b"Content-Length: 50",
        b"Content-Length: 0",
        b"Content-Length: 05",
        b"Content-Length: +5",
        b"Content-Length: 5, 5",
        b"Content-Length : 5",
        b"content-length:5",
        b"Content-Length: 5 ",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Content-Encoding: gzip",
        b"Content-Encoding: identity",
        b"Content-Range: bytes 0-4/5",
        b"Content-Range: bytes 0-4/9",
        b"Content-Range: bytes 1-2/9",
        b"Content-Type: Text/HTML; x",
        b"Connection: close",
        b"Connection: keep-alive, foo",
        b"Connection: Keep-Alive",
        b"Upgrade: h2c",
        b"Retry-After: 3",
        b"X: \xe9\x00",
        b" folded",
        b"Location: /mark",
        b"Location: /warm",
        b"Set-Cookie: a=b",
        b"",
        b"garbage",
    ]
)
STATUS = st.sampled_from(
    [b"HTTP/1.1 200 OK"] * 6
    + [
        b"HTTP/1.1 206 Partial",
        b"HTTP/1.1 200",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 302 Found",
        b"HTTP/1.1 404 No",
        b"HTTP/1.1 416 No",
        b"HTTP/1.1 429 Slow",
        b"HTTP/1.1 204 No",
        b"HTTP/1.1 304 No",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 101 Switch",
        b"HTTP/1.1  200 OK",
        b"HTTP/2 200 OK",
        b"http/1.1 200 OK",
        b"HTTP/1.1 600 X",
        b"HTTP/1.1 200 \xff",
        b"",
    ]
)
BODY = st.sampled_from(
    [b"12345"] * 4 + [b"", b"123", b"123456789", b"5\r\n12345\r\n0\r\n\r\n", b"x" * 60, reply(b"forg")]
)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(LINES, max_size=5))
    end = draw(st.sampled_from([b"\r\n"] * 8 + [b"\n"]))
    whole = end.join([draw(STATUS), *lines, b"", b""]) + draw(BODY)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        at = draw(st.integers(0, len(whole)))
        whole = whole[:at] + draw(st.binary(max_size=2)) + whole[at + draw(st.integers(0, 2)) :]
    return whole


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(whole=b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n12345", cut=0.0, is_cut=False)
@example(whole=b"HTTP/1.1 200 OK\n\n12345", cut=0.0, is_cut=False)
@example(whole=b"\r\n12345", cut=0.0, is_cut=False)
@given(whole=replies(), cut=st.floats(0, 1), is_cut=st.sampled_from([True] * 7 + [False]))
def test_an_answer_is_what_the_library_makes_of_the_same_bytes(
    server: Scripted, whole: bytes, cut: float, is_cut: bool
) -> None:
    """Whatever a server sends; and the next reply on the client is the next reply, never what is left of this."""
    at = int(cut * len(whole))
    server.pieces = [piece for piece in (whole[:at], whole[at:]) if piece] + ([CUT] if is_cut else [])
    with clients(server.wire.url, idle_timeout_s=5.0 if is_cut else 0.5) as (warm, cold):
        seen = [outcome(client, f"{server.wire.url}/f", 5) for client in (warm, cold)]
        assert seen[0] == seen[1]
        for client in (warm, cold):
            assert outcome(client, f"{server.wire.url}/mark", len(MARK))[-1] == MARK
            assert client.get(f"{server.wire.url}/mark").content == MARK


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(whole=reply(b"12345"), cut=0.5, is_cut=False)
@example(whole=reply(b"12345", "Content-Range: bytes 0-4/9"), cut=1.0, is_cut=False)
@given(whole=replies(), cut=st.floats(0, 1), is_cut=st.sampled_from([True] * 7 + [False]))
def test_what_comes_whole_is_what_the_library_makes_of_the_same_bytes(
    server: Scripted, whole: bytes, cut: float, is_cut: bool
) -> None:
    """Or it is nothing, and then the one reply is judged as if this had not been tried."""
    at = int(cut * len(whole))
    server.pieces = [piece for piece in (whole[:at], whole[at:]) if piece] + ([CUT] if is_cut else [])
    with clients(server.wire.url, idle_timeout_s=5.0 if is_cut else 0.5) as (warm, cold):
        data = warm.whole(f"{server.wire.url}/f", size=5, auth=None)
        expected = outcome(cold, f"{server.wire.url}/f", 5)
        if data is not None:
            assert (expected[0], expected[1], expected[-1]) == (200, None, data)
        else:
            assert outcome(warm, f"{server.wire.url}/f", 5) == expected
        assert warm.whole(f"{server.wire.url}/mark", size=len(MARK), auth=None) in (None, MARK)
        assert warm.get(f"{server.wire.url}/mark").content == MARK


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \xe9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rB: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\na: c\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 99 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n",
    ],
)
def test_a_doubtful_head_is_left_to_the_library(head: bytes) -> None:
    """Two readers that differ about a head differ about where its body ends."""
    assert parse_head(head) is None


def test_a_plain_head_is_read() -> None:
    """Names in lower case, values without the space around them."""
    head = b"HTTP/1.1 206 Some Thing\r\nContent-Length:  5 \r\nX-Empty:\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n"
    assert parse_head(head) == (206, {"content-length": "5", "x-empty": "", "set-cookie": "b"})


def test_a_refusal_is_not_asked_for_twice(server: Scripted) -> None:
    """A host that asks to wait must not be asked again at once by another way."""
    server.pieces = [reply(b'{"Code": 1}', "Retry-After: 7", status="429 Slow")]
    with clients(server.wire.url) as (warm, _):
        with pytest.raises(SourceError) as caught:
            warm.open_range(f"{server.wire.url}/f", start=0, stop=5, size=5)
        assert caught.value.retry_after_s == 7.0
        assert len(server.requests) == 1
        server.pieces = [reply(b'{"Code": 2}', status="404 No")]
        with pytest.raises(NotFoundError, match="code 2"):
            warm.open_range(
                f"{server.wire.url}/f",
                start=0,
                stop=5,
                size=5,
                explain=lambda said: NotFoundError(f"code {said.json()['Code']}"),
            )
        assert len(server.requests) == 2
        assert server.wire.connections == 1


@pytest.mark.parametrize(
    "said", [reply(b"1234567", status="404 No"), reply(b"123"), reply(b"", "Location: /mark", status="302 Found"), 9.0]
)
def test_a_reply_that_is_not_taken_whole_is_not_asked_for_again(server: Scripted, said: Piece) -> None:
    """A refusal, another length, a redirect, silence: one question, whichever way reads the reply."""
    server.pieces = [said]
    with clients(server.wire.url, idle_timeout_s=0.3) as (warm, cold):
        assert warm.whole(f"{server.wire.url}/f", size=5, auth=None) is None
        found = outcome(warm, f"{server.wire.url}/f", 5)
        assert len(server.requests) == 1
        assert found == outcome(cold, f"{server.wire.url}/f", 5)


def test_what_is_left_of_one_question_is_no_answer_to_another(server: Scripted) -> None:
    """Not even where the other one is about the same file."""
    server.pieces = [reply(b"123456", status="404 No")]
    with clients(server.wire.url) as (warm, _):
        assert warm.whole(f"{server.wire.url}/f", size=5, auth=None) is None
        server.pieces = [reply(b"12345")]
        assert outcome(warm, f"{server.wire.url}/g", 5)[-1] == b"12345"
        assert warm.whole(f"{server.wire.url}/f", size=5, auth=None) == b"12345"


def test_a_file_that_comes_too_slowly_is_not_waited_for(server: Scripted) -> None:
    """The long way knows how slow is too slow; the host is not tried this way again."""
    server.pieces = [reply(b"1", length=5), 0.3, b"2", 0.3, b"3", 0.3, b"4", 0.3, b"5"]
    with clients(server.wire.url, idle_timeout_s=0.5) as (warm, _):
        assert warm.whole(f"{server.wire.url}/f", size=5, auth=None) is None
        assert warm.whole(f"{server.wire.url}/mark", size=len(MARK), auth=None) is None
    assert len(server.requests) == 1


def test_who_waits_for_a_whole_file_can_be_woken(server: Scripted) -> None:
    """As at the end of a run."""
    asked = threading.Event()

    def stall() -> Iterator[Piece]:
        yield reply(b"1", length=5)
        asked.set()
        yield 30.0

    server.pieces = stall()  # type: ignore[assignment]
    found: list[bytes | None] = [b""]
    with clients(server.wire.url, idle_timeout_s=60.0) as (warm, _):
        reader = threading.Thread(target=lambda: found.append(warm.whole(f"{server.wire.url}/f", size=5, auth=None)))
        reader.start()
        assert asked.wait(10)
        while reader.is_alive():
            warm.wake()
            reader.join(0.05)
    assert found[-1] is None


def test_a_host_that_often_answers_otherwise_is_left_to_the_library(server: Scripted) -> None:
    """Each question would be asked twice."""
    server.pieces = [chunked(b"12345")]
    with clients(server.wire.url) as (warm, _):
        for _ in range(20):
            assert outcome(warm, f"{server.wire.url}/f", 5)[-1] == b"12345"
            assert outcome(warm, f"{server.wire.url}/warm", 4)[-1] == b"warm"
    assert 20 < len(server.requests) <= 25


def test_a_reply_with_more_than_it_announced_ends_its_connection(server: Scripted) -> None:
    """The rest of the surplus may still be on its way."""
    server.pieces = [reply(b"12345") + b"HTTP/1.1 "]
    with clients(server.wire.url) as (warm, _):
        assert outcome(warm, f"{server.wire.url}/f", 5)[-1] == b"12345"
        assert outcome(warm, f"{server.wire.url}/mark", len(MARK))[-1] == MARK
    assert server.wire.connections == 3


CHUNKS = b"5\r\n12345\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "whole",
    [
        reply(CHUNKS, "Transfer-Encoding: chunked"),
        reply(gzip.compress(b"12345", mtime=0), "Content-Encoding: gzip"),
        reply(b"12345", "Upgrade: h2c"),
        reply(b"12345", "Content-Range: bytes 0-4/5", status="206 Partial"),
        b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_each_framing_is_understood_alike(server: Scripted, whole: bytes) -> None:
    """At once: nobody waits for bytes that do not come."""
    server.pieces = [whole]
    with clients(server.wire.url) as both:
        begun = time.monotonic()
        seen = [outcome(client, f"{server.wire.url}/f", 5) for client in both]
        assert time.monotonic() - begun < 2
    assert seen[0] == seen[1]


def test_a_server_that_says_that_it_closes_is_believed(server: Scripted) -> None:
    """Though it is slow to do it."""
    server.pieces = [reply(b"12345", "Connection: close")]
    with clients(server.wire.url) as (warm, _):
        assert outcome(warm, f"{server.wire.url}/f", 5)[-1] == b"12345"
        assert outcome(warm, f"{server.wire.url}/mark", len(MARK))[-1] == MARK
    assert server.wire.connections == 2


def test_an_end_before_the_first_byte_is_called_the_same(server: Scripted) -> None:
    """In the words of this program, not of a library."""
    server.pieces = [reply(b"", length=5), CUT]
    with clients(server.wire.url) as both:
        for client in both:
            with (
                client.open_range(f"{server.wire.url}/f", start=0, stop=5, size=5) as body,
                pytest.raises(SourceError) as caught,
            ):
                body.readinto(memoryview(bytearray(5)))
            assert caught.value.facts == ("reason: 5 of 5 bytes are missing",)


@pytest.mark.parametrize("length", [60_000, 90_000, 200_000])
def test_a_long_head_is_bounded(server: Scripted, length: int) -> None:
    """The lane's limit is 64 KiB; what the library says of more is the answer."""
    server.pieces = [reply(b"12345", "X: " + "x" * length)]
    with clients(server.wire.url) as (warm, cold):
        assert outcome(warm, f"{server.wire.url}/f", 5) == outcome(cold, f"{server.wire.url}/f", 5)


def test_a_head_that_never_comes_ends_after_the_idle_limit(server: Scripted) -> None:
    """And is not waited for twice."""
    server.pieces = [30.0]
    with clients(server.wire.url, idle_timeout_s=0.3) as (warm, _):
        with pytest.raises(SourceError) as caught:
            warm.open_range(f"{server.wire.url}/f", start=0, stop=5, size=5)
        assert str(caught.value) == (
            f"{server.wire.host} sent nothing for 0.3 s.\n  fix: run the command again; what was received is kept"
        )
        assert len(server.requests) == 1


def test_many_threads_read_many_files(server: Scripted) -> None:
    """Each gets its own bytes."""
    files = {f"/{index}": random.Random(index).randbytes(index * 37) for index in range(1, 200)}
    wire = Wire(lambda head: [reply(files[head.split()[1].decode()])])
    wrong: list[str] = []

    def check(client: HttpClient, seed: int) -> None:
        for path in random.Random(seed).sample(sorted(files), len(files)):
            if outcome(client, f"{wire.url}{path}", len(files[path]))[-1] != files[path]:
                wrong.append(path)

    with wire:
        client = HttpClient()
        threads = [threading.Thread(target=check, args=(client, seed)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
    assert wrong == []
    assert wire.connections <= 6
