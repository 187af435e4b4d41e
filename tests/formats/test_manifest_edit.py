"""models.toml edited: what is left keeps its bytes, and what comes out says what was meant."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import ConfigError
from fetcher.formats.manifest_edit import default_groups, entry_names, with_entry, without_default_groups, without_entry
from fetcher.formats.manifest_entry import Entry

_EXAMPLE = (Path(__file__).parents[2] / "models.toml.example").read_text(encoding="utf-8")
_NEW = Entry(name="new", source="hf:a/b", exclude=("*.md",), groups=("x",), fallback=("ms:a/b",))
_SECTION = '[models.new]\nsource = "hf:a/b"\nexclude = ["*.md"]\nfallback = ["ms:a/b"]\ngroups = ["x"]\n'


def _with(text: str, entry: Entry = _NEW) -> str:
    return with_entry(text, entry, file="models.toml")


def _without(text: str, name: str) -> str:
    return without_entry(text, name, file="models.toml")


def test_a_new_entry_stands_behind_the_last_model_and_changes_nothing_else() -> None:
    """The comment above [sources.corp] speaks of that, and stays with it."""
    before, after = _EXAMPLE.split("# A hub of your own")
    assert _with(_EXAMPLE) == f"{before}{_SECTION}\n# A hub of your own{after}"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", _SECTION),
        ("version = 1", f"version = 1\n\n{_SECTION}"),
        ("version = 1\n", f"version = 1\n\n{_SECTION}"),
        ("version = 1\n\n", f"version = 1\n\n{_SECTION}"),
        ("version = 1\n# nothing yet", f"version = 1\n# nothing yet\n\n{_SECTION}"),
        ("[models.a]\nsource = 'x'\n# below\n", f"[models.a]\nsource = 'x'\n# below\n\n{_SECTION}"),
        ("[models.a]\nsource = 'x'\n[defaults]\n", f"[models.a]\nsource = 'x'\n\n{_SECTION}[defaults]\n"),
        ("[models]\na.source = 'x'\n", f"[models]\na.source = 'x'\n\n{_SECTION}"),
        ("\ufeffversion = 1\r\n", f"\ufeffversion = 1\r\n\r\n{_SECTION}".replace("\n", "\r\n").replace("\r\r", "\r")),
    ],
)
def test_where_it_stands(text: str, whole: str) -> None:
    """At the end, with a blank line before it, in the line breaks of the file."""
    assert _with(text) == whole


def test_an_entry_goes_with_the_comment_right_above_it() -> None:
    """And with its tables, wherever they stand; other comments stay with what they speak of."""
    text = (
        "# of the file\n\n[models.a]\nsource = 'x'\n# still of a\n\n# alone\n\n# of q\n[sources.q]\nk = 1\n\n"
        "# of b\n[models.b]\nsource = 'y'\n\n[models.a.files]\nf = 'g'\n\n# the end\n"
    )
    assert _without(text, "a") == (
        "# of the file\n\n# alone\n\n# of q\n[sources.q]\nk = 1\n\n# of b\n[models.b]\nsource = 'y'\n\n# the end\n"
    )
    assert _without(text, "b") == text.replace("# of b\n[models.b]\nsource = 'y'\n\n", "")


def test_what_looks_like_a_header_in_a_text_is_none() -> None:
    """Nor does a text in the way of the lines bring its neighbours down."""
    text = '[models.a]\nsource = """\n[models.b]\n"""\n\n[models.b]\nsource = "y" # [models.c]\n'
    assert _without(text, "b") == '[models.a]\nsource = """\n[models.b]\n"""\n'
    assert tomllib.loads(_without(text, "a")) == {"models": {"b": {"source": "y"}}}


@pytest.mark.parametrize(
    ("text", "without_a"),
    [
        (
            '[models]\na = { source = "x" } # a\n# of b\nb = { source = "y" }\n',
            '[models]\n# of b\nb = { source = "y" }\n',
        ),
        ('models.a.source = "x"\n# c\nmodels.b.source = "y" # z\n', '# c\nmodels.b.source = "y" # z\n'),
        ('models = {a = {source = "x"}, b = {source = "y"}} # z\n', 'models = { b = {source = "y"}} # z\n'),
    ],
)
def test_entries_in_other_forms(text: str, without_a: str) -> None:
    """Inline tables and dotted keys are TOML too."""
    assert _without(text, "a") == without_a
    more = tomllib.loads(_with(text))["models"]
    assert (list(more), more["new"]["exclude"]) == (["a", "b", "new"], ["*.md"])


def test_what_cannot_be_edited_is_an_error() -> None:
    """Rather than a file that says something else."""
    with pytest.raises(ConfigError, match="cannot edit"):
        _with("version = 1\rmodels = {}\r")


def test_names_of_groups_go_and_the_rest_of_the_list_stays() -> None:
    """Its comments too."""
    text = (
        'version = 1\ndefault-groups = [\n  "a",\n  "b", # for b\n  "c", # for c\n] # all\n\n[models.m]\nsource = "x"\n'
    )
    done = without_default_groups(text, ["a"], file="models.toml")
    assert tomllib.loads(done)["default-groups"] == default_groups(done) == ["b", "c"]
    assert done.endswith('"c", # for c\n] # all\n\n[models.m]\nsource = "x"\n')


def test_names_are_told_also_of_a_file_with_mistakes() -> None:
    """So that a broken entry can be removed."""
    assert entry_names("[models.a]\nsorce = 1\n[models.b]\n") == ["a", "b"]
    assert entry_names("[models.a\n") == entry_names("models = 1\n") == default_groups("[") == []


_NAMES = st.lists(st.sampled_from(["a", "b", "c.d", "e-f", "new"]), unique=True, min_size=1)
_GAPS = st.sampled_from(["", "\n", "\n\n", "# note\n", "\n# note\n\n", "\n# note\n"])
_KEYS = st.sampled_from(
    ['source = "x"\n', 'source = "x" # why\n', 'include = [\n  "a", # [models.a]\n\n  "b",\n]\n', "", 'files.f = "g"\n']
)


@st.composite
def _texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    names = draw(_NAMES)
    text = draw(
        st.sampled_from(["", "version = 1\n", "# top\nversion = 1\n\n", '#:schema x\n[defaults]\nexclude = ["[a]"]\n'])
    )
    for name in names:
        text += f'{draw(_GAPS)}[models."{name}"]\n{draw(_KEYS)}'
        if draw(st.booleans()):
            text += f"{draw(_GAPS)}[sources.{draw(st.uuids())}]\nk = 1\n"
    return text + draw(_GAPS), names


def _filled(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


@given(case=_texts(), end=st.sampled_from(["\n", "\r\n"]))
def test_every_other_line_stays(case: tuple[str, list[str]], end: str) -> None:
    """An entry put in is lines more in one place; one cut out is lines fewer, none of another table's."""
    text, names = case[0].replace("\n", end), case[1]
    entry = Entry(name="x.y", source="hf:a/b")
    more = _with(text, entry)
    added = entry.text.replace("\n", end)
    before, found, after = more.partition(added)
    assert found
    assert before + after == text or (before.removesuffix(end) + after) in (text, text + end)
    assert _filled(_without(more, "x.y")) == _filled(text)
    for name in names:
        lines, left = text.split("\n"), _without(text, name).split("\n")
        rest = iter(lines)
        assert all(line in rest for line in left)  # in their order
        assert not {line for line in lines if line.startswith(("[sources", "version", "#:schema"))} - set(left)
