"""Addresses of git repositories."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.manifest import SourceRef
from fetcher.errors import ConfigError
from fetcher.sources.git_lfs.remote import Remote, is_safe_revision


@pytest.mark.parametrize(
    ("source", "url", "label", "web_url"),
    [
        (
            "git+https://Git.Example/a/b",
            "https://git.example/a/b",
            "git.example",
            "https://git.example/a/b.git/info/lfs",
        ),
        (
            "git+https://git.example:8443/a/b.git/",
            "https://git.example:8443/a/b.git/",
            "git.example:8443",
            "https://git.example:8443/a/b.git/info/lfs",
        ),
        ("git+https://git.example:443/a", "https://git.example/a", "git.example", "https://git.example/a.git/info/lfs"),
        ("git+http://localhost:80/a", "http://localhost/a", "localhost", "http://localhost/a.git/info/lfs"),
        ("git+http://[::1]:81/a", "http://[::1]:81/a", "[::1]:81", "http://[::1]:81/a.git/info/lfs"),
        (
            "git+ssh://git@git.example:2222/a/b.git",
            "ssh://git@git.example:2222/a/b.git",
            "git.example:2222",
            "https://git.example/a/b.git/info/lfs",
        ),
        ("git+file:///data/a%20b", "file:///data/a%20b", "/data/a b", "file:///data/a%20b.git/info/lfs"),
    ],
)
def test_an_address_is_what_git_takes(source: str, url: str, label: str, web_url: str) -> None:
    """And large files are beside it, as git-lfs looks for them."""
    remote = Remote.of(SourceRef.parse(source))
    assert (remote.url, remote.label, remote.web_url) == (url, label, web_url)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("git+ssh://-oProxyCommand=touch/a", "its host is none"),
        ("git+ssh://git@-oProxyCommand=touch/a", "its host is none"),
        ("git+ssh://-oProxyCommand@host/a", "it names a user"),
        ("git+https://ex:amp:le/a", "it is not an address"),
        ("git+https://host:99999999/a", "it is not an address"),
        (
            "git+https://git.example/",
            "its path is empty, or holds a space, a backslash, `?`, `#` or a control character",
        ),
        ("git+https://h/a?b", "its path is empty, or holds a space, a backslash, `?`, `#` or a control character"),
        ("git+https://h/a%0ab", "its path is empty, or holds a space, a backslash, `?`, `#` or a control character"),
        ("git+http://hub.example/a", "plain http is for servers on this machine"),
        ("git+http://127.0.0.1.example/a", "plain http is for servers on this machine"),
        ("git+file://host/a", "a folder is named by its absolute path"),
    ],
)
def test_what_is_no_repository_s_address_is_refused(source: str, reason: str) -> None:
    """Before any program sees it."""
    with pytest.raises(ConfigError) as caught:
        Remote.of(SourceRef.parse(source))
    assert caught.value.what == "A git source cannot be used."
    assert caught.value.facts == (f"source: {source}", f"reason: {reason}")


@pytest.mark.parametrize("name", ["main", "v1.0", "feature/x", "refs/pr/1", "a-b_c", "é", "x@y"])
def test_names_that_git_takes_are_revisions(name: str) -> None:
    """Branches are called as people like."""
    assert is_safe_revision(name)


@pytest.mark.parametrize(
    "name", ["", "-x", "--upload-pack=x", "a b", "a..b", "*", "a^{}", "a:b", "/a", "a/", "@", "x.lock"]
)
def test_what_could_be_an_option_or_a_pattern_is_no_revision(name: str) -> None:
    """`ls-remote` takes patterns, and `fetch` takes options."""
    assert not is_safe_revision(name)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12))
def test_every_revision_that_is_taken_is_one_of_git_s(name: str) -> None:
    """git is the judge."""
    if is_safe_revision(name):
        assert subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"]).returncode == 0


@given(st.text(max_size=40))
def test_whatever_the_text_no_part_of_an_address_begins_as_an_option(text: str) -> None:
    """Nor holds what a shell or a line of a credential helper would end at."""
    for scheme in ("git+https", "git+ssh", "git+http", "git+file"):
        try:
            remote = Remote.of(SourceRef(scheme=scheme, repo=f"//{text}"))
        except ConfigError:
            continue
        assert not remote.host.startswith("-")
        assert not remote.user.startswith("-")
        assert remote.url.startswith(("https://", "ssh://", "http://", "file:///"))
        assert not set(remote.url) & set("\0\n\r\t \\?#")
