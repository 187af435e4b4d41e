"""The quick reader of manifests never says anything that the full one would not."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.core.manifest import Manifest
from fetcher.errors import ConfigError
from fetcher.formats.manifest_plain import plain_manifest
from fetcher.formats.manifest_tables import read_tables
from tests.core.strategies import unhurried

HERE = Path(__file__).parent

TEXTS = st.sampled_from(
    ["", "a", "*.json", "onnx/*", "a\\b", "../x", "/abs/x/", "~/x", ".git", "x/.fetcher", "x/{name}", ".{name}",
     "{name}",      "master", "a b", "a\n", "con", "é", "ms:a/b", "hf:gpt2", "corp:a/b", "git+https://h.example/x",
     "git+ssh://git@h/x",
     "https://h.example/f", "https://h.example/d/", "file:../w", "https://modelscope.cn/models/a/b", "a/b", "nope:a/b",
     "https://h.example", "http://h.example/?q", "modelscope", "git", "TOKEN", "hf_" + "a" * 20, "ca.pem"]
)  # fmt: skip
ODD = st.one_of(st.integers(0, 2), st.booleans(), st.just(1.0), st.just([]), st.just({}), st.just([["a"]]))
VALUES = st.one_of(TEXTS, st.lists(TEXTS, max_size=2), ODD)
KEYS = st.sampled_from(
    ["source", "revision", "include", "exclude", "files", "fallback", "groups", "target", "layout", "sha256", "kind",
     "endpoint", "mirrors", "token-env", "token_env", "ca-file", "other"]
)  # fmt: skip
NAMES = st.sampled_from(["m", "n", "gpt.2", "con", "git", "a b", "corp", "ms", "modelscope", "-x"])
MODELS = st.dictionaries(NAMES, st.dictionaries(KEYS, VALUES, max_size=4) | VALUES, max_size=2)
GOOD_MODEL = st.fixed_dictionaries(
    {"source": st.sampled_from(["ms:a/b", "hf:gpt2", "corp:a/b", "file:../w"])},
    optional={
        "revision": st.sampled_from(["master", "a b"]),
        "include": st.lists(st.sampled_from(["*.json", "é/*", ""]), max_size=3),
        "exclude": st.lists(st.sampled_from(["*.md", "b\\"]), max_size=2),
        "files": st.lists(st.sampled_from(["x", "y/z", "../x", "*"]), max_size=2),
        "fallback": st.lists(st.sampled_from(["ms:a/b", "hf:c/d", "nope:x/y"]), max_size=2),
        "groups": st.lists(st.sampled_from(["g", "h", " "]), max_size=3),
        "target": st.sampled_from(["x", "./y/", "/z/", ".", "..", "~"]),
        "layout": st.sampled_from(["huggingface", "modelscope", "git"]),
    },
)
CORP = {"kind": "modelscope", "endpoint": "https://h.example/", "mirrors": ["https://m.example"], "token-env": "T"}
PATTERNS = st.lists(
    st.sampled_from(["modelscope", "ms:a/*", "corp", "*.example", "pickle", "Mit", "nope", ""]), max_size=2
)
LEVELS = st.sampled_from(["deny", "warn", "allow", "refuse"])
CHOICES = st.fixed_dictionaries({}, optional={**dict.fromkeys(("deny", "warn", "allow"), PATTERNS), "other": LEVELS})
MEASURES = st.dictionaries(
    st.sampled_from(["total", "model", "minimum", "level"]),
    st.sampled_from(["1G", "7d", "12h", "deny", "warn", "x", 1]),
    max_size=3,
)
WAIVERS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"rule": st.sampled_from(["formats", "x"]), "reason": TEXTS, "models": PATTERNS, "files": PATTERNS}
    ),
    max_size=2,
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("sources", "hosts", "licenses", "formats"), CHOICES | ODD),
        **dict.fromkeys(("size", "age"), MEASURES | ODD),
        "waivers": WAIVERS | ODD,
        "other": ODD,
    },
)
FILES = st.fixed_dictionaries(
    {"version": st.just(1) | ODD},
    optional={
        "default-groups": st.lists(st.sampled_from(["g", "h", "i"]), max_size=2) | VALUES,
        "defaults": st.dictionaries(KEYS, VALUES, max_size=2) | ODD,
        "models": st.dictionaries(NAMES, GOOD_MODEL, max_size=3) | MODELS | ODD,
        "sources": st.dictionaries(NAMES, st.just(CORP) | st.dictionaries(KEYS, VALUES, max_size=5), max_size=2) | ODD,
        "policy": POLICIES | ODD,
        "other": ODD,
    },
)


def by_tables(data: dict[str, Any]) -> Manifest | None:
    """What the pydantic tables make of it; None where they refuse it."""
    sources = data.get("sources")
    try:
        return read_tables(data, "", file="m", sources=tuple(sources) if isinstance(sources, dict) else ())
    except ConfigError:
        return None


@given(FILES)
@example({"version": 1, "defaults": {"target": ".{name}"}, "models": {"git": {"source": "ms:a/b"}}})
@example({"version": 1, "models": {"m": {"source": "file:.", "revision": "v"}}})
@example({"version": 1, "models": {"m": {"source": "file:.", "layout": "huggingface"}}})
@example({"version": 1, "defaults": {"target": "hub"}, "models": {"m": {"source": "ms:a/b"}}})
@example({"version": 1, "defaults": {"target": "hub", "layout": "modelscope"}, "models": {"m": {"source": "file:."}}})
@example({"version": 1, "models": {"m": {"source": "ms:a/b", "sha256": "0" * 64}}})
@example({"version": 1, "models": {"m": {"source": "https://h.example/f", "groups": ["g"]}}})
@example({"version": 1, "defaults": {"source": "ms:a/b"}, "models": {}})
@example({"version": 1, "default-groups": ["g"], "models": {"m": {"source": "ms:a/b", "groups": ["g"]}}})
@example({"version": 1, "default-groups": ["h"], "models": {"m": {"source": "ms:a/b", "groups": ["g"]}}})
@example({"version": 1, "policy": {}})
@example({"version": 1, "policy": {"size": {"total": "1G"}, "age": {"minimum": "7d", "level": "warn"}}})
@example({"version": 1, "policy": {"waivers": [{"rule": "age"}]}})
@unhurried
def test_tables_are_read_as_by_pydantic_or_not_at_all(data: dict[str, Any]) -> None:
    """A quick answer that differs would hide a mistake, or lock another file."""
    plain = plain_manifest(data)
    assert plain is None or plain == by_tables(data)


@pytest.mark.parametrize("file", sorted((HERE / "good").glob("*.toml")), ids=lambda path: path.stem)
def test_what_people_write_is_read_quickly(file: Path) -> None:
    """Else every command would load pydantic, and nobody would notice; URLs are the one exception."""
    text = file.read_text("utf-8")
    data = tomllib.loads(text)
    plain = plain_manifest(data)
    assert by_tables(data) is not None
    assert plain == (None if "https://" in str(data.get("models")).replace("git+https", "") else by_tables(data))


@pytest.mark.parametrize("file", sorted((HERE / "bad").glob("*.toml")), ids=lambda path: path.stem)
def test_what_is_wrong_is_left_to_the_other_reader(file: Path) -> None:
    """It knows the line and the fix."""
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        return  # refused before
    assert plain_manifest(data) is None


def test_a_default_target_that_a_name_makes_unsafe_is_refused() -> None:
    """`.{name}` is a folder of git for one name only; the error is one with a fix."""
    data = {"version": 1, "defaults": {"target": ".{name}"}, "models": {"git": {"source": "ms:a/b"}}}
    with pytest.raises(ConfigError, match="lies in a folder of git or of fetcher"):
        read_tables(data, "", file="m", sources=())
