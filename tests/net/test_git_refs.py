"""Git's list of refs."""

import pytest

from fetcher.net.git_refs import commit_of, parse_refs

A, B, C = "a" * 40, "b" * 40, "c" * 40


def _packet(text: str) -> bytes:
    data = text.encode()
    return b"%04x%s" % (len(data) + 4, data)


def advertisement(*lines: str) -> bytes:
    return _packet("# service=git-upload-pack\n") + b"0000" + b"".join(map(_packet, lines)) + b"0000"


def test_branches_and_peeled_tags_lead_to_commits() -> None:
    """An annotated tag is an object of its own; what it points at is the commit."""
    refs = parse_refs(
        advertisement(
            f"{A} HEAD\0multi_ack agent=git/2\n",
            f"{A} refs/heads/master\n",
            f"{B} refs/tags/v1\n",
            f"{C} refs/tags/v1^{{}}\n",
            f"{B} refs/tags/light\n",
        )
    )
    assert commit_of(refs, "master") == A
    assert commit_of(refs, "v1") == C
    assert commit_of(refs, "light") == B
    assert commit_of(refs, "nothing") is None


def test_a_branch_is_taken_before_a_tag_of_its_name() -> None:
    """As the hub does for `Revision`."""
    refs = parse_refs(advertisement(f"{A} refs/heads/x\n", f"{B} refs/tags/x\n"))
    assert commit_of(refs, "x") == A


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"{}",
        b"001e# service=git-upload-pack\n000",
        b"001e# service=git-upload-pack\nffff" + b"x" * 20,
        b"001e# service=git-upload-pack\n0003",
        b"001f# service=git-receive-pack\n0000",
        advertisement("not a hash refs/heads/master\n"),
        advertisement(f"{'g' * 40} refs/heads/master\n"),
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    """A page of a proxy must not become a commit."""
    with pytest.raises(ValueError, match=r"expected|cut"):
        parse_refs(content)
