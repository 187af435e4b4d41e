"""What is asked for ahead comes as if it had been asked for in its turn."""

import contextlib
import random
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.errors import SourceError
from fetcher.net.credentials import Credential
from fetcher.net.http import HttpClient
from tests.net.test_lane import MARK, outcome
from tests.net.wire import CUT, Piece, Wire, reply, trusting

SIZES = (0, 1, 700, 9_000, 70_000, 200_000)
FILES = {f"/{number}": random.Random(number).randbytes(size) for number, size in enumerate(SIZES)}


class Together(Wire):
    """Answers one request, then nothing before `count` more have come, then all of them in one piece."""

    def __init__(self, count: int) -> None:
        super().__init__(lambda head: [])
        self._count = count
        self.paths: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        """As Listener.serve."""
        with contextlib.suppress(OSError), connection.makefile("rb") as lines:
            for count in (1, self._count):
                asked = [line.split()[1].decode() for line in lines_of_requests(lines, count)]
                self.paths += asked
                connection.sendall(b"".join(reply(FILES[path]) for path in asked))


def lines_of_requests(stream: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The first lines of so many requests."""
    for _ in range(count):
        line = next(stream, b"")
        if not line:
            raise ConnectionError
        yield line
        while next(stream, b"\r\n") != b"\r\n":
            pass


@contextlib.contextmanager
def warmed(wire: Wire, path: str = "/mark", size: int = len(MARK)) -> Iterator[HttpClient]:
    """A client that has a connection to use again."""
    client = HttpClient(idle_timeout_s=5.0, tls=trusting)
    with contextlib.closing(client):
        outcome(client, f"{wire.url}{path}", size)
        yield client


def served(head: bytes) -> list[Piece]:
    path = head.split()[1].decode()
    return [reply(MARK if path == "/mark" else FILES[path])]


def content(client: HttpClient, wire: Wire, path: str) -> object:
    """What is in a file; a server that closes while more was asked may take the end of an answer back."""
    found: tuple[object, ...] = (SourceError,)
    tries = 3
    while found[0] is SourceError and tries:
        found, tries = outcome(client, f"{wire.url}{path}", len(FILES[path])), tries - 1
    return found[-1]


def test_questions_are_sent_before_the_first_answer() -> None:
    """Or this server would never answer."""
    paths = list(FILES)
    with (
        Together(len(paths)) as wire,
        warmed(wire, "/1", 1) as client,
        client.ahead([f"{wire.url}{path}" for path in paths], auth=None),
    ):
        for path in paths:
            assert content(client, wire, path) == FILES[path]
    assert wire.connections == 1
    assert wire.paths == ["/1", *paths]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    foreseen=st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=8),
    asked=st.lists(st.sampled_from(sorted(FILES)), max_size=8),
    cuts=st.lists(st.integers(0, 7), max_size=2),
)
def test_each_file_has_its_own_bytes_whatever_was_foreseen(
    foreseen: list[str], asked: list[str], cuts: list[int]
) -> None:
    """Also where another file is asked for than was foreseen, and where the server ends connections."""
    answers = 0

    def script(head: bytes) -> list[Piece]:
        nonlocal answers
        answers += 1
        return [*served(head), CUT] if answers - 2 in cuts else served(head)

    with Wire(script) as wire, warmed(wire) as client:
        with client.ahead([f"{wire.url}{path}" for path in foreseen], auth=None):
            for path in asked or foreseen:
                assert content(client, wire, path) == FILES[path]
        assert outcome(client, f"{wire.url}/mark", len(MARK))[-1] == MARK


def test_a_host_that_answers_only_the_first_is_asked_ahead_once() -> None:
    """What it left out is asked for again."""
    waiting: list[bool] = []

    class Closing(Wire):
        """Looks before each answer whether more was asked."""

        def _send(self, connection: socket.socket, piece: Piece) -> bool:
            if isinstance(piece, bytes):
                with contextlib.suppress(BlockingIOError):
                    waiting.append(bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)))
            return super()._send(connection, piece)

    def script(head: bytes) -> list[Piece]:
        return served(head) if head.split()[1] == b"/mark" else [*served(head), CUT]

    paths = ["/1", "/2", "/3"]
    with Closing(script) as wire, warmed(wire) as client:
        for _ in range(3):
            outcome(client, f"{wire.url}/mark", len(MARK))
            with client.ahead([f"{wire.url}{path}" for path in paths], auth=None):
                for path in paths:
                    assert content(client, wire, path) == FILES[path]
    assert waiting == [True]  # before the first answer of the first block


def test_a_secret_is_sent_ahead_to_its_own_host_only() -> None:
    """Each question has its own headers, on a connection to its own host."""
    with Wire(served) as own, Wire(served) as other, warmed(own) as client:
        outcome(client, f"{other.url}/mark", len(MARK))
        auth = Credential.bound(own.url, {"Authorization": "Bearer ms-0123-SECRET"})
        urls = [f"{own.url}/1", f"{other.url}/2", f"{own.url}/3"]
        with client.ahead(urls, auth=auth):
            for url in urls:
                path = url[-2:]
                assert outcome(client, url, len(FILES[path]), auth)[-1] == FILES[path]
        assert sum(b"SECRET" in head for head in own.requests) == 2
        assert not any(b"SECRET" in head for head in other.requests)


@pytest.mark.parametrize("read", [0, 1])
def test_no_connection_with_answers_to_come_is_used_again(read: int) -> None:
    """A block may be left early."""
    paths = ["/3", "/4", "/5"]
    with Wire(served) as wire, warmed(wire) as client:
        with (
            contextlib.suppress(KeyboardInterrupt),
            client.ahead([f"{wire.url}{path}" for path in paths], auth=None),
        ):
            for path in paths[:read]:
                content(client, wire, path)
            raise KeyboardInterrupt
        for _ in range(3):
            assert outcome(client, f"{wire.url}/mark", len(MARK))[-1] == MARK
