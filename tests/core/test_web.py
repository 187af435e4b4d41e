"""Addresses: what may be committed, and which file they name."""

import pytest

from fetcher.core import web
from fetcher.core.paths import RepoPath

SECRET = "c0ffee5ecret"
ACCEPTED = [
    "https://host.example/file.bin",
    "http://127.0.0.1:8000/dir/",
    "https://host.example/file?download=true",
    "https://host.example/raw?path=a/b.bin&ref=v1.0&inline=false",
    "https://host.example/%E5%8A%9F.bin",
]
SECRETS = [
    f"https://me:{SECRET}@host.example/f",
    f"https://{SECRET}@host.example/f",
    f"https://host.example/f?X-Amz-Signature={SECRET}",
    f"https://host.example/f?x-oss-signature={SECRET}",
    f"https://host.example/f?se=2026&sig={SECRET}",
    f"https://host.example/f?download=1&access_token={SECRET}",
    f"https://host.example/f?auth_key=1-{SECRET}",
    f"https://host.example/f?Policy={SECRET}&Key-Pair-Id=K",
    f"https://host.example/f?v={SECRET}{SECRET}",
]
NO_ADDRESSES = [
    "ftp://host.example/f",
    "https:///f",
    "https://host.example/f#part",
    "https://host.example/a b",
    "https://host.example:99999/f",
    "https://host.example/a\\b",
    "file.bin",
]


@pytest.mark.parametrize("url", ACCEPTED)
def test_an_address_that_anybody_may_read_is_accepted(url: str) -> None:
    """Harmless queries are common: `?download=true`."""
    assert web.checked(url) == url


@pytest.mark.parametrize("url", SECRETS)
def test_an_address_with_a_right_of_its_own_is_refused_and_not_repeated(url: str) -> None:
    """models.toml and models.lock are committed; a signed link also expires."""
    with pytest.raises(web.SecretInAddress) as caught:
        web.checked(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Said when the manifest is read, not when the network is asked."""
    with pytest.raises(ValueError) as caught:
        web.checked(url)
    assert not isinstance(caught.value, web.SecretInAddress)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host.example/a/file.bin", "file.bin"),
        ("https://host.example/a/file.bin?download=true", "file.bin"),
        ("https://host.example/a%20b.bin", "a b.bin"),
        ("https://host.example/%E5%8A%9F.bin", "功.bin"),
    ],
)
def test_a_file_is_called_as_its_address_ends(url: str, name: str) -> None:
    """As a browser and curl -O call it."""
    assert web.file_name(url) == RepoPath(name)


@pytest.mark.parametrize("end", ["", "%2e%2e", "a%2fb%2f..", "con", "a%00b", "%ff", ".git"])
def test_an_address_that_ends_in_no_safe_name_is_refused(end: str) -> None:
    """The name becomes a path on a disk."""
    with pytest.raises(ValueError):
        web.file_name(f"https://host.example/{end}")


@pytest.mark.parametrize(
    ("url", "path", "address"),
    [
        ("https://h/d/", "a/b c#.bin", "https://h/d/a/b%20c%23.bin"),
        ("https://h", "a", "https://h/a"),
        ("https://h/d/?ref=v1", "a?", "https://h/d/a%3F?ref=v1"),
        ("https://h/file.bin", "other/name.bin", "https://h/file.bin"),
    ],
)
def test_the_address_of_a_file_of_a_source(url: str, path: str, address: str) -> None:
    """Below a folder, or the source itself, whatever the model calls it."""
    assert web.address_of(url, path) == address


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://h/f", True),
        ("http://127.0.0.1:8000/f", True),
        ("http://127.8.9.1/f", True),
        ("http://[::1]:80/f", True),
        ("http://localhost/f", True),
        ("http://hub.localhost/f", True),
        ("http://h/f", False),
        ("http://10.0.0.1/f", False),
        ("http://127.0.0.1.evil.example/f", False),
        ("http://localhost.evil.example/f", False),
    ],
)
def test_who_can_change_what_comes(url: str, private: bool) -> None:
    """What is trusted at the first lock must not come from whoever is on the way."""
    assert web.is_private_way(url) == private
