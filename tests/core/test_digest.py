"""Hashes and commits: what is read, what is refused, and the tree digest."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import EMPTY_SHA256, Commit, Sha256, is_commit, tree_digest
from tests.core.strategies import paths, sha256s, unhurried

GOOD = "1c0491aef4e26272a533612749e73e47b0db5293a4fa46e44c16b6330ea6c3bc"


@pytest.mark.parametrize(
    "text", ["", GOOD[:-1], GOOD + "0", GOOD.upper(), GOOD[:-1] + "g", GOOD + "\n", " " + GOOD[1:]]
)
def test_what_is_not_a_sha256_is_refused(text: str) -> None:
    """An object's file name is its digest, so nothing else may pass for one."""
    with pytest.raises(ValueError, match="64 hex digits"):
        Sha256(text)
    with pytest.raises(ValueError, match="64 hex digits"):
        Sha256.parse(f"sha256:{text}")


@pytest.mark.parametrize("text", [GOOD, f"md5:{GOOD}", f"SHA256:{GOOD}", f"sha256:sha256:{GOOD}"])
def test_a_digest_without_its_own_prefix_is_refused(text: str) -> None:
    """Another algorithm's digest must not be taken for a sha256."""
    with pytest.raises(ValueError, match="64 hex digits"):
        Sha256.parse(text)


def test_a_prefixed_digest_is_read_and_written_back() -> None:
    """models.lock writes digests with their algorithm."""
    assert Sha256.parse(f"sha256:{GOOD}").prefixed == f"sha256:{GOOD}"


def test_the_digest_of_nothing_is_the_known_one() -> None:
    """An empty file is real; its digest is published (FIPS 180-4 test values)."""
    assert EMPTY_SHA256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("text", ["master", "v1", "83ee97c", "A" * 40, "0" * 39, "0" * 41, "0" * 63, "0" * 40 + "\n"])
def test_what_is_not_a_full_commit_is_refused(text: str) -> None:
    """A branch or a short hash can move; a pin must not."""
    assert not is_commit(text)
    with pytest.raises(ValueError, match="full commit"):
        Commit(text)


@pytest.mark.parametrize("text", ["0" * 40, "f" * 64])
def test_a_full_commit_is_let_in(text: str) -> None:
    """Git's 40 digits, and 64 for folders and URLs."""
    assert is_commit(text)
    assert Commit(text) == text


def test_the_tree_digest_is_that_of_the_written_rule() -> None:
    """Design 3: sha256 over the sorted lines `<sha256> <size> <path>\\n`; others must get the same value."""
    lines = [("b" * 64, 2, "a.txt"), ("a" * 64, 10, "é/z.bin")]
    by_hand = f"{'a' * 64} 10 é/z.bin\n{'b' * 64} 2 a.txt\n"
    assert tree_digest(lines) == hashlib.sha256(by_hand.encode()).hexdigest()


@unhurried
@given(st.lists(st.tuples(sha256s, st.integers(0, 2**63), paths), max_size=5, unique=True), st.randoms())
def test_the_order_of_the_files_does_not_matter(lines: list[tuple[str, int, str]], random: object) -> None:
    """A listing may come in any order and must give the same lock."""
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tree_digest(shuffled) == tree_digest(lines)


@unhurried
@given(st.lists(st.tuples(sha256s, st.integers(0, 2**63), paths), min_size=1, max_size=4, unique=True))
def test_every_field_of_every_file_counts(lines: list[tuple[str, int, str]]) -> None:
    """A changed size, name or hash, or a missing file, must show in the digest."""
    sha256, size, path = lines[0]
    others = lines[1:]
    flipped = ("0" if sha256[0] != "0" else "1") + sha256[1:]
    for changed in ([], [(sha256, size + 1, path)], [(sha256, size, path + "x")], [(flipped, size, path)]):
        assert tree_digest([*others, *changed]) != tree_digest(lines)
