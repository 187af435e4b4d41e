"""URLs in messages."""

import pytest

from fetcher.net.redact import host_of, origin_of, printable, redact


@pytest.mark.parametrize(
    "url",
    [
        "https://user:SECRET@hub.example/a/b?auth_key=SECRET#SECRET",
        "https://SECRET@hub.example/a/b?x=SECRET",
        "HTTPS://hub.example:443/a/b?SECRET",
    ],
)
def test_only_scheme_host_and_path_are_left(url: str) -> None:
    """A signed link's signature is a secret for as long as it lives."""
    assert redact(url).lower() == "https://hub.example/a/b"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hub.example:8443/x", "hub.example:8443"),
        ("http://hub.example:80", "hub.example"),
        ("https://hub.example:80", "hub.example:80"),
        ("http://[::1]:81/", "[::1]:81"),
        ("https://user:SECRET@hub.example", "hub.example"),
        ("nonsense SECRET", "a host that cannot be read"),
        ("http://h:99999/SECRET", "a host that cannot be read"),
    ],
)
def test_a_host_is_shown_with_a_port_that_is_not_the_scheme_s(url: str, shown: str) -> None:
    """Two hubs on one machine must be told apart."""
    assert host_of(url) == shown


def test_what_cannot_be_read_is_not_shown() -> None:
    """It may be a secret in the wrong place."""
    assert redact("SECRET") == redact("http://h:SECRET/") == "a URL that cannot be read"


def test_an_origin_is_scheme_host_and_port() -> None:
    """The same host by another scheme or port is another server."""
    assert origin_of("https://Hub.Example.:443/x") == origin_of("https://hub.example") == ("https", "hub.example", 443)
    others = ["http://hub.example", "https://hub.example:8443", "https://a.hub.example", "https://hub.example.evil"]
    assert origin_of("https://hub.example") not in {origin_of(url) for url in others}
    with pytest.raises(ValueError, match="expected http"):
        origin_of("file:///etc/passwd")


def test_control_characters_of_a_server_never_reach_a_terminal() -> None:
    """An escape sequence in a message could rewrite what stands above it."""
    assert printable("a\x1b[2Jb\r\nc\u202ed") == "a?[2Jb??c?d"
    assert printable("x" * 300) == "x" * 200 + "…"
