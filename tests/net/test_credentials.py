"""Secrets and where they go."""

import pytest

from fetcher.errors import ConfigError
from fetcher.net.credentials import Credential, Token, basic

SECRET = "ms-0123-SECRET"


def test_headers_go_to_the_own_scheme_host_and_port_only() -> None:
    """Cookies would go to every port and, with a domain, to the CDN."""
    credential = Credential.bound("https://hub.example/base", {"Authorization": SECRET})
    assert credential.header_for("https://hub.example:443/other?x=1") == {"Authorization": SECRET}
    for url in (
        "http://hub.example/",
        "https://hub.example:8443/",
        "https://cdn.hub.example/",
        "https://hub.example.evil/",
        "https://hub.example@evil/",
        "https://evil/?https://hub.example/",
        "//hub.example/",
        "nonsense",
        "https://h:99999/",
    ):
        assert credential.header_for(url) == {}, url


def test_no_text_of_a_secret_shows_it() -> None:
    """A log or a traceback with local variables must not hold it."""
    token = Token(secret=SECRET, variable="CORP_TOKEN")
    credential = Credential.bound("https://hub.example", {"Authorization": f"Bearer {SECRET}"})
    for shown in (repr(token), str(token), f"{token}", repr(credential), str(credential), repr([token, credential])):
        assert SECRET not in shown
    assert "CORP_TOKEN" in repr(token)


def test_a_token_is_read_from_the_variable_it_is_given() -> None:
    """Unset and empty are the same: ask as anybody."""
    assert Token.read({}, "T") is None
    assert Token.read({"T": "  "}, "T") is None
    assert Token.read({"T": f" {SECRET}\n"}, "T") == Token(secret=SECRET, variable="T")


@pytest.mark.parametrize("text", ["a b", "a\r\nX: y", "a;b", 'a"b', "a,b", "ключ"])
def test_what_no_header_can_carry_is_refused_without_showing_it(text: str) -> None:
    """A line break would start a header of its own."""
    with pytest.raises(ConfigError) as caught:
        Token.read({"T": text}, "T")
    assert str(caught.value) == (
        "T does not hold a token.\n"
        "  expected: letters, digits and signs, without spaces, commas, quotes and semicolons\n"
        "  fix: set T to the token alone"
    )


def test_basic_is_what_git_sends() -> None:
    """RFC 7617: base64 of user:password."""
    assert basic("oauth2", Token(secret="abc", variable="T")) == "Basic b2F1dGgyOmFiYw=="
