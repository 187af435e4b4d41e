"""The two sides of a lock with conflict markers."""

import pytest

from fetcher.errors import ConfigError
from fetcher.formats.conflict import has_markers, read_side, sides_of

_DIFF3 = "a\n<<<<<<< ours\nb\n||||||| base\n<<<<<<<<< x\nold\n=========\n>>>>>>>>> y\n=======\nc\n>>>>>>> theirs\nd\n"


def test_both_styles_of_markers_give_the_same_sides() -> None:
    """merge.conflictStyle is a matter of taste; a base may hold the markers of a merge within the merge."""
    plain = "a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\nd\n"
    assert sides_of(plain, file="f") == sides_of(_DIFF3, file="f") == ("a\nb\nd\n", "a\nc\nd\n")
    assert has_markers(plain)
    assert not has_markers("a = '<<<<<<< x'\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [("<<<<<<< a\nb\n=======\n", 4), ("a\n=======\n", 2), ("<<<<<<< a\n<<<<<<< b\n", 2), ("<<<<<<< a\n>>>>>>> b\n", 2)],
)
def test_markers_that_do_not_pair_are_no_sides(text: str, line: int) -> None:
    """Somebody has begun to edit; a guess could lose a model."""
    with pytest.raises(ConfigError) as caught:
        sides_of(text, file="models.lock")
    assert str(caught.value) == (
        f"models.lock, line {line}: the conflict markers do not pair.\n"
        "  fix: restore them with `git checkout --merge models.lock`, then run `fetcher lock`"
    )


def test_a_section_that_cannot_be_read_costs_no_other() -> None:
    """git may have put half of one section into another."""
    good = (
        f'[models.b]\nsource = "ms:o/b"\ncommit = "{"1" * 40}"\ntree = "sha256:{"2" * 64}"\n\n'
        f'[models.b.requested]\n\n[models.b.files]\n"x" = "sha256:{"3" * 64} 1"'
    )
    side = read_side(f'version = 1\n\n[models.a]\nsource = "ms:o/a"\n\n{good}\n', file="models.lock")
    assert {name: model is not None for name, model in side.models.items()} == {"a": False, "b": True}
    assert side.sections["b"] == good


def test_a_side_of_a_newer_version_is_refused() -> None:
    """Its sections may mean something else."""
    with pytest.raises(ConfigError, match="version"):
        read_side("version = 2\n", file="models.lock")
