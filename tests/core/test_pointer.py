"""Git LFS pointers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import EMPTY_SHA256_HEX, Sha256
from fetcher.core.pointer import Pointer, is_pointer, parse_pointer, pointer_error

_OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{_OID}\nsize 12345\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        _POINTER,
        _POINTER.removesuffix(b"\n"),
        _POINTER.replace(b"https://git-lfs.github.com/spec/v1", b"https://hawser.github.com/spec/v1"),
        _POINTER.replace(b"https://git-lfs.github.com/spec/v1", b"http://git-media.io/v/2"),
    ],
)
def test_what_git_lfs_writes_is_read(content: bytes) -> None:
    """Its spec, and the names of the format that it still reads."""
    assert is_pointer(content)
    assert parse_pointer(content) == Pointer(sha256=Sha256(_OID), size=12345)


def test_the_pointer_of_an_empty_file_is_read() -> None:
    """Some tools write one, although git-lfs itself leaves empty files alone."""
    content = _POINTER.replace(_OID.encode(), EMPTY_SHA256_HEX.encode()).replace(b"12345", b"0")
    assert parse_pointer(content) == Pointer(sha256=Sha256(EMPTY_SHA256_HEX), size=0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_POINTER.replace(b"\n", b"\r\n"), "a git-lfs pointer that cannot be read"),
        (_POINTER.replace(b"size 12345", b"size -1"), "a git-lfs pointer that cannot be read"),
        (_POINTER.replace(b"size 12345", b"size 1e9"), "a git-lfs pointer that cannot be read"),
        (_POINTER.replace(b"sha256:", b"md5:"), "a git-lfs pointer that cannot be read"),
        (_POINTER + b"more\n", "a git-lfs pointer that cannot be read"),
        (
            _POINTER.replace(b"oid ", b"ext-0-crypt sha256:" + b"0" * 64 + b"\noid "),
            "a git-lfs pointer that needs an extension of git-lfs",
        ),
        (
            _POINTER.replace(b"size 12345", b"size 0"),
            "a git-lfs pointer whose hash and size contradict each other",
        ),
    ],
)
def test_a_pointer_that_cannot_be_read_is_one_all_the_same(content: bytes, reason: str) -> None:
    """Taking it for the file would be the trap that pointers are."""
    assert is_pointer(content)
    with pytest.raises(ValueError) as caught:
        parse_pointer(content)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"A pointer begins with\n\n    " + _POINTER,
        _POINTER + b" " * 1024,
        b"version https://example.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1\n",
    ],
)
def test_what_only_speaks_of_pointers_is_none(content: bytes) -> None:
    """A document about git-lfs is a file like any other."""
    assert not is_pointer(content)
    assert parse_pointer(content) is None


@given(st.binary(max_size=64), st.integers(0, len(_POINTER)), st.integers(0, len(_POINTER)))
def test_whatever_the_bytes_there_is_an_answer(noise: bytes, first: int, second: int) -> None:
    """Pointers come from strangers."""
    content = _POINTER[:first] + noise + _POINTER[second:]
    try:
        pointer = parse_pointer(content)
    except ValueError:
        assert is_pointer(content)
    else:
        assert (pointer is not None) == is_pointer(content)


def test_the_error_says_what_came_and_what_it_stands_for() -> None:
    """The person must see that the source, not the network, is at fault."""
    assert str(pointer_error("gpt2/model.bin", _POINTER)) == (
        "The source has a git-lfs pointer instead of gpt2/model.bin.\n"
        f"  stands for: sha256 {_OID}, 12345 bytes\n"
        "  sent: 130 bytes of text\n"
        "  fix: use a source that has the file itself, run `git lfs pull` where the source was copied from, "
        "or add the file to `exclude`"
    )
