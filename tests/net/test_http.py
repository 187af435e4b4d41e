"""Asking, following redirects, and what each failure is called."""

import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from fetcher.errors import AuthError, FetcherError, NotFoundError, SourceError
from fetcher.net import http
from fetcher.net.credentials import Credential
from fetcher.net.http import HttpClient
from tests.net.wire import CERTIFICATE, CUT, Script, Wire, reply, trusting

SECRET = "ms-0123-SECRET"
ENDPOINT = "fix: check that the endpoint is right, then run the command again"
AGAIN = "fix: run the command again; what was received is kept"


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(idle_timeout_s=2.0, tls=trusting, wall_clock=lambda: 1795469400.0)
    yield client
    client.close()


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    started: list[Wire] = []

    def start(script: Script, *, tls: bool = False) -> Wire:
        started.append(Wire(script, tls=tls))
        return started[-1].__enter__()

    yield start
    for each in started:
        each.__exit__(None, None, None)


def _always(*pieces: bytes | float | str) -> Script:
    return lambda head: pieces


def _redirect(url: str, status: int = 302) -> bytes:
    return reply(b"", f"Location: {url}", status=f"{status} Found")


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}


def _failing(client: HttpClient, url: str) -> FetcherError:
    with pytest.raises(FetcherError) as caught:
        client.get_json(url)
    return caught.value


def test_a_request_says_who_asks_and_wants_no_compression(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Compressed bytes have no offsets; an honest name lets a hub complain."""
    server = wire(_always(reply(b"{}")))
    client.get_json(f"{server.url}/a?b=c%2Fd+e")
    head = server.requests[0]
    assert head.startswith(b"GET /a?b=c%2Fd+e HTTP/1.1\r\n")
    headers = _headers(head)
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("fetcher")
    assert not headers.keys() & {"authorization", "cookie", "range"}


@pytest.mark.parametrize(
    ("start", "stop", "sent"), [(0, 100, None), (0, 50, "bytes=0-49"), (50, 100, "bytes=50-99"), (7, 8, "bytes=7-7")]
)
def test_a_range_is_asked_for_only_when_it_is_a_part(
    client: HttpClient, wire: Callable[..., Wire], start: int, stop: int, sent: str | None
) -> None:
    """The hub's gateway answers ranges oddly, so a whole file is asked for plainly."""
    server = wire(_always(reply(b"x" * 100)))
    client.open_range(server.url, start=start, stop=stop, size=100).close()
    assert _headers(server.requests[0]).get("range") == sent


def test_the_head_of_a_part_says_where_it_lies(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """By Content-Range, not by 206 (the hub's gateway sends 200)."""
    headers = ("Content-Range: bytes 10-14/100", "Content-Type: Text/Plain; charset=x")
    server = wire(_always(reply(b"abcde", *headers)))
    with client.open_range(server.url, start=10, stop=15, size=100) as body:
        head = body.head
    assert (head.status, head.first, head.total, head.length) == (200, 10, 100, 5)
    assert (head.content_type, head.host) == ("text/plain", server.host)


def test_a_range_that_does_not_exist_is_left_to_the_engine(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Its Content-Range tells the size of the file that the server has."""
    server = wire(_always(reply(b"sorry", "Content-Range: bytes */77", status="416 No")))
    with client.open_range(server.url, start=10, stop=15, size=100) as body:
        assert (body.head.status, body.head.first, body.head.total) == (416, None, 77)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (["Content-Range: bytes 10-99/100"], "Content-Range and Content-Length contradict each other"),
        (["Content-Range: bytes 10-2/100"], "Content-Range: its positions contradict each other"),
        (["Content-Range: lines 1-2/3"], "Content-Range: expected `bytes FIRST-LAST/SIZE`"),
        (["Content-Encoding: br"], "the bytes are encoded, which was not asked for"),
        (
            ["Content-Encoding: gzip", "Content-Range: bytes 0-4/100"],
            "the bytes are encoded, which was not asked for",
        ),
    ],
)
def test_a_head_that_contradicts_itself_is_refused(
    client: HttpClient, wire: Callable[..., Wire], headers: list[str], reason: str
) -> None:
    """No byte is worth anything if its place is not certain."""
    server = wire(_always(reply(b"abcde", *headers)))
    with pytest.raises(SourceError) as caught:
        client.open_range(server.url, start=10, stop=15, size=100)
    assert str(caught.value) == (
        f"{server.host} sent a reply that cannot be used.\n"
        f"  reason: {reason}\n"
        "  fix: run the command again, or use another source"
    )
    assert caught.value.transient


# Redirects


def test_credentials_stay_with_their_host(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """The hub sends large files from a CDN, which must not see the token."""
    cdn = wire(_always(reply(b"bytes")))
    hub = wire(_always(_redirect(f"{cdn.url}/object?auth_key=1")))
    auth = Credential.bound(hub.url, {"Authorization": f"Bearer {SECRET}", "Cookie": f"m_session_id={SECRET}"})
    with client.open_range(f"{hub.url}/file", start=1, stop=5, size=5, auth=auth) as body:
        assert body.head.host == cdn.host
    assert SECRET.encode() in hub.requests[0]
    assert SECRET.encode() not in cdn.requests[0]
    assert not _headers(cdn.requests[0]).keys() & {"authorization", "cookie", "referer"}
    assert _headers(cdn.requests[0])["range"] == "bytes=1-4", "the range goes along"


def test_credentials_return_when_the_own_host_is_reached_again(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Each step asks anew."""
    hub = wire(lambda head: [_redirect(f"{other.url}/x") if b" /a " in head else reply(b"{}")])
    other = wire(lambda head: [_redirect(f"{hub.url}/b")])
    client.get_json(f"{hub.url}/a", auth=Credential.bound(hub.url, {"Authorization": SECRET}))
    assert [SECRET.encode() in head for head in hub.requests] == [True, True]
    assert SECRET.encode() not in other.requests[0]


def test_a_user_in_a_redirect_is_not_sent(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """The library would make a Basic header of it."""
    cdn = wire(_always(reply(b"{}")))
    hub = wire(_always(_redirect(f"http://user:word@{cdn.host}/x")))
    client.get_json(hub.url)
    assert "authorization" not in _headers(cdn.requests[0])
    assert b"word" not in cdn.requests[0]


def test_cookies_of_a_server_are_never_kept(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """A cookie for the hub's domain would match its CDN too."""
    server = wire(_always(reply(b"{}", "Set-Cookie: m_session_id=x; Path=/", "Set-Cookie: a=b")))
    client.get_json(server.url)
    client.get_json(server.url)
    assert "cookie" not in _headers(server.requests[1])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed(client: HttpClient, wire: Callable[..., Wire], status: int) -> None:
    """Relative ones too."""
    server = wire(lambda head: [_redirect("there?x=1", status) if b" /a " in head else reply(b'{"x": 1}')])
    assert client.get_json(f"{server.url}/a") == {"x": 1}
    assert server.requests[1].startswith(b"GET /there?x=1 ")


@pytest.mark.parametrize(
    ("location", "what"),
    [
        ("/a", "redirects in a circle"),
        ("", "redirects in a circle"),
        ("file:///etc/passwd", "sent a redirect that leads nowhere"),
        ("//", "redirects in a circle"),
        ("http://h:99999/", "sent a redirect that leads nowhere"),
    ],
)
def test_a_redirect_that_leads_nowhere_ends(
    client: HttpClient, wire: Callable[..., Wire], location: str, what: str
) -> None:
    """Not never, and not in a file of this machine."""
    server = wire(_always(_redirect(location)))
    error = _failing(client, f"{server.url}/a")
    assert str(error) == (
        f"{server.host} {what}.\n  path: /a\n  fix: check that the endpoint is right, then run the command again"
    )
    assert isinstance(error, SourceError)
    assert not error.transient


def test_the_sixth_redirect_is_one_too_many(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Five are followed."""

    def script(head: bytes) -> list[bytes]:
        step = int(head.split()[1][1:])
        return [_redirect(f"/{step + 1}") if step != 5 else reply(b"{}")]

    server = wire(script)
    assert client.get_json(f"{server.url}/0") == {}
    error = _failing(client, f"{server.url}/6")
    assert error.what == f"{server.host} redirects more than 5 times."


def test_a_redirect_out_of_tls_is_refused(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """What was asked for in secret is not fetched in clear."""
    plain = wire(_always(reply(b"{}")))
    server = wire(_always(_redirect(plain.url)), tls=True)
    assert _failing(client, server.url).what == f"{server.host} redirects from https to http."
    assert plain.requests == []


# Failures


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (
            401,
            AuthError,
            "{host} asks for a token.\n  status: 401\n  path: /x\n  fix: give a token that may read the repository",
        ),
        (
            403,
            AuthError,
            "{host} refuses access.\n  status: 403\n  path: /x\n  fix: give a token that may read the repository",
        ),
        (
            404,
            NotFoundError,
            "{host} does not have it.\n  status: 404\n  path: /x\n  fix: check `source` and `revision`",
        ),
        (429, SourceError, f"{{host}} asks to wait: too many requests.\n  status: 429\n  path: /x\n  {AGAIN}"),
        (503, SourceError, f"{{host}} cannot answer at the moment.\n  status: 503\n  path: /x\n  {AGAIN}"),
        (
            418,
            SourceError,
            f"{{host}} answered with status 418.\n  path: /x\n  {ENDPOINT}",
        ),
    ],
)
def test_each_status_has_its_error(
    client: HttpClient, wire: Callable[..., Wire], status: int, kind: type[FetcherError], text: str
) -> None:
    """One class for each thing that a caller can do about it; no query in it."""
    server = wire(_always(reply(b"", "Retry-After: 7", status=f"{status} X")))
    error = _failing(client, f"{server.url}/x?auth_key=SECRET")
    assert type(error) is kind
    assert str(error) == text.format(host=server.host)
    if isinstance(error, SourceError):
        assert error.transient == (status in (429, 503))
        assert error.retry_after_s == (7.0 if error.transient else None)
    with pytest.raises(kind) as caught:
        client.open_range(f"{server.url}/x?auth_key=SECRET", start=0, stop=1, size=1)
    assert str(caught.value) == str(error)


def test_a_date_to_come_back_at_becomes_seconds(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """RFC 9110, section 10.2.3."""
    server = wire(_always(reply(b"", "Retry-After: Mon, 23 Nov 2026 21:30:20 GMT", status="429 X")))
    error = _failing(client, server.url)
    assert isinstance(error, SourceError)
    assert error.retry_after_s == 20.0


def test_a_signed_link_that_has_expired_is_tried_again(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """The hub's own address is asked at each try and gives a new link; no token would help."""
    cdn = wire(_always(reply(b"", status="403 Expired")))
    hub = wire(_always(_redirect(f"{cdn.url}/o?auth_key=SECRET")))
    with pytest.raises(SourceError) as caught:
        client.open_range(hub.url, start=0, stop=9, size=9, explain=lambda reply: pytest.fail("not of the hub"))
    assert caught.value.transient
    assert str(caught.value) == f"{cdn.host} refuses the link that leads to it.\n  status: 403\n  path: /o\n  {AGAIN}"


def test_a_foreign_host_s_refusal_is_not_read_as_the_hub_s(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """The hub's codes mean nothing in a CDN's answer."""
    cdn = wire(_always(reply(b'{"Code": 10990101007}', status="404 X")))
    hub = wire(_always(_redirect(f"{cdn.url}/o")))
    with pytest.raises(NotFoundError) as caught:
        client.open_range(hub.url, start=0, stop=9, size=9, explain=lambda reply: AuthError("not of the hub"))
    assert caught.value.what == f"{cdn.host} does not have it."


def test_a_refusal_is_explained_by_who_knows_the_hub(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """The text of an error holds the hub's code."""
    server = wire(_always(reply(b'{"Code": 1}', status="404 X")))
    with pytest.raises(NotFoundError, match=r"code 1\Z"):
        client.open_range(
            server.url, start=0, stop=9, size=9, explain=lambda reply: NotFoundError(f"code {reply.json()['Code']}")
        )


def test_nobody_listens(client: HttpClient) -> None:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    error = _failing(client, f"http://{host}/")
    assert str(error) == (
        f"{host} cannot be reached.\n"
        "  reason: connection refused\n"
        "  fix: check the network, the proxy settings and the endpoint, then run the command again"
    )
    assert isinstance(error, SourceError)
    assert error.transient


def test_a_name_that_does_not_exist(client: HttpClient) -> None:
    """`.invalid` never exists (RFC 2606)."""
    error = _failing(client, "http://hub.invalid/")
    assert error.what == "hub.invalid cannot be reached."
    assert error.facts == ("reason: the name is not known",)


def test_a_connection_that_ends_without_an_answer(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Transient: the next connection may live."""
    server = wire(_always(CUT))
    error = _failing(client, server.url)
    assert str(error) == (
        f"{server.host} closed the connection early.\n"
        "  reason: Server disconnected without sending a response.\n"
        f"  {AGAIN}"
    )
    assert isinstance(error, SourceError)
    assert error.transient


def test_what_is_not_http_is_a_failure_of_the_wire(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Some other server at that port."""
    server = wire(_always(b"SSH-2.0-OpenSSH_9\r\n\r\n", CUT))
    assert _failing(client, server.url).what == f"{server.host} closed the connection early."


def test_a_head_that_never_comes_ends_after_the_idle_limit(wire: Callable[..., Wire]) -> None:
    """The limit of the body holds for the head too."""
    server = wire(_always(30.0))
    client = HttpClient(idle_timeout_s=0.3)
    assert _failing(client, server.url).what == f"{server.host} sent nothing for 0.3 s."
    client.close()


def test_a_certificate_that_nobody_trusts_is_not_tried_again(wire: Callable[..., Wire]) -> None:
    """Trying again would not make it trusted; the way out is named."""
    server = wire(_always(reply(b"{}")), tls=True)
    client = HttpClient(tls=ssl.create_default_context)
    error = _failing(client, server.url)
    client.close()
    assert str(error) == (
        f"{server.host} cannot prove who it is: its TLS certificate was refused.\n"
        "  reason: self-signed certificate\n"
        "  fix: correct the endpoint; or, if your organisation signs it, add its CA to the system's trust store, "
        "or name the CA's file by SSL_CERT_FILE or by `ca-file` in [sources.NAME]"
    )
    assert isinstance(error, SourceError)
    assert not error.transient
    assert server.requests == []


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b"\xff\xfe{", b"1" * 10_000])
def test_what_is_not_json_is_an_error_not_a_crash(
    client: HttpClient, wire: Callable[..., Wire], content: bytes
) -> None:
    """A proxy's page, or a text made to exhaust the parser."""
    server = wire(_always(reply(content)))
    assert str(_failing(client, f"{server.url}/x")) == (
        f"{server.host} did not answer with JSON.\n"
        "  status: 200\n"
        "  path: /x\n"
        "  fix: check that the endpoint is right, then run the command again"
    )


def test_a_reply_that_is_read_whole_is_bounded(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """By the bytes that come, not by the length that is announced."""
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    server = wire(lambda head: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[chunk] * 64, CUT])
    with pytest.raises(SourceError) as caught:
        client.get(f"{server.url}/x", limit=1 << 20)
    assert caught.value.what == f"{server.host} sent a reply that is too large."
    assert caught.value.facts == ("limit: 1048576 bytes", "path: /x")


def test_small_replies_share_a_connection(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Two thousand small files must not need two thousand connections."""
    server = wire(_always(reply(b'{"a": 1}')))
    for _ in range(5):
        client.get_json(server.url)
    for _ in range(5):
        with client.open_range(server.url, start=0, stop=8, size=8) as body:
            buffer = bytearray(100)
            assert body.readinto(memoryview(buffer)) == 8
            assert body.readinto(memoryview(buffer)) == 0
    assert server.connections == 1


def test_several_threads_ask_at_once(client: HttpClient, wire: Callable[..., Wire]) -> None:
    """Each has connections of its own; closing closes all."""
    server = wire(lambda head: [reply(json.dumps(head.split()[1].decode()).encode())])
    wrong: list[object] = []

    def ask(name: str) -> None:
        wrong.extend(answer for _ in range(20) if (answer := client.get_json(f"{server.url}/{name}")) != f"/{name}")

    threads = [threading.Thread(target=ask, args=(str(index),)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert server.connections == 8


def test_no_log_holds_a_secret(client: HttpClient, wire: Callable[..., Wire], caplog: pytest.LogCaptureFixture) -> None:
    """Neither the token nor a link's signature, at any level, ours or the library's."""
    for name in ("fetcher", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    cdn = wire(_always(reply(b"x")))
    hub = wire(_always(_redirect(f"{cdn.url}/o?auth_key={SECRET}")))
    auth = Credential.bound(hub.url, {"Authorization": f"Bearer {SECRET}"})
    client.open_range(f"{hub.url}/a?token={SECRET}", start=0, stop=1, size=1, auth=auth).close()
    assert f"GET {hub.url}/a" in caplog.text
    assert SECRET not in caplog.text


def test_a_proxy_of_the_environment_is_used(wire: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch) -> None:
    """And NO_PROXY is respected."""
    proxy = wire(_always(reply(b'"by proxy"')))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    client = HttpClient()
    assert client.get_json("http://hub.invalid/x") == "by proxy"
    assert proxy.requests[0].startswith(b"GET http://hub.invalid/x ")
    client.close()
    server = wire(_always(reply(b'"direct"')))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = HttpClient()
    assert client.get_json(server.url) == "direct"
    client.close()


def test_certificates_of_the_environment_are_trusted(
    wire: Callable[..., Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is how organisations add their own."""
    server = wire(_always(reply(b"{}")), tls=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    client = HttpClient()
    assert client.get_json(server.url) == {}
    client.close()


def test_who_is_asking_has_a_version() -> None:
    """As installed."""
    name, _, version = http.user_agent().partition("/")
    assert name == "fetcher"
    assert version[0].isdigit()
