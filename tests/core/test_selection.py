"""Which files a model takes: the official tools' patterns, and what beats what."""

from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import EMPTY_SHA256, Sha256
from fetcher.core.interfaces import RemoteFile
from fetcher.core.manifest import Requested
from fetcher.core.paths import RepoPath
from fetcher.core.selection import select
from fetcher.errors import IntegrityError, NotFoundError
from tests.core.strategies import unhurried

OFFERED = ["README.md", "config.json", "model.bin", "onnx/config.json", "onnx/deep/model.onnx", "onnx.txt"]

words = st.lists(st.sampled_from(["a", "b", "/", "*", "?", "[ab]", "[!a]", ".", "A"]), min_size=1, max_size=5).map(
    "".join
)
names = st.sampled_from(["a", "b", "ab", "A", "a.b", "a/b", "b/a", "a/b/a", "b/.a", "AB", "b.b/a"])


def offered(paths: list[str]) -> list[RemoteFile]:
    return [RemoteFile(path=RepoPath(path), size=0, sha256=EMPTY_SHA256) for path in paths]


def taken(paths: list[str], requested: Requested) -> list[str]:
    return [str(file.path) for file in select(offered(paths), requested, model="m").files]


def expected(paths: list[str], requested: Requested) -> set[str]:
    """What the official clients do: `pattern + "*"` for a trailing slash, then fnmatchcase on the whole path."""

    def hit(path: str, patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(path, p + "*" if p.endswith("/") else p) for p in patterns)

    everything = not requested.include and not requested.files
    by_pattern = {p for p in paths if (everything or hit(p, requested.include)) and not hit(p, requested.exclude)}
    return by_pattern | set(requested.files)


@unhurried
@given(
    st.lists(names, min_size=1, max_size=6, unique=True),
    st.lists(words, max_size=2),
    st.lists(words, max_size=2),
    st.data(),
)
def test_a_selection_is_what_the_official_rule_gives(
    paths: list[str], include: list[str], exclude: list[str], data: st.DataObject
) -> None:
    """The same flags must take the same files as `modelscope download` and `hf download`."""
    files = data.draw(st.lists(st.sampled_from(paths), max_size=2, unique=True))
    requested = Requested(include=tuple(include), exclude=tuple(exclude), files=tuple(files))
    wanted = expected(paths, requested)
    if wanted:
        assert taken(paths, requested) == sorted(wanted)
    else:
        with pytest.raises(NotFoundError):
            select(offered(paths), requested, model="m")


@pytest.mark.parametrize(
    ("include", "result"),
    [
        ((), sorted(OFFERED)),
        (("onnx/*",), ["onnx/config.json", "onnx/deep/model.onnx"]),
        (("onnx/",), ["onnx/config.json", "onnx/deep/model.onnx"]),
        (("*.json",), ["config.json", "onnx/config.json"]),
        (("config.json",), ["config.json"]),
        (("readme.md", "model.*"), ["model.bin"]),
        (("onnx",), None),
    ],
)
def test_patterns_mean_what_design_2_says(include: tuple[str, ...], result: list[str] | None) -> None:
    """`*` crosses `/`, a trailing `/` is everything below, case counts, a folder's bare name is no file."""
    if result is None:
        with pytest.raises(NotFoundError):
            taken(OFFERED, Requested(include=include))
    else:
        assert taken(OFFERED, Requested(include=include)) == result


def test_exclude_beats_include() -> None:
    """Otherwise `include = ["*"]` would undo every exclude."""
    assert taken(OFFERED, Requested(include=("onnx/*",), exclude=("*.json",))) == ["onnx/deep/model.onnx"]


def test_a_name_in_files_beats_exclude() -> None:
    """A file that is named exactly is meant."""
    requested = Requested(files=("README.md",), exclude=("*.md",))
    assert taken(OFFERED, requested) == ["README.md"]


def test_files_alone_take_nothing_else() -> None:
    """`files` without `include` is the whole wish; with it, both count."""
    assert taken(OFFERED, Requested(files=("model.bin",))) == ["model.bin"]
    assert taken(OFFERED, Requested(files=("model.bin",), include=("*.txt",))) == ["model.bin", "onnx.txt"]


def test_patterns_that_match_nothing_are_named() -> None:
    """They are a warning at lock time: most often a slip of the pen."""
    requested = Requested(include=("*.json", "*.jsn"), exclude=("*.md", "*.tflite"))
    assert select(offered(OFFERED), requested, model="m").idle_patterns == ("*.jsn", "*.tflite")


def test_a_name_that_does_not_exist_is_an_error_with_the_closest_names() -> None:
    """Design 2; the message is compared whole."""
    with pytest.raises(NotFoundError) as caught:
        taken(OFFERED, Requested(files=("confg.json", "model.onnx", "zzz")))
    assert str(caught.value) == (
        "m: 3 of the names in `files` do not exist upstream.\n"
        "  missing: confg.json (closest: config.json, onnx/config.json)\n"
        "  missing: model.onnx (closest: onnx/deep/model.onnx, model.bin)\n"
        "  missing: zzz\n"
        "  fix: correct `files` of [models.m] in models.toml"
    )


def test_a_model_without_any_file_is_an_error_that_shows_files() -> None:
    """Design 2; an empty model would look like success."""
    with pytest.raises(NotFoundError) as caught:
        taken(OFFERED, Requested(include=("*.gguf", "modl.bin"), exclude=("*.md",)))
    assert str(caught.value) == (
        "m: no file is left after include and exclude.\n"
        "  include: *.gguf, modl.bin\n"
        "  exclude: *.md\n"
        "  files upstream: 6, such as model.bin\n"
        "  fix: correct the patterns of [models.m] in models.toml"
    )


def test_what_is_no_file_is_refused_by_name_when_it_is_chosen() -> None:
    """A model that lacks a link in silence may not run; one that excludes it is not stopped."""
    link = RemoteFile(path=RepoPath("latest.bin"), size=0, sha256=None, obstacle="a symbolic link")
    files = [RemoteFile(path=RepoPath("a.bin"), size=1, sha256=Sha256("0" * 64)), link]
    with pytest.raises(IntegrityError) as caught:
        select(files, Requested(), model="m")
    assert str(caught.value) == (
        "m: 1 of the chosen names cannot be taken.\n"
        "  latest.bin: a symbolic link\n"
        "  fix: add them to `exclude` of [models.m] in models.toml"
    )
    assert len(select(files, Requested(exclude=("latest.*",)), model="m").files) == 1
    many = [replace(link, path=RepoPath(f"{number:02}")) for number in range(12)]
    with pytest.raises(IntegrityError) as caught:
        select(many, Requested(), model="m")
    assert caught.value.facts[-2:] == ("09: a symbolic link", "and 2 more")
