"""The server on a real socket: keep-alive, Range by sendfile, broken clients, limits, the log."""

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fetcher.errors import ConfigError
from fetcher.serve import hub as hub_module
from fetcher.serve.answers import LINK_LIFETIME_S
from fetcher.serve.hub import Hub, LoggedRequest, serve_folder
from tests.hub.publish import MIB, Publisher

LARGE = "/api/v1/models/o/n/repo?Revision=master&FilePath=large"
SMALL = "/api/v1/models/o/n/repo?Revision=master&FilePath=small"


@pytest.fixture
def tree(publisher: Publisher) -> dict[str, bytes]:
    return publisher.publish("o/n", {"small": b"0123456789", "large": 5 * MIB + 3, "empty": b""})


@contextmanager
def connected(hub: Hub) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(hub.url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)) as connection:
        yield connection


def get(
    connection: http.client.HTTPConnection, target: str, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection.request("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read()


def signed(connection: http.client.HTTPConnection, hub: Hub, target: str = LARGE) -> str:
    """The CDN path that the hub redirects to."""
    status, headers, _ = get(connection, target)
    assert status == 302
    return headers["Location"].removeprefix(hub.url)


def raw(hub: Hub, data: bytes) -> bytes:
    """Everything that the hub answers to these bytes until it closes or is silent."""
    parts = urlsplit(hub.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_one_connection_carries_many_requests(hub: Hub, tree: dict[str, bytes]) -> None:
    """A client with thousands of small files must not pay a connection for each."""
    with connected(hub) as connection:
        get(connection, SMALL)
        first = connection.sock
        for target in ("/nowhere", SMALL, LARGE, "/api/v1/models/no/no", SMALL):
            get(connection, target)
        assert connection.sock is first


def test_large_files_come_from_the_cdn_path_with_ranges(hub: Hub, tree: dict[str, bytes]) -> None:
    """Whole, open, bounded, suffix and none: status, header and bytes."""
    large, size = tree["large"], len(tree["large"])
    with connected(hub) as connection:
        path = signed(connection, hub)
        status, headers, body = get(connection, path)
        assert (status, headers["Content-Range"], body) == (200, None, large)
        for asked, first, last in (
            (f"bytes={MIB}-", MIB, size - 1),
            ("bytes=7-9", 7, 9),
            (f"bytes=7-{10 * size}", 7, size - 1),
            ("bytes=-3", size - 3, size - 1),
        ):
            status, headers, body = get(connection, path, Range=asked)
            assert (status, headers["Content-Range"]) == (206, f"bytes {first}-{last}/{size}")
            assert body == large[first : last + 1]
        status, headers, body = get(connection, path, Range=f"bytes={size}-")
        assert (status, headers["Content-Range"], body) == (416, f"bytes */{size}", b"")
        etag = get(connection, path, Range="bytes=0-0")[1]["ETag"]
        assert get(connection, path, Range="bytes=9-", If_Range=etag)[0] == 206
        assert get(connection, path, Range="bytes=9-", If_Range='"other"')[2] == large


def test_small_files_come_at_once_and_know_bounded_ranges_only(hub: Hub, tree: dict[str, bytes]) -> None:
    """As the gateway of the live hub."""
    with connected(hub) as connection:
        status, headers, body = get(connection, SMALL, Range="bytes=2-5")
        assert (status, headers["Content-Range"], body) == (200, "bytes 2-5/10", b"2345")
        status, headers, body = get(connection, SMALL, Range="bytes=2-")
        assert (status, headers["Content-Range"], body) == (200, None, b"0123456789")
        assert get(connection, SMALL, Range="bytes=10-12")[0] == 416
        assert get(connection, "/models/o/n/resolve/master/small")[2] == b"0123456789"
        assert get(connection, "/models/o/n/resolve/master/empty")[2] == b""


def test_head_tells_what_get_would(hub: Hub, tree: dict[str, bytes]) -> None:
    """Without a body, and the connection stays usable."""
    with connected(hub) as connection:
        path = signed(connection, hub)
        for target, length in ((SMALL, 10), (path, len(tree["large"]))):
            connection.request("HEAD", target)
            reply = connection.getresponse()
            assert (reply.status, reply.getheader("Content-Length"), reply.read()) == (200, str(length), b"")
        assert get(connection, SMALL)[2] == b"0123456789"


def test_an_expired_link_is_refused(start_hub: Callable[..., Hub], tree: dict[str, bytes]) -> None:
    """A client that keeps a signed address must meet this, as on the live CDN."""
    now = [1000.0]
    hub = start_hub(clock=lambda: now[0])
    with connected(hub) as connection:
        path = signed(connection, hub)
        now[0] += LINK_LIFETIME_S + 1
        assert get(connection, path)[0] == 403
        assert get(connection, signed(connection, hub))[2] == tree["large"]


def test_the_redirect_leads_to_where_the_client_came_from(hub: Hub, tree: dict[str, bytes]) -> None:
    """A hub on all interfaces has as many names as it has clients; a forged Host is not echoed."""
    with connected(hub) as connection:
        for host, base in (
            ("shared.lan:8080", "http://shared.lan:8080/"),
            ("[::1]:1", "http://[::1]:1/"),
            ("evil/..", hub.url),
        ):
            assert get(connection, LARGE, Host=host)[1]["Location"].startswith(base)


def test_git_itself_reads_the_refs(hub: Hub, publisher: Publisher, tree: dict[str, bytes]) -> None:
    """The advertisement is judged by git, and a private hub takes `oauth2:TOKEN@`."""
    publisher.tag("o/n", "v1", {"a": b"1"})
    shown = subprocess.run(["git", "ls-remote", f"{hub.url}/o/n.git"], capture_output=True, text=True, check=True)
    refs = dict(reversed(line.split("\t")) for line in shown.stdout.splitlines())
    assert list(refs) == ["HEAD", "refs/heads/master", "refs/tags/v1", "refs/tags/v1^{}"]
    with connected(hub) as connection:
        commits = json.loads(get(connection, "/api/v1/models/o/n/commits?Ref=v1")[2])["Data"]["Commit"]
    assert refs["refs/tags/v1^{}"] == commits[0]["Id"]


def test_git_opens_a_private_hub_with_a_token(start_hub: Callable[..., Hub], tree: dict[str, bytes]) -> None:
    """The form that the guide tells people to use."""
    hub = start_hub(token="ms-1")
    url = hub.url.replace("://", "://oauth2:ms-1@")
    shown = subprocess.run(["git", "ls-remote", f"{url}/o/n.git"], capture_output=True, text=True, check=True)
    assert shown.stdout.count("refs/heads/master") == 1
    wrong = subprocess.run(
        ["git", "ls-remote", f"{url.replace('ms-1', 'no')}/o/n.git"], capture_output=True, check=False
    )
    assert wrong.returncode != 0


def test_clients_that_go_away_do_not_disturb_others(hub: Hub, tree: dict[str, bytes]) -> None:
    """A broken pipe ends its own connection; what was sent is in the log."""
    with connected(hub) as connection:
        path = signed(connection, hub)
        for _ in range(5):
            with connected(hub) as leaving:
                leaving.request("GET", path)
                leaving.getresponse().read(1000)
        assert get(connection, path)[2] == tree["large"]
    sent = [entry.sent for entry in hub.requests if entry.status == 200]
    assert sent[-1] == len(tree["large"])
    assert all(1000 <= count <= len(tree["large"]) for count in sent)


def test_the_log_counts_what_was_sent_not_what_was_asked_for(hub: Hub, publisher: Publisher) -> None:
    """Tests of resuming rely on the figure for a connection that was dropped."""
    publisher.publish("o/huge", {"sparse": b""})
    os.truncate(publisher.root / "o/huge/sparse", 64 * MIB)
    with connected(hub) as connection:
        path = signed(connection, hub, "/models/o/huge/resolve/master/sparse")
        connection.request("GET", path)
        connection.getresponse().read(1000)
    assert hub.requests[-1].status == 200
    assert 1000 <= hub.requests[-1].sent < 64 * MIB


def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(hub: Hub, publisher: Publisher) -> None:
    """The promised length cannot be kept; another reply in its place would be taken for the file."""
    publisher.publish("o/huge", {"sparse": b""})
    os.truncate(publisher.root / "o/huge/sparse", 64 * MIB)
    with connected(hub) as connection:
        path = signed(connection, hub, "/models/o/huge/resolve/master/sparse")
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read(1000)
        os.truncate(publisher.root / "o/huge/sparse", MIB)
        with pytest.raises(http.client.IncompleteRead):
            reply.read()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"DELETE /api/v1/models/o/n HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 70_000), b"414"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nA: %s\r\n\r\n" % (b"b" * 70_000), b"431"),
        (b"POST /api/v1/login HTTP/1.1\r\n\r\n", b"411"),
        (b"POST /api/v1/login HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"411"),
        (b"POST /api/v1/login HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", b"413"),
        (b"POST /api/v1/login HTTP/1.1\r\nContent-Length: 1\r\n\r\n{", b"400"),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", b"404"),
        (b"GET //models/o/n HTTP/1.1\r\n\r\n", b"404"),
    ],
)
def test_nonsense_is_refused_and_bounded(hub: Hub, tree: dict[str, bytes], data: bytes, status: bytes) -> None:
    """Lines, headers and bodies have a limit; nothing ends the server."""
    answer = raw(hub, data)
    assert answer.split(b"\r\n")[0].split(b" ")[1] == status
    with connected(hub) as connection:
        assert get(connection, SMALL)[0] == 200


def test_the_body_of_a_get_is_not_the_next_request(hub: Hub, tree: dict[str, bytes]) -> None:
    """Bytes behind a GET's head must not be taken for another request."""
    inner = b"GET /hidden HTTP/1.1\r\n\r\n"
    answer = raw(hub, b"GET /seen HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(inner), inner))
    assert answer.count(b"HTTP/1.1 404") == 1
    assert [entry.path for entry in hub.requests] == ["/seen"]


def test_connections_beyond_the_limit_get_503_and_return(hub: Hub, tree: dict[str, bytes]) -> None:
    """Each connection has a thread, so their number has a bound; a place that is left is used again."""
    parts = urlsplit(hub.url)
    idle = [
        socket.create_connection((parts.hostname, parts.port), timeout=10) for _ in range(hub_module.MAX_CONNECTIONS)
    ]
    try:
        with connected(hub) as connection:
            assert get(connection, SMALL)[0] == 503
    finally:
        for one in idle:
            one.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connected(hub) as connection:
            status = get(connection, SMALL)[0]
        if status == 200:
            break
    assert status == 200


def test_many_clients_at_once_get_right_bytes(hub: Hub, tree: dict[str, bytes]) -> None:
    """Threads share the library and its hashes."""
    wrong: list[str] = []

    def read() -> None:
        with connected(hub) as connection:
            for _ in range(5):
                body = get(connection, signed(connection, hub))[2]
                if body != tree["large"] or get(connection, SMALL)[2] != tree["small"]:
                    wrong.append("bytes differ")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert hub.library.hashes.files_hashed == 2


def test_the_log_has_every_request_and_no_signature(start_hub: Callable[..., Hub], tree: dict[str, bytes]) -> None:
    """Tests count by it, people read it; a signed address in a log would open the file."""
    lines: list[str] = []
    hub = start_hub(access_log=lines.append)
    with connected(hub) as connection:
        path = signed(connection, hub)
        get(connection, path, Range="bytes=0-9")
        get(connection, SMALL)
    assert hub.requests == [
        LoggedRequest(method="GET", path=LARGE, status=302, sent=0),
        LoggedRequest(method="GET", path=path, status=206, sent=10, range="bytes=0-9"),
        LoggedRequest(method="GET", path=SMALL, status=200, sent=10),
    ]
    assert lines[1] == f"127.0.0.1 GET {path.partition('=')[0]}=... 206 10"
    hub.forget_requests()
    assert hub.requests == []


def test_a_log_line_cannot_be_forged(start_hub: Callable[..., Hub], tree: dict[str, bytes]) -> None:
    """Control characters of a request would write lines or colours of their own on a terminal."""
    lines: list[str] = []
    hub = start_hub(access_log=lines.append)
    raw(hub, b"GET /a\x1b[31m\x07\xadb HTTP/1.1\r\n\r\n")
    assert hub.requests != []
    assert lines == ["127.0.0.1 GET /a%1B[31m%07%ADb 404 119"]


def test_a_closed_hub_ends_open_connections_and_frees_its_port(tree: dict[str, bytes], publisher: Publisher) -> None:
    """A test or a demo that ends must leave nothing behind."""
    hub = Hub(publisher.root)
    with hub, connected(hub) as connection:
        get(connection, SMALL)
        sock = connection.sock
        assert sock is not None
        hub.close()
        assert sock.recv(1) == b""
    port = urlsplit(hub.url).port
    with Hub(publisher.root, port=port or 0) as again:
        assert again.url == hub.url


def test_serve_folder_tells_what_it_publishes(publisher: Publisher, tree: dict[str, bytes]) -> None:
    """All is hashed before the first request; the address in use is an error with its fix."""
    with Hub(publisher.root) as hub:
        port = urlsplit(hub.url).port or 0
        assert list(hub.published()) == [f"o/n master {hub_commit(hub)[:12]} 3 files, 5.0 MiB"]
        with pytest.raises(ConfigError) as caught:
            serve_folder(publisher.root, port=port, log=print)
    assert str(caught.value) == (
        "The address cannot be listened on.\n"
        f"  address: 127.0.0.1:{port}\n"
        "  reason: Address already in use\n"
        "  fix: run `fetcher serve` with another --host or --port"
    )


def hub_commit(hub: Hub) -> str:
    with connected(hub) as connection:
        return str(json.loads(get(connection, "/api/v1/models/o/n/commits")[2])["Data"]["Commit"][0]["Id"])


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A typing error must not become an empty hub."""
    with pytest.raises(ConfigError) as caught:
        serve_folder(tmp_path / "nope", log=print)
    assert str(caught.value) == (
        "The folder to serve does not exist.\n"
        f"  folder: {tmp_path / 'nope'}\n"
        "  fix: run `fetcher serve DIR` with a folder that holds OWNER/NAME/ folders"
    )


def test_a_file_is_not_a_folder_to_serve(tmp_path: Path) -> None:
    """To say that it does not exist would send the user looking for a typing error."""
    file = tmp_path / "model.bin"
    file.write_bytes(b"x")
    with pytest.raises(ConfigError) as caught:
        serve_folder(file, log=print)
    assert str(caught.value) == (
        f"{file} is a file, not a folder.\n  fix: run `fetcher serve DIR` with a folder that holds OWNER/NAME/ folders"
    )


class Heard(Exception):
    """Ends `serve_folder` at its last line before it waits for requests."""


def start_lines(root: Path) -> list[str]:
    """What is logged before the first request; the last line names the port."""
    lines: list[str] = []

    def log(line: str) -> None:
        lines.append(line)
        if line.startswith("serving "):
            raise Heard

    with pytest.raises(Heard):
        serve_folder(root, log=log)
    return lines[:-1]


def test_a_folder_without_repositories_is_served_with_a_warning(tmp_path: Path) -> None:
    """Who names the repository itself, or one folder too high, sees it before a client gets 404."""
    (tmp_path / "owner").mkdir()
    (tmp_path / "config.json").write_bytes(b"{}")
    assert start_lines(tmp_path) == [f"warning: no OWNER/NAME/ folder in {tmp_path}; nothing is published yet"]


def test_the_start_lines_are_for_people(publisher: Publisher) -> None:
    """One file is not `1 files`; a size of twelve digits and a commit of forty are not read."""
    publisher.publish("a/one", {"x": 3})
    publisher.publish("b/two", {"x": 1536, "y": 0})
    with Hub(publisher.root) as hub:
        commits = [line.split()[2] for line in hub.published()]
    assert [len(commit) for commit in commits] == [12, 12]
    assert start_lines(publisher.root) == [
        f"a/one master {commits[0]} 1 file, 3 B",
        f"b/two master {commits[1]} 2 files, 1.5 KiB",
    ]


def test_an_ipv6_address_can_be_served(publisher: Publisher, tree: dict[str, bytes]) -> None:
    """`--host ::1` is an address like another."""
    with Hub(publisher.root, host="::1") as hub, connected(hub) as connection:
        assert hub.url.startswith("http://[::1]:")
        assert get(connection, signed(connection, hub))[2] == tree["large"]
