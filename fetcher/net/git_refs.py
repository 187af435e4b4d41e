"""Git's list of refs, as a server advertises it (gitprotocol-http, smart).  Pure.

Promise (tests/net/test_git_refs.py): what is not exactly such a list is a ValueError.
"""

import re
from collections.abc import Iterator

CONTENT_TYPE = "application/x-git-upload-pack-advertisement"

_REF = re.compile(rb"([0-9a-f]{40}) ([^\x00\n]+)(?:\x00[^\n]*)?\n?")


def parse_refs(content: bytes) -> dict[str, str]:
    """Ref -> commit or tag object; `refs/tags/X^{}` is what the tag X points at.

    Raises:
        ValueError: Not an advertisement of refs.
    """
    lines = list(_packets(content))
    if not lines or lines[0].rstrip(b"\n") != b"# service=git-upload-pack":
        raise ValueError("expected an advertisement of git-upload-pack")
    refs = {}
    for line in lines[1:]:
        found = _REF.fullmatch(line)
        if not found:
            raise ValueError("expected a line with an object and a ref")
        refs[found[2].decode("utf-8", "replace")] = found[1].decode("ascii")
    return refs


def commit_of(refs: dict[str, str], revision: str) -> str | None:
    """The commit of a branch, else of a tag, else None."""
    tag = f"refs/tags/{revision}"
    return refs.get(f"refs/heads/{revision}") or refs.get(f"{tag}^{{}}") or refs.get(tag)


def _packets(content: bytes) -> Iterator[bytes]:
    """The pkt-lines of a reply, flush packets left out."""
    at = 0
    while at < len(content):
        digits = content[at : at + 4]
        if not re.fullmatch(rb"[0-9a-f]{4}", digits):
            raise ValueError("expected a pkt-line")
        size = int(digits, 16)
        if size == 0:
            at += 4
            continue
        if size < 4 or at + size > len(content):
            raise ValueError("a pkt-line is cut")
        yield content[at + 4 : at + size]
        at += size
