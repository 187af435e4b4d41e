"""Connections that are used again, and those that must not be."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpcore
import pytest

from fetcher.errors import SourceError
from fetcher.net.http import HttpClient
from fetcher.net.parking import Connection, ParkingLot, Route
from tests.net.proxy import Proxy
from tests.net.test_body import chunked
from tests.net.wire import CUT, RESET, Piece, Wire, reply, trusting

DATA = random.Random(3).randbytes(256 * 5000)
PART = 5000

Start = Callable[..., Wire]
WIRES = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(idle_timeout_s=5.0, tls=trusting)
    yield client
    client.close()


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda script, **more: stack.enter_context(Wire(script, **more))


def part_of(head: bytes, data: bytes = DATA) -> bytes:
    """The reply to a ranged request."""
    asked = head.partition(b"Range: bytes=")[2].partition(b"\r\n")[0]
    first, last = (int(number) for number in asked.split(b"-"))
    body = data[first : last + 1]
    return reply(body, f"Content-Range: bytes {first}-{last}/{len(data)}", status="206 Partial Content")


def redirecting(url: str) -> bytes:
    return reply(b"<a>over there</a>", f"Location: {url}", status="302 Found")


def read(client: HttpClient, url: str, start: int = 0, stop: int = PART, size: int = len(DATA)) -> bytes:
    with client.open_range(url, start=start, stop=stop, size=size) as body:
        buffer, found = memoryview(bytearray(70_001)), bytearray()
        while count := body.readinto(buffer):
            found += buffer[:count]
        return bytes(found)


def read_parts(client: HttpClient, url: str, count: int = 256) -> None:
    for at in range(0, count * PART, PART):
        assert read(client, url, at, at + PART) == DATA[at : at + PART]


# Used again


@WIRES
def test_256_parts_need_few_connections(client: HttpClient, start: Start, tls: bool) -> None:
    """Each connection costs two or three round trips on a wide link."""
    server = start(lambda head: [part_of(head)], tls=tls)
    read_parts(client, f"{server.url}/file")
    assert server.connections == 1


def test_256_parts_by_a_redirect_need_one_connection_to_each_host(client: HttpClient, start: Start) -> None:
    """Hub and CDN: the hub is asked anew for each part, because its links expire."""
    cdn = start(lambda head: [part_of(head)])
    hub = start(lambda head: [redirecting(f"{cdn.url}/object?auth_key=1%2F2")])
    read_parts(client, f"{hub.url}/file?x=1")
    assert (hub.connections, cdn.connections) == (1, 1)
    assert (len(hub.requests), len(cdn.requests)) == (256, 256)


def test_several_threads_need_as_many_connections(client: HttpClient, start: Start) -> None:
    """What one thread leaves, another may take; when they are gone, the next ones go on with theirs."""
    server = start(lambda head: [part_of(head)])
    for _ in range(3):
        threads = [threading.Thread(target=read_parts, args=(client, f"{server.url}/f", 40)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.requests) == 3 * 4 * 40
    assert server.connections <= 4


def test_bytes_that_came_with_the_head_and_those_after_it(client: HttpClient, start: Start) -> None:
    """Whatever the packets, the end is the same."""

    def script(head: bytes) -> list[Piece]:
        whole = part_of(head)
        at = random.Random(len(server.requests)).randrange(1, len(whole))
        return [whole[:at], 0.001, whole[at:]]

    server = start(script)
    read_parts(client, f"{server.url}/file", 60)
    assert server.connections == 1


# Not used again


def test_a_body_that_is_closed_early_never_parks(client: HttpClient, start: Start) -> None:
    """Its bytes would be taken for the next reply's."""
    server = start(lambda head: [part_of(head)])
    read(client, f"{server.url}/file")
    for index in range(5):
        with client.open_range(f"{server.url}/file", start=0, stop=PART, size=len(DATA)) as body:
            body.readinto(memoryview(bytearray(PART - 1)))
        assert read(client, f"{server.url}/file", PART, 2 * PART) == DATA[PART : 2 * PART]
        assert server.connections == 2 + index


@pytest.mark.parametrize("end", [CUT, RESET])
@WIRES
def test_a_server_that_closes_after_each_reply(client: HttpClient, start: Start, end: str, tls: bool) -> None:
    """It need not say so; the next request meets a closed connection, or one that closes just then."""
    server = start(lambda head: [part_of(head), end] if end == CUT else [part_of(head), 0.02, end], tls=tls)
    read_parts(client, f"{server.url}/file", 30)
    assert server.connections <= 31


def test_a_server_that_says_that_it_closes_is_believed(client: HttpClient, start: Start) -> None:
    """No request is sent in vain."""
    server = start(lambda head: [part_of(head).replace(b"\r\n", b"\r\nConnection: Close\r\n", 1)])
    read_parts(client, f"{server.url}/file", 5)
    assert (server.connections, len(server.requests)) == (5, 5)


@WIRES
@pytest.mark.parametrize("wait_s", [0.0, 0.05])
def test_bytes_after_the_end_of_a_reply_end_its_connection(
    client: HttpClient, start: Start, wait_s: float, tls: bool
) -> None:
    """Sent with the last bytes or after them; at once by the library or later by the lane."""
    forged = reply(b"forged" * 1000, "Content-Range: bytes 0-4999/1280000", status="206 X")
    server = start(lambda head: [part_of(head) + forged] if wait_s == 0 else [part_of(head), forged], tls=tls)
    for at in range(0, 10 * PART, PART):
        assert read(client, f"{server.url}/file", at, at + PART) == DATA[at : at + PART]
        time.sleep(wait_s)
    assert server.connections == 10


def test_bytes_after_a_reply_that_the_library_read_end_its_connection(client: HttpClient, start: Start) -> None:
    """It would take them for the answer to the next question."""
    server = start(lambda head: [reply(b'"right"') + reply(b'"wrong"')])
    assert [client.get_json(f"{server.url}/x") for _ in range(4)] == ["right"] * 4
    assert server.connections == 4


def test_bytes_after_a_chunked_reply_end_its_connection(client: HttpClient, start: Start) -> None:
    """Its end stands in its bytes, not in its head."""
    server = start(lambda head: [chunked(b'"right"') + reply(b'"wrong"')])
    assert [client.get_json(f"{server.url}/x") for _ in range(4)] == ["right"] * 4
    assert server.connections == 4


def test_a_chunked_reply_alone_keeps_its_connection(client: HttpClient, start: Start) -> None:
    """Hubs answer listings like that."""
    text = b'"' + b"x" * 200_000 + b'"'
    server = start(lambda head: [chunked(text)])
    assert [client.get(f"{server.url}/x").content for _ in range(4)] == [text] * 4
    assert server.connections == 1


def test_a_large_body_that_is_closed_in_the_middle_never_parks(client: HttpClient, start: Start) -> None:
    """Though its bytes came from the socket itself, and nothing waits there: the rest is on its way."""
    sent = (1 << 20) + (1 << 16)
    data = (DATA * 3)[:sent] + reply(b"forged")
    server = start(lambda head: [reply(data[:sent], length=len(data)), 0.3, data[sent:]])
    for _ in range(3):
        with client.open_range(f"{server.url}/f", start=0, stop=len(data), size=len(data)) as body:
            assert body.head.length == len(data)
            found = bytearray()
            buffer = memoryview(bytearray(1 << 16))
            while len(found) < sent:
                found += buffer[: body.readinto(buffer[: sent - len(found)])]
            assert bytes(found) == data[:sent]
    assert server.connections == 3


def test_a_request_that_dies_unheard_is_sent_once_more(client: HttpClient, start: Start) -> None:
    """The library's connections too: a server closes an idle one at any moment."""

    def script(head: bytes) -> list[Piece]:
        return [reply(b"1")] if server.requests.count(head) % 2 else [CUT]

    server = start(script)
    assert [client.get_json(f"{server.url}/x") for _ in range(4)] == [1] * 4
    assert server.connections == 4


def test_a_request_that_dies_on_a_new_connection_is_an_error(client: HttpClient, start: Start) -> None:
    """It may be the request that kills the server; the engine decides about more tries."""
    server = start(lambda head: [CUT])
    with pytest.raises(SourceError, match="closed the connection early"):
        client.get_json(f"{server.url}/x")
    assert len(server.requests) == 1


def test_a_request_that_was_heard_in_part_is_an_error(client: HttpClient, start: Start) -> None:
    """A byte of a reply came: the server has begun to answer."""

    def script(head: bytes) -> list[Piece]:
        return [reply(b"1")] if len(server.requests) == 1 else [b"HTTP/1.1 200", 0.05, CUT]

    server = start(script)
    client.get_json(f"{server.url}/x")
    with pytest.raises(SourceError):
        client.get_json(f"{server.url}/x")
    assert len(server.requests) == 2


def test_closing_the_client_closes_what_is_parked(start: Start) -> None:
    """No descriptor is left, and what ends later is not parked any more."""
    server = start(lambda head: [part_of(head)])
    client = HttpClient()
    read(client, f"{server.url}/file")
    late = client.open_range(f"{server.url}/file", start=0, stop=PART, size=len(DATA))
    client.close()
    while late.readinto(memoryview(bytearray(999))):
        pass
    late.close()
    read(client, f"{server.url}/file")
    read(client, f"{server.url}/file")
    assert server.connections == 3


# Proxies


def test_a_tunnel_is_used_again(client: HttpClient, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the TLS of its far end; one CONNECT for all parts."""
    server = start(lambda head: [part_of(head)], tls=True)
    with Proxy(server.host) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:word@{proxy.host}")
        read_parts(client, "https://localhost/file", 50)
        assert proxy.connections == 1
        assert [head.split(b"\r\n")[0] for head in proxy.heads] == [b"CONNECT localhost:443 HTTP/1.1"]
        assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n" in proxy.heads[0]
    assert not any(b"Proxy-Authorization" in head for head in server.requests), "a secret of the proxy's"
    assert server.connections == 1


def test_a_forward_proxy_s_connection_is_used_again(
    client: HttpClient, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked with whole URLs and with its password, each time in the same words."""
    server = start(lambda head: [part_of(head)])
    with Proxy(server.host) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:word@{proxy.host}")
        for _ in range(20):
            assert read(client, "http://hub.invalid:81/a/b?c=d") == DATA[:PART]
        assert proxy.connections == 1
        assert len(set(proxy.heads)) == 1
        assert proxy.heads[0].startswith(b"GET http://hub.invalid:81/a/b?c=d HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n" in proxy.heads[0]


def test_a_proxy_s_connection_is_not_used_for_another_host(
    client: HttpClient, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a forward proxy would take it: who is behind a tunnel must be certain."""
    server = start(lambda head: [part_of(head)], tls=True)
    with Proxy(server.host) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        read(client, "https://localhost/file")
        read(client, "https://127.0.0.1/file")
        assert [head.split()[1] for head in proxy.heads] == [b"localhost:443", b"127.0.0.1:443"]


# The lot itself


def _pair(lot_of: list[socket.socket], name: str = "h") -> Connection:
    ours, theirs = socket.socketpair()
    lot_of += [ours, theirs]

    class Stream(httpcore.NetworkStream):
        def close(self) -> None:
            ours.close()

        def get_extra_info(self, info: str) -> object:
            ours.setblocking(False)
            try:
                ours.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return False
            return True

    return Connection(origin=("http", name, 80), sock=ours, route=Route(), stream=Stream())


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for each in made:
        each.close()


def test_the_newest_connection_is_taken_first(sockets: list[socket.socket]) -> None:
    """The others may go idle and end."""
    lot = ParkingLot()
    first, second, other = _pair(sockets), _pair(sockets), _pair(sockets, "other")
    for each in (first, second, other):
        lot.park(each)
    assert lot.take(("http", "h", 80)) is second
    assert lot.take(("http", "h", 80)) is first
    assert lot.take(("http", "h", 80)) is None
    assert lot.take(("https", "other", 80)) is None
    assert lot.take(("http", "other", 80)) is other


def test_only_so_many_are_parked(sockets: list[socket.socket]) -> None:
    """The oldest makes room, whoever its host is."""
    lot = ParkingLot(most=2)
    made = [_pair(sockets, name) for name in "abc"]
    for each in made:
        lot.park(each)
    assert made[0].sock.fileno() == -1
    assert [lot.take(("http", name, 80)) for name in "abc"] == [None, made[1], made[2]]


def test_a_connection_that_was_idle_for_long_is_closed(sockets: list[socket.socket]) -> None:
    """Boxes in between forget it without a word."""
    now = [0.0]
    lot = ParkingLot(idle_s=60.0, clock=lambda: now[0])
    old, new = _pair(sockets), _pair(sockets)
    lot.park(old)
    now[0] = 61.0
    lot.park(new)
    assert lot.take(("http", "h", 80)) is new
    assert lot.take(("http", "h", 80)) is None
    assert old.sock.fileno() == -1


@pytest.mark.parametrize("data", [b"", b"more"])
def test_a_connection_on_which_something_came_is_closed(sockets: list[socket.socket], data: bytes) -> None:
    """Its end, or bytes that nobody asked for."""
    lot = ParkingLot()
    connection = _pair(sockets)
    lot.park(connection)
    sockets[1].sendall(data) if data else sockets[1].close()
    assert lot.take(("http", "h", 80)) is None
    assert connection.sock.fileno() == -1


def test_a_closed_lot_takes_nothing(sockets: list[socket.socket]) -> None:
    """A reply that ends after `close`."""
    lot = ParkingLot()
    early, late = _pair(sockets), _pair(sockets)
    lot.park(early)
    lot.close()
    lot.park(late)
    assert (early.sock.fileno(), late.sock.fileno()) == (-1, -1)
    assert lot.take(("http", "h", 80)) is None
