"""Hostile servers and files: the short form of `make fuzz`.

No crash without a documented error, no name that leads out of the target.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.oracles import COMMIT
from tests.fuzz.targets import CORPUS, TARGETS

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
names = st.sampled_from(
    [
        "a",
        "a/b",
        "../x",
        "/x",
        "a//b",
        "a/./b",
        "C:/x",
        "a\\b",
        "con",
        "a\0",
        ".git/config",
        "x" * 300,
        "a/" * 80,
        "A",
        "é",
        "é",
    ]
) | st.text(max_size=12)
digests = st.sampled_from(["", "0" * 64, "F" * 64, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"])


def shaped(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A document as the hub's, in which any value may be anything, or be missing."""
    return st.fixed_dictionaries({}, optional={key: value | anything for key, value in keys.items()})


entries = shaped(
    Type=st.sampled_from(["blob", "tree", "symlink"]),
    Path=names,
    Size=st.integers(-1, 1 << 60),
    Sha256=digests,
    Revision=st.just(COMMIT),
)
good_entries = st.fixed_dictionaries(
    {"Type": st.just("blob"), "Path": names, "Size": st.integers(1, 99), "Sha256": st.just("0" * 64)}
)
data = shaped(
    Files=st.lists(entries | good_entries, max_size=4),
    LatestCommitter=shaped(ShortId=st.just(COMMIT[:8])),
    TotalCount=st.integers(-1, 9),
    Commit=st.lists(shaped(Id=st.just(COMMIT)), max_size=2),
    RevisionMap=shaped(Branches=st.lists(shaped(Revision=st.text(max_size=5)), max_size=2)),
)
nearly_good = st.fixed_dictionaries(
    {"Files": st.lists(good_entries, min_size=1, max_size=3), "LatestCommitter": st.just({"ShortId": COMMIT[:8]})}
).map(lambda found: {"Code": 200, "Success": True, "Data": found})
envelopes = shaped(Code=st.sampled_from([200, 404, 403, 10990101007]), Success=st.booleans(), Message=names, Data=data)


@settings(max_examples=150, deadline=2000, suppress_health_check=list(HealthCheck))
@given(envelopes | nearly_good)
def test_no_answer_of_a_hub_is_a_crash(document: Any) -> None:
    """Each value of the answer may be of any type, be missing, or be hostile."""
    TARGETS["listing"](json.dumps(document).encode())


pages = st.lists(
    shaped(
        type=st.sampled_from(["file", "directory", "symlink"]),
        path=names,
        size=st.integers(-1, 1 << 60),
        oid=st.sampled_from(["9" * 40, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "x"]),
        lfs=st.none() | shaped(oid=digests, size=st.integers(-1, 9)),
    ),
    max_size=4,
)
links = st.sampled_from(["", '</x?cursor=2>; rel="next"', '<http://[>; rel="next"', "<?>;rel=next"]) | st.text(
    max_size=30
)
codes = st.sampled_from(["", "GatedRepo", "RepoNotFound", "RevisionNotFound", "EntryNotFound"]) | st.text(max_size=9)


@settings(max_examples=150, deadline=2000, suppress_health_check=list(HealthCheck))
@given(pages | shaped(sha=st.just(COMMIT)) | anything, links, codes, st.sampled_from([200, 401, 403, 404, 429]))
def test_no_answer_of_hugging_face_is_a_crash(document: Any, link: str, code: str, status: int) -> None:
    """Pages, the links between them, and refusals."""
    head = "\n".join([str(status), *(text.replace("\n", " ") for text in (code, link))])
    TARGETS["huggingface"](head.encode("latin-1", "replace") + b"\n" + json.dumps(document).encode())


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60, deadline=2000, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=200))
def test_no_bytes_are_a_crash(target: str, content: bytes) -> None:
    """Garbage is refused everywhere."""
    TARGETS[target](content)


@pytest.mark.parametrize(
    "path", sorted(CORPUS.rglob("*.seed")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)  # what was found once, and where the search begins
def test_the_kept_corpus_is_green(path: Any) -> None:
    """A crash that was found by `make fuzz` stays here."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus() -> None:
    """A search from nothing finds only the first check of a parser."""
    assert {path.parent.name for path in CORPUS.rglob("*.seed")} == set(TARGETS)
