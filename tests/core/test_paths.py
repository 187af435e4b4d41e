"""Names that come from outside: what is let in, and that it can do no harm."""

import ntpath
import posixpath
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.paths import MAX_PART_BYTES, MAX_PATH_BYTES, ModelName, RepoPath, fold, refuse_twins
from tests.core.strategies import paths, unhurried

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "/etc/passwd",
    "//server/share",
    "C:/x",
    "c:x",
    "a\\b",
    "..\\x",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\ud800b",
    "nul",
    "a/CON",
    "Com1.txt",
    "lpt¹",
    "aux.tar.gz",
    "conin$",
    "file:stream",
    "dir./x",
    "x ",
    "longer-than-reserved /x",
    "a" * (MAX_PART_BYTES + 1),
    "é" * 128,
    "a/" * (MAX_PATH_BYTES // 2) + "a",
]
HARMLESS = [
    "a",
    ".gitattributes",
    "...a",
    "onnx/model.onnx",
    "a b/c",
    "console/x",
    "com10",
    "中文/模型.bin",
    "~",
    "-rf",
]

# Text made of the pieces that break path checks, so that hypothesis meets them often.
tricky = st.lists(
    st.sampled_from(["..", ".", "/", "\\", "C:", "a", "A", "nul", " ", "~", "\0", "é", ":", "...", "\u202e"]),
    max_size=8,
).map("".join) | st.text(max_size=20)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_path_is_refused(text: str) -> None:
    """Design 4, rule 8 lists them; a listing or a lock with such a path must not reach a disk."""
    with pytest.raises(ValueError, match="unsafe path"):
        RepoPath(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_path_is_let_in_unchanged(text: str) -> None:
    """Real repositories have such names; refusing them would make the model unusable."""
    assert RepoPath(text) == text


@unhurried
@given(tricky)
def test_a_repo_path_stays_inside_its_folder_on_every_system(text: str) -> None:
    """Judged by the path rules of POSIX and of Windows, which the code under test does not ask."""
    try:
        path = RepoPath(text)
    except ValueError:
        return
    assert posixpath.normpath(posixpath.join("/target", path)) == f"/target/{path}"
    inside = ntpath.normpath(ntpath.join("D:\\root", path))
    assert inside == "D:\\root\\" + path.replace("/", "\\")


@unhurried
@given(st.lists(paths, max_size=6))
def test_a_list_without_twins_lands_on_as_many_files(chosen: list[str]) -> None:
    """A file system that ignores case and Unicode form must hold every file of an accepted list."""
    try:
        refuse_twins(chosen)
    except ValueError:
        return
    forms = [unicodedata.normalize("NFD", path).lower() for path in chosen]
    assert len(set(forms)) == len(chosen)
    assert not [one for one in forms for other in forms if other.startswith(f"{one}/")]


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "a"), ("README.md", "readme.MD"), ("é", "e\u0301"), ("straße", "STRASSE"), ("a/B/c", "a/b/c"), ("ſ", "s")],
)
def test_twins_are_refused_and_named(one: str, other: str) -> None:
    """Which of two twins would win depends on the file system, so neither may."""
    with pytest.raises(ValueError, match="would be the same file on some systems") as caught:
        refuse_twins(["x", one, other])
    assert repr(one) in str(caught.value)
    assert repr(other) in str(caught.value)


@pytest.mark.parametrize("order", [["a/b/c", "A/b"], ["a/b", "a/b/c/d"]])
def test_a_file_that_is_a_folder_of_another_is_refused(order: list[str]) -> None:
    """Both cannot exist at once; in either order of the list."""
    for chosen in (order, order[::-1]):
        with pytest.raises(ValueError, match="is a file and also a directory of"):
            refuse_twins(chosen)


def test_neighbours_are_no_twins() -> None:
    """A folder shared by two files, and a name that begins like another, are normal."""
    refuse_twins(["a/b", "a/c", "ab", "a.b", "b/a", "中/文", "中/模"])


@unhurried
@given(paths)
def test_folding_twice_changes_nothing_more(path: str) -> None:
    """Twins are found by comparing folded forms once, so folding must have settled."""
    assert fold(fold(path)) == fold(path)


@pytest.mark.parametrize(
    "text", ["", "..", "../x", "a/b", "-a", ".a", "a b", "nul", "COM1", "a.", "é", "a" * 101, "a\n"]
)
def test_an_unsafe_model_name_is_refused(text: str) -> None:
    """The name becomes a folder and a part of a variable's name."""
    with pytest.raises(ValueError, match="unsafe name"):
        ModelName(text)


@pytest.mark.parametrize("text", ["a", "gpt2", "Qwen2.5-7B_Instruct", "0", "a" * 100])
def test_a_model_name_as_people_write_them_is_let_in(text: str) -> None:
    """Names of real models hold dots, dashes and digits."""
    assert ModelName(text) == text
