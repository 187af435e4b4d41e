"""Lines of keys in TOML text."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import ConfigError
from fetcher.formats.toml_text import header_path, line_of, outline, parse_toml
from tests.core.strategies import unhurried

TEXT = '''\
version = 1 # "models.gpt2" = 1
[ models . "gpt2" ] # [models.bge]
source = "a"
note = """
[models.bge]
target = 1
"""
include = [
  "x",
]
[models]
bge.source = "b"
[models.'c d']
"e f".g = 1
[[list]]
h = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("version",), 1),
        (("models",), 2),
        (("models", "gpt2"), 2),
        (("models", "gpt2", "source"), 3),
        (("models", "gpt2", "missing"), 2),
        (("models", "gpt2", "target"), 2),
        (("models", "gpt2", "include", 0), 8),
        (("models", "bge", "source"), 12),
        (("models", "bge"), 12),
        (("models", "c d"), 13),
        (("models", "c d", "e f", "g"), 14),
        (("list", 0, "h"), 16),
        (("nothing",), 1),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str | int, ...], line: int) -> None:
    """tomllib tells no lines; comments, strings and quoted keys must not mislead."""
    assert line_of(TEXT, path) == line


@unhurried
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=5), min_size=1, max_size=3))
def test_any_header_is_read_as_tomllib_reads_it(path: list[str]) -> None:
    """Sections of a lock are cut by their headers; tomllib is the judge."""
    quoted = ['"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in path]
    line = f"[{' . '.join(quoted)}]  # a comment"
    inner = tomllib.loads(line)
    for part in path:
        inner = inner[part]
    assert header_path(line) == tuple(path)


@pytest.mark.parametrize("line", ["", "a = 1", "# [a]", "[a", "a]", '["a]', "[a]b", '  ["x", "y"],', "]", "[a..b]"])
def test_other_lines_are_no_headers(line: str) -> None:
    """A list that goes over several lines has lines that begin with a bracket."""
    assert header_path(line) is None


def test_the_outline_keeps_every_position() -> None:
    """Sections are cut from the text at positions that were found in its outline."""
    assert len(outline(TEXT)) == len(TEXT)
    assert outline(TEXT).count("\n") == TEXT.count("\n")
    assert "target" not in outline(TEXT)
    assert '# "models.gpt2" = 1' in outline(TEXT)


def test_a_syntax_error_at_the_end_names_the_last_line() -> None:
    """tomllib says `at end of document`, which helps nobody in a long file."""
    with pytest.raises(ConfigError) as caught:
        parse_toml("a = 1\nb = [\n", file="x.toml", conflict_fix="", twice_fix="")
    assert str(caught.value) == (
        "x.toml, line 2: this is not TOML.\n  reason: Invalid value\n  fix: correct line 2 of x.toml"
    )


def test_equal_signs_in_a_string_are_no_conflict() -> None:
    """Only a file that TOML cannot read is looked at for markers."""
    assert parse_toml('a = """\n=======\n"""', file="x.toml", conflict_fix="", twice_fix="") == {"a": "=======\n"}


def test_a_byte_order_mark_is_ignored() -> None:
    """Some editors on Windows put one before the first key."""
    assert parse_toml("\ufeffa = 1", file="x.toml", conflict_fix="", twice_fix="") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "hinted"),
    [
        ("a = modelscope:x/y", True),
        ("a = v1.0 # a comment", True),
        ("a = 12ab", True),
        ("a = [*.json]", True),
        ("a.b = models/x\r", True),
        ("a = “x”", True),
        ("a = ‘x’", True),
        ("a = «x»", True),
        ("a = \uff02x\uff02", True),
        ("a = “x", True),
        ("a = ", False),
        ("a = 1 2", False),
        ("a = 'x", False),
        ('a = "x', False),
        ('a = "x" b', False),
        ("[a", False),
        ('a = "“x”" "y" # don’t', False),
        (f"a = {'x' * 600}", False),
    ],
)
def test_text_without_straight_quotes_gets_a_hint(text: str, hinted: bool) -> None:
    """`Invalid value` tells nobody what is missing; where quotes are right, the hint would mislead."""
    with pytest.raises(ConfigError) as caught:
        parse_toml(f"{text}\n", file="x.toml", conflict_fix="", twice_fix="")
    hint = 'text goes into straight quotes, such as source = "modelscope:acme/sp"'
    assert (hint in caught.value.facts) == hinted
