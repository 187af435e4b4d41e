"""Which way to a host, and what is made for it."""

import ssl
import threading
import time
from pathlib import Path

import httpx
import pytest

from fetcher.errors import ConfigError
from fetcher.net.http import HttpClient
from fetcher.net.transport import Clients, once, proxies_of_environment
from tests.net.wire import Wire, reply, trusting

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HTTP_PROXY": "http://p:1"},
        {"HTTPS_PROXY": "p:1", "ALL_PROXY": "http://q"},
        {"ALL_PROXY": "http://q", "NO_PROXY": "localhost, 127.0.0.1,::1,.a.example, b.example,10.0.0.0/8,http://c:81"},
        {"ALL_PROXY": "http://q", "NO_PROXY": "a,*"},
        {"ALL_PROXY": "http://q", "NO_PROXY": ",,"},
    ],
)
def test_the_proxies_are_those_of_the_library(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of its own making is asked; its patterns are only read here, in a test."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    theirs = httpx.Client()._mounts
    ours = {pattern: bool(url) for pattern, url in proxies_of_environment().items()}
    assert ours == {pattern.pattern: transport is not None for pattern, transport in theirs.items()}


def test_a_proxy_that_cannot_be_used_is_named_without_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2; the variable may hold a password."""
    monkeypatch.setenv("ALL_PROXY", "ftp://user:SECRET@p")
    with pytest.raises(ConfigError) as caught:
        HttpClient().get("http://127.0.0.1:9/")
    assert str(caught.value) == (
        "The proxy of the environment cannot be used.\n"
        "  reason: ValueError\n"
        "  fix: correct HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, such as http://proxy.example:3128, or unset them"
    )


def test_no_tls_context_is_made_for_plain_http() -> None:
    """The first one takes 45 ms."""
    with Wire(lambda head: [reply(b"{}")]) as wire:
        client = HttpClient(tls=lambda: pytest.fail("made"))
        assert client.get_json(f"{wire.url}/x") == {}
        client.close()


def test_one_tls_context_serves_all_threads() -> None:
    """Also when they ask at the same moment."""
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        time.sleep(0.05)
        made.append(trusting())
        return made[-1]

    with Wire(lambda head: [reply(b"{}")], tls=True) as wire:
        client = HttpClient(tls=once(make))
        threads = [threading.Thread(target=client.get_json, args=(f"{wire.url}/x",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
    assert len(made) == 1


def test_only_http_1_is_offered_to_a_server() -> None:
    """Another version is never chosen silently: it costs several times the CPU."""
    with Wire(lambda head: [reply(b"{}")], tls=True) as wire:
        assert wire.tls is not None
        wire.tls.set_alpn_protocols(["h2", "http/1.1"])
        client = HttpClient(tls=trusting)
        assert client.get_json(f"{wire.url}/x") == {}
        client.close()
        assert wire.chosen == ["http/1.1"]


def test_a_client_that_comes_back_after_the_end_is_closed() -> None:
    """Its reply outlived `close`."""
    clients = Clients(httpx.Client)
    early, late = clients.lend(), clients.lend()
    clients.take_back(early)
    clients.close()
    clients.take_back(late)
    assert (early.is_closed, late.is_closed) == (True, True)


def test_a_client_is_lent_to_one_at_a_time() -> None:
    """And again when it came back."""
    clients = Clients(httpx.Client)
    one, two = clients.lend(), clients.lend()
    assert one is not two
    clients.take_back(one)
    assert clients.lend() is one
    for each in (one, two):
        each.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_no_descriptor_is_left_after_a_thousand_failures() -> None:
    """Each kind of failure, on used and on new connections."""
    replies = [
        [reply(b"12345")],
        [reply(b"123", length=5), "cut"],
        [reply(b"no", status="404 No")],
        [reply(b"", status="503 No")],
        [b"garbage\r\n\r\n"],
        ["cut"],
        ["reset"],
        [reply(b"12345", "Content-Range: bytes 7-9/3")],
        [reply(b"", "Location: ftp://h/", status="302 Found")],
    ]
    turn = iter(range(1000))
    with Wire(lambda head: replies[next(turn, 0) % len(replies)]) as wire:
        client = HttpClient(idle_timeout_s=5.0)
        before = _descriptors()
        failed = 0
        for _ in range(1000):
            try:
                with client.open_range(f"{wire.url}/f", start=0, stop=5, size=5) as body:
                    while body.readinto(memoryview(bytearray(10))):
                        pass
            except Exception:
                failed += 1
        client.close()
        assert failed > 300
        end_s = time.monotonic() + 5
        while _descriptors() > before and time.monotonic() < end_s:
            time.sleep(0.05)
        assert _descriptors() <= before
