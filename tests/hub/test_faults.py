"""Each fault of the proxy really happens; a fault that does not happen would prove anything."""

import http.client
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from fetcher.serve.hub import Hub
from tests.hub.faults import (
    FILE,
    LISTING,
    OBJECT,
    Before,
    Corrupt,
    Cut,
    FaultProxy,
    Hangup,
    JsonInstead,
    Lie,
    NoRange,
    RedirectTo,
    Relocate,
    Reset,
    Rule,
    Slow,
    Stall,
    Status,
    TooMany,
    WrongLength,
    WrongRange,
)
from tests.hub.publish import KIB, MIB, Publisher

BIG = "/api/v1/models/o/n/repo?Revision=master&FilePath=big.bin"
SMALL = "/api/v1/models/o/n/repo?Revision=master&FilePath=config.json"
LIST = "/api/v1/models/o/n/repo/files?Revision=master&Recursive=True"
START = Callable[..., FaultProxy]


@pytest.fixture
def tree(publisher: Publisher) -> dict[str, bytes]:
    return publisher.publish("o/n", {"big.bin": 3 * MIB, "config.json": 5000})


def ask(url: str, target: str, **headers: str) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
    """One request on a connection of its own; redirects are not followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", target, headers=headers)
    return connection.getresponse(), connection


def read(url: str, target: str, **headers: str) -> tuple[int, dict[str, str], bytes, bool]:
    """Status, headers, body and whether the body was whole; one redirect is followed."""
    reply, connection = ask(url, target, **headers)
    if reply.status == 302:
        location = reply.getheader("Location") or ""
        reply.read()
        connection.close()
        parts = urlsplit(location)
        reply, connection = ask(f"http://{parts.netloc}", f"{parts.path}?{parts.query}", **headers)
    try:
        body, whole = reply.read(), True
    except http.client.IncompleteRead as cut:
        body, whole = cut.partial, False
    finally:
        connection.close()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}, body, whole


def test_without_a_rule_everything_passes_and_the_cdn_path_too(tree: dict[str, bytes], fault_proxy: START) -> None:
    """A redirect that went past the proxy would escape every fault and every count."""
    proxy = fault_proxy()
    assert read(proxy.url, BIG)[2] == tree["big.bin"]
    assert read(proxy.url, SMALL)[2] == tree["config.json"]
    assert [(seen.status, seen.sent, seen.fault) for seen in proxy.requests] == [
        (302, 0, None),
        (200, 3 * MIB, None),
        (200, 5000, None),
    ]
    assert proxy.bytes_of(OBJECT) == 3 * MIB
    assert proxy.body_bytes[SMALL] == 5000


def test_cut_ends_every_reply_after_so_many_bytes(tree: dict[str, bytes], fault_proxy: START) -> None:
    """The cut must leave exactly those bytes with the client, on every try."""
    proxy = fault_proxy(Rule(OBJECT, Cut(after=MIB)))
    for _ in range(2):
        assert read(proxy.url, BIG)[2:] == (tree["big.bin"][:MIB], False)
    status, headers, body, whole = read(proxy.url, BIG, Range=f"bytes={MIB}-")
    assert (status, headers["content-range"]) == (206, f"bytes {MIB}-{3 * MIB - 1}/{3 * MIB}")
    assert (body, whole) == (tree["big.bin"][MIB : 2 * MIB], False)
    assert proxy.bytes_of(OBJECT) == 3 * MIB


def test_reset_and_hangup_break_the_connection(tree: dict[str, bytes], fault_proxy: START) -> None:
    """A reset and a silent end are other errors to a client than a short body."""
    proxy = fault_proxy(Rule(OBJECT, Reset(after=1000)), Rule(FILE, Hangup(), times=1))
    with pytest.raises(http.client.RemoteDisconnected):
        read(proxy.url, BIG)
    with pytest.raises(ConnectionResetError):
        read(proxy.url, BIG)


def test_stall_keeps_the_connection_open_and_silent(tree: dict[str, bytes], fault_proxy: START) -> None:
    """A stall that ended the connection would be a cut."""
    proxy = fault_proxy(Rule(OBJECT, Stall(after=MIB, seconds=30)))
    reply, connection = ask(proxy.url, BIG)
    target = (reply.getheader("Location") or "").removeprefix(proxy.url)
    connection.close()
    reply, connection = ask(proxy.url, target)
    assert connection.sock is not None
    assert reply.read(MIB) == tree["big.bin"][:MIB]
    connection.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        reply.read(1)
    connection.close()


def test_slow_keeps_to_its_rate(tree: dict[str, bytes], fault_proxy: START) -> None:
    """5000 bytes at 10,000 bytes a second take half a second."""
    proxy = fault_proxy(Rule(FILE, Slow(rate=10_000)))
    began = time.monotonic()
    assert read(proxy.url, SMALL)[2] == tree["config.json"]
    assert 0.4 <= time.monotonic() - began < 5


def test_corrupt_flips_the_byte_of_the_file_not_of_the_reply(tree: dict[str, bytes], fault_proxy: START) -> None:
    """A resumed download must meet the same wrong byte, and only when it covers it."""
    offset = 2 * MIB + 5
    proxy = fault_proxy(Rule(OBJECT, Corrupt(offset=offset)))
    wrong = bytearray(tree["big.bin"])
    wrong[offset] ^= 1
    assert read(proxy.url, BIG)[2] == wrong
    assert read(proxy.url, BIG, Range=f"bytes={MIB}-")[2] == wrong[MIB:]
    assert read(proxy.url, BIG, Range=f"bytes=0-{MIB}")[2] == tree["big.bin"][: MIB + 1]


def test_wrong_length_promises_more_or_less_than_it_sends(tree: dict[str, bytes], fault_proxy: START) -> None:
    """Too long must look like a cut, too short like a whole, shorter file."""
    proxy = fault_proxy(Rule(FILE, WrongLength(delta=7), times=1), Rule(FILE, WrongLength(delta=-7), times=1))
    status, headers, body, whole = read(proxy.url, SMALL)
    assert (status, headers["content-length"], body, whole) == (200, "5007", tree["config.json"], False)
    status, headers, body, whole = read(proxy.url, SMALL)
    assert (status, headers["content-length"], body, whole) == (200, "4993", tree["config.json"][:-7], True)


def test_wrong_range_names_other_bytes_than_it_sends(tree: dict[str, bytes], fault_proxy: START) -> None:
    """The body stays, the header lies."""
    proxy = fault_proxy(Rule(OBJECT, WrongRange(shift=10)))
    status, headers, body, _ = read(proxy.url, BIG, Range="bytes=100-199")
    assert (status, headers["content-range"], body) == (206, f"bytes 110-209/{3 * MIB}", tree["big.bin"][100:200])


def test_no_range_sends_the_whole_file(tree: dict[str, bytes], fault_proxy: START) -> None:
    """As servers do that do not know Range."""
    status, headers, body, _ = read(fault_proxy(Rule(OBJECT, NoRange())).url, BIG, Range="bytes=100-199")
    assert (status, "content-range" in headers, body) == (200, False, tree["big.bin"])


def test_refusals_are_counted_and_then_stop(tree: dict[str, bytes], fault_proxy: START) -> None:
    """`times` must be exact, or a test of retries counts wrong."""
    proxy = fault_proxy(Rule(FILE, TooMany(retry_after=2), times=2), Rule(FILE, Status(502), times=1))
    replies = [read(proxy.url, SMALL)[:2] for _ in range(4)]
    assert [(status, headers.get("retry-after")) for status, headers in replies] == [
        (429, "2"),
        (429, "2"),
        (502, None),
        (200, None),
    ]
    assert [seen.fault for seen in proxy.requests] == ["TooMany", "TooMany", "Status", None]


def test_json_comes_with_status_200_where_bytes_were_due(tree: dict[str, bytes], fault_proxy: START) -> None:
    """The trap that the official client saves as a file."""
    status, headers, body, _ = read(fault_proxy(Rule(FILE, JsonInstead())).url, SMALL)
    assert (status, headers["content-type"], json.loads(body)["Success"]) == (200, "application/json", False)


def test_a_lie_changes_the_listing_and_keeps_its_length_right(tree: dict[str, bytes], fault_proxy: START) -> None:
    """The client must see well-formed JSON with another content."""

    def rename(document: dict[str, dict[str, list[dict[str, str]]]]) -> object:
        document["Data"]["Files"][0]["Path"] = "../x"
        return document

    status, _, body, whole = read(fault_proxy(Rule(LISTING, Lie(rename))).url, LIST)
    paths = [entry["Path"] for entry in json.loads(body)["Data"]["Files"]]
    assert (status, whole, paths) == (200, True, ["../x", "config.json"])


def test_a_branch_moves_between_two_requests(tree: dict[str, bytes], publisher: Publisher, fault_proxy: START) -> None:
    """`skip` lets the first page pass; the second is of another commit."""
    move = Before(lambda: publisher.publish("o/n", {"config.json": b"new"}))
    proxy = fault_proxy(Rule(LISTING, move, skip=1, times=1))
    heads = [json.loads(read(proxy.url, LIST)[2])["Data"]["LatestCommitter"]["ShortId"] for _ in range(3)]
    assert heads[0] != heads[1] == heads[2]


def test_redirects_loop_and_lead_elsewhere(hub: Hub, tree: dict[str, bytes], fault_proxy: START) -> None:
    """A loop leads to the same target; another host sees the headers that a client sends it."""
    other = fault_proxy(host="127.0.0.2")
    proxy = fault_proxy(Rule(FILE, RedirectTo(), times=1), Rule(FILE, Relocate(other.url)))
    reply, connection = ask(proxy.url, BIG)
    assert (reply.status, reply.getheader("Location")) == (302, BIG)
    connection.close()
    assert read(proxy.url, BIG, Authorization="Bearer secret")[2] == tree["big.bin"]
    (seen,) = other.requests
    assert (seen.sent, seen.headers["authorization"]) == (3 * MIB, "Bearer secret")
    assert proxy.count(OBJECT) == 0


def test_a_closed_proxy_lets_go_of_stalled_clients(hub: Hub, tree: dict[str, bytes]) -> None:
    """A test that ends must not wait for its own faults."""
    began = time.monotonic()
    with FaultProxy(hub.url, [Rule(FILE, Stall(after=KIB, seconds=60))]) as proxy:
        _, connection = ask(proxy.url, SMALL)
    connection.close()
    assert time.monotonic() - began < 5
