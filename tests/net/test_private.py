"""Redirects from the public network into a private one."""

import pytest

from fetcher.errors import SourceError
from fetcher.net.http import HttpClient
from fetcher.net.private import Neighbours
from tests.net.proxy import Proxy
from tests.net.wire import Wire, reply

NAMES = {"hub.example": ["198.51.100.1"], "cdn.example": ["203.0.113.1", "2001:db8::1"], "evil.example": ["10.0.0.1"]}
HUB = "https://hub.example/x"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "a.localhost", "[::1]", "[::ffff:127.0.0.1]",
     "0.0.0.0", "10.1.2.3", "172.31.0.1", "192.168.1.1:8080", "169.254.169.254", "[fe80::1]", "[fd00::1]",
     "evil.example", "EVIL.example."],
)  # fmt: skip
def test_a_public_hub_leads_to_no_private_address(host: str) -> None:
    """However it is written, and by a name that means one."""
    neighbours = Neighbours(look_up=lambda name: NAMES.get(name, []))
    with pytest.raises(SourceError, match=r"^hub\.example redirects into a private network\."):
        neighbours.require_public(HUB, HUB, f"https://{host}/y")
    Neighbours(look_up=lambda name: NAMES.get(name, []), may_go=True).require_public(HUB, HUB, f"https://{host}/y")


@pytest.mark.parametrize(
    "host", ["cdn.example", "hub.example", "unknown.example", "8.8.8.8", "198.18.0.1", "172.32.0.1"]
)
def test_a_public_hub_leads_to_public_addresses(host: str) -> None:
    """198.18/15 stands for public hosts behind some VPNs."""
    Neighbours(look_up=lambda name: NAMES.get(name, [])).require_public(HUB, HUB, f"https://{host}/y")


@pytest.mark.parametrize("asked", ["http://127.0.0.1:80/", "http://evil.example/", "http://localhost/"])
def test_a_private_endpoint_leads_wherever_it_likes(asked: str) -> None:
    """A hub in the house has its storage in the house."""
    Neighbours(look_up=lambda name: NAMES.get(name, [])).require_public(asked, asked, "http://192.168.1.1/")


def test_a_name_is_looked_up_once() -> None:
    """Thousands of small files are redirected to one CDN."""
    asked: list[str] = []
    neighbours = Neighbours(look_up=lambda name: asked.append(name) or NAMES[name])
    for _ in range(3):
        neighbours.require_public(HUB, HUB, "https://cdn.example/y")
    assert asked == ["cdn.example"]


def test_the_client_does_not_follow_and_says_how_to_allow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a real proxy, so that the hub has a public name."""
    with Wire(lambda head: [reply(b"secret")]) as inside:
        answer = reply(b"", f"Location: {inside.url}/admin", status="302 Found")
        with Wire(lambda head: [answer]) as hub, Proxy(hub.host) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.host}")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            client = HttpClient(idle_timeout_s=5.0)
            with pytest.raises(SourceError) as caught:
                client.get("http://hub.example/a")
            client.close()
            assert str(caught.value) == (
                "hub.example redirects into a private network.\n"
                "  path: /a\n"
                f"  leads to: {inside.host}\n"
                "  fix: do not use this source; or set FETCHER_PRIVATE_REDIRECTS=allow if it is meant to be so"
            )
            assert inside.requests == []
            client = HttpClient(idle_timeout_s=5.0, may_go_private=True)
            assert client.get("http://hub.example/a").content == b"secret"
            client.close()
