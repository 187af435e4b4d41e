"""Which tags are newer than what is pinned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Commit
from fetcher.core.tags import Tag, newer_tags

_HERE, _ELSEWHERE = Commit("a" * 40), Commit("b" * 40)


def _newer(names: list[str], pinned: str) -> list[str]:
    tags = [Tag(name=name, commit=_HERE if name == pinned else _ELSEWHERE) for name in names]
    by_name = [tag.name for tag in newer_tags(tags, revision=pinned, commit=_HERE)]
    assert by_name == [tag.name for tag in newer_tags(tags, revision=_HERE, commit=_HERE)]
    return by_name


@pytest.mark.parametrize(
    ("pinned", "names", "newer"),
    [
        ("v1.2", ["v1.10", "v1.1", "v2.0", "v1.2"], ["v1.10", "v2.0"]),
        ("1.0", ["1.0.0", "1.0.1", "1.0-rc2", "v2.0"], ["1.0.1"]),
        ("v1.0-rc1", ["v1.0", "v1.0-rc1", "v2.0-rc1"], ["v2.0-rc1"]),
        ("2024.05.01", ["2023.12.31", "2024.11.02"], ["2024.11.02"]),
        ("v1.0", ["2024-05-01", "final", "", "v"], []),
        ("final", ["v1", "v2"], []),
    ],
)
def test_names_that_are_alike_are_compared_by_their_numbers(pinned: str, names: list[str], newer: list[str]) -> None:
    """Where the source tells no dates; what is not alike says nothing."""
    assert _newer([*names, *([] if pinned in names else [pinned])], pinned) == newer


def test_dates_come_before_numbers() -> None:
    """A repair of an old line may be the newest."""
    tags = [Tag(name=name, made_s=made_s) for name, made_s in (("v2", 10), ("v1.9", 30), ("odd", 20), ("v3", 5))]
    assert [tag.name for tag in newer_tags(tags, revision="v2", commit=_HERE)] == ["odd", "v1.9"]


def test_where_no_tag_is_pinned_none_is_newer() -> None:
    """Of a branch the commit is told."""
    tags = [Tag(name="v1", made_s=1), Tag(name="v2", commit=_ELSEWHERE)]
    assert newer_tags(tags, revision="master", commit=_HERE) == ()
    assert newer_tags(tags, revision=None, commit=_HERE) == ()


def test_another_name_of_the_same_commit_is_not_newer() -> None:
    """Nothing would change."""
    tags = [Tag(name="v1", commit=_HERE), Tag(name="v2", commit=_HERE)]
    assert newer_tags(tags, revision="v1", commit=_HERE) == ()


_TAGS = st.builds(
    Tag,
    name=st.from_regex(r"v?[0-9]{1,2}(\.[0-9]{1,2}){0,2}(-rc)?", fullmatch=True),
    commit=st.sampled_from([None, _HERE, _ELSEWHERE]),
    made_s=st.none() | st.integers(1, 5),
)


@given(st.lists(_TAGS, max_size=5), _TAGS)
def test_of_two_tags_at_most_one_is_newer(tags: list[Tag], pinned: Tag) -> None:
    """Or an update would lead back and forth."""
    for tag in tags:
        forth = newer_tags([tag, pinned], revision=pinned.name, commit=Commit("c" * 40))
        back = newer_tags([tag, pinned], revision=tag.name, commit=Commit("c" * 40))
        assert not (forth and back) or tag.name == pinned.name
