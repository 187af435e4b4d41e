"""Three versions of a lock, merged model by model: what git's driver does."""

import random

import pytest

from fetcher.core.paths import ModelName
from fetcher.formats.conflict import sides_of
from fetcher.formats.lock_lines import END
from fetcher.formats.lock_merge import Merged, merge_locks
from fetcher.formats.lock_toml import read_lock
from tests.formats.test_lock_merge import (
    BASE,
    D,
    Models,
    edited,
    mended,
    model,
    text_of,
    union_of,
    unsealed,
    with_pattern,
)

_TEXT = text_of(BASE)


def _merged(base: Models, ours: Models, theirs: Models) -> Merged:
    found = merge_locks(*map(text_of, (base, ours, theirs)))
    assert found is not None
    return found


def test_any_two_changes_give_the_lock_of_both_or_both_in_full() -> None:
    """The same worlds as of git's own merge (test_lock_merge.py): no conflict without need, and nothing is lost."""
    dice, names, stopped = random.Random(7), list("abcdefgh"), 0
    for _ in range(80):
        base = {name: model(name) for name in names if dice.random() < 0.6}
        ours, theirs = (edited(base, dice.sample(names, 2), dice) for _ in range(2))
        wanted, found = union_of(ours, base, theirs), _merged(base, ours, theirs)
        assert bool(found.conflicts) == (wanted is None)
        if wanted is not None:
            assert found.text == mended(found.text) == text_of(wanted)
            continue
        stopped += 1
        sides = (read_lock(side, file="models.lock").lock.models for side in sides_of(found.text, file="models.lock"))
        for told, side in zip(sides, (ours, theirs), strict=True):
            assert [told.get(ModelName(name)) for name in found.conflicts] == [side.get(n) for n in found.conflicts]
    assert stopped >= 20


def test_a_conflict_is_left_between_markers_of_the_length_that_git_asks_for() -> None:
    """Within a merge of bases they are longer, so that they are not taken for those of the merge itself."""
    ours, theirs = {**BASE, "b": model("b", "2")}, {"a": model("a", "4"), "c": BASE["c"]}
    found = merge_locks(_TEXT, text_of(ours), text_of(theirs), marker_size=9)
    assert found is not None
    assert found.conflicts == ("b",)
    section = text_of({"b": model("b", "2")}).split("\n\n", 1)[1].removesuffix(f"{END}\n")
    before, after = text_of({"a": model("a", "4")}).removesuffix(f"{END}\n"), text_of({"c": BASE["c"]})
    assert found.text == (
        f"{before}<<<<<<<<< ours\n{section}=========\n>>>>>>>>> theirs\n{after.split(chr(10) * 2, 1)[1]}"
    )


def test_a_base_that_is_a_merge_with_conflicts_is_no_witness_for_what_it_left_open() -> None:
    """git merges the bases of criss-crossing branches first, by this same driver."""
    old = {**BASE, "b": model("b", "2")}, {**BASE, "b": model("b", "3")}
    base = merge_locks(_TEXT, *map(text_of, old), marker_size=9)
    assert base is not None
    ours, theirs = {**old[0], "a": model("a", "5")}, old[1]
    found = merge_locks(base.text, text_of(ours), text_of(theirs))
    assert found is not None
    assert found.conflicts == ("b",)
    assert sides_of(found.text, file="f") == (text_of(ours), text_of({**theirs, "a": model("a", "5")}))
    assert merge_locks(base.text, text_of(ours), text_of(ours)) == Merged(text=text_of(ours), conflicts=())


def test_a_lock_that_both_sides_added_has_no_base() -> None:
    """git gives an empty file for it."""
    found = merge_locks("", text_of({"a": BASE["a"], "b": BASE["b"]}), text_of({"a": BASE["a"], "b": model("b", "2")}))
    assert found is not None
    assert found.conflicts == ("b",)
    found = merge_locks("", text_of({"a": BASE["a"]}), text_of({"a": BASE["a"], "d": D}))
    assert found == Merged(text=text_of({"a": BASE["a"], "d": D}), conflicts=())


def test_what_an_older_fetcher_wrote_is_merged_too() -> None:
    """It has neither a seal nor a last line."""
    theirs = unsealed(text_of({**BASE, "d": D}))
    found = merge_locks(unsealed(_TEXT), unsealed(text_of({**BASE, "b": model("b", "2")})), theirs)
    assert found is not None
    assert found.conflicts == ()
    assert found.text == unsealed(text_of({**BASE, "b": model("b", "2"), "d": D})) + f"\n{END}\n"


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(_TEXT.replace("version = 1", "version = 2"), id="newer"),
        pytest.param(f"<<<<<<< a\n=======\n>>>>>>> b\n{_TEXT}", id="markers that were committed"),
        pytest.param(_TEXT.replace("\n\n[models.b]", "\n[models.b]"), id="edited"),
        pytest.param(f"{_TEXT}\n# mine\n", id="a comment at the end"),
        pytest.param(_TEXT + _TEXT.split("\n\n", 1)[1], id="twice"),
        pytest.param(_TEXT.replace("[models.a]", "[models]\nx = 1\n\n[models.a]"), id="a table of all models"),
        pytest.param("", id="emptied"),
    ],
)
def test_what_is_not_as_fetcher_writes_it_is_left_to_git(odd: str) -> None:
    """Taken apart and put together again it would not be what it was; git's merge of lines loses nothing."""
    ours = text_of({**BASE, "b": with_pattern(BASE["b"], "*.zip")})
    assert merge_locks(_TEXT, odd, ours) is None
    assert merge_locks(_TEXT, ours, odd) is None


def test_line_ends_and_a_mark_at_the_beginning_do_not_matter() -> None:
    """A checkout on Windows may have both."""
    theirs = text_of({**BASE, "d": D})
    found = merge_locks(_TEXT.replace("\n", "\r\n"), f"\ufeff{_TEXT}", theirs.replace("\n", "\r\n"))
    assert found == Merged(text=theirs, conflicts=())
