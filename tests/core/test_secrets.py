"""Texts without secrets."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.secrets import Secrets

SECRET = "ms-0123+SECRET/of~mine"
around = st.text(max_size=20)
signs = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_.~+/="), min_size=8, max_size=60)


def knowing(*secrets: str) -> Secrets:
    made = Secrets()
    for secret in secrets:
        made.add(secret)
    return made


@given(secret=signs, before=around, after=around)
def test_a_secret_leaves_no_text(secret: str, before: str, after: str) -> None:
    """Whatever stands around it; and so does its twin in capitals."""
    secrets = knowing(secret)
    for form in (secret, secret.upper(), secret.lower()):
        told = secrets.conceal(f"{before}|{form}|{after}")
        assert "|***|" in told
        assert form.lower() not in told.lower()


@given(secret=signs, before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_a_secret_inside_base64_leaves_no_text(secret: str, before: bytes, after: bytes) -> None:
    """`Authorization: Basic` is `user:token` in it; what is left must not decode to most of the token."""
    secrets = knowing(secret)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + secret.encode() + after).decode()
        told = secrets.conceal(text)
        assert "***" in told
        assert len(told) <= len(text) - len(secret) + 3


@pytest.mark.parametrize("form", [SECRET.encode().hex(), SECRET.encode().hex().upper(), "ms-0123%2BSECRET%2Fof~mine"])
def test_hex_and_percent_encoding_hide_nothing(form: str) -> None:
    """A path or a dump may hold it so."""
    assert knowing(SECRET).conceal(f"at {form} it") == "at *** it"


@given(around)
def test_a_text_without_a_secret_stays(text: str) -> None:
    """Also in a process that knows several."""
    assert Secrets().conceal(text) == text
    assert knowing(SECRET, "another-" * 4).conceal(text) == text


def test_each_of_several_secrets_is_concealed() -> None:
    """One that is the beginning of another does not leave the other's end."""
    secrets = knowing("abcdefgh", "abcdefghijkl", "other-secret")
    assert secrets.conceal("abcdefghijkl other-secret abcdefgh") == "*** *** ***"


def test_what_is_too_short_for_a_token_is_not_looked_for() -> None:
    """`a` as a token would blank every message."""
    assert knowing("a", "abcde").conceal("an abcde") == "an abcde"
