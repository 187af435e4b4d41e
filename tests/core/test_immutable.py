"""`@immutable` beside the standard library's dataclass, which it must not differ from."""

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from fetcher.core.immutable import immutable

_usual: Callable[[Any], Any] = dataclass(frozen=True, slots=True, kw_only=True)


@immutable
class Ours:
    """Each kind of field, with a method of its own."""

    name: str
    size: int | None = None
    seal: str = field(default="", compare=False)
    secret: str = field(default="s", repr=False)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tags.append("made")

    def double(self) -> int:
        """Of the size."""
        return 2 * (self.size or 0)


@immutable
class OursBelow(Ours):
    """With one more field, and another default."""

    more: int
    size: int | None = 5

    def __repr__(self) -> str:
        return "below"


@immutable
class OursAlone:
    """With one field."""

    only: str


@immutable
class OursEmpty:
    """With none."""


@_usual
class Usual:
    """As `Ours`."""

    name: str
    size: int | None = None
    seal: str = field(default="", compare=False)
    secret: str = field(default="s", repr=False)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tags.append("made")

    def double(self) -> int:
        """Of the size."""
        return 2 * (self.size or 0)


@_usual
class UsualBelow(Usual):
    """As `OursBelow`."""

    more: int
    size: int | None = 5

    def __repr__(self) -> str:
        return "below"


@_usual
class UsualAlone:
    """As `OursAlone`."""

    only: str


@_usual
class UsualEmpty:
    """As `OursEmpty`."""


_PAIRS: list[tuple[Any, Any, list[dict[str, Any]]]] = [
    (Ours, Usual, [{"name": "a"}, {"name": "a", "size": 3, "seal": "x"}, {"name": "b", "secret": "t", "tags": []}]),
    (OursBelow, UsualBelow, [{"name": "a", "more": 1}, {"name": "a", "more": 1, "size": 7}]),
    (OursAlone, UsualAlone, [{"only": "a"}, {"only": "b"}]),
    (OursEmpty, UsualEmpty, [{}]),
]
_EACH = pytest.mark.parametrize(("ours", "usual", "given"), _PAIRS, ids=lambda each: getattr(each, "__name__", ""))


@_EACH
def test_it_says_and_holds_the_same(ours: Any, usual: Any, given: list[dict[str, Any]]) -> None:
    """Fields, texts, signature, slots."""
    for values in given:
        one, other = ours(**copy.deepcopy(values)), usual(**copy.deepcopy(values))
        assert asdict(one) == asdict(other)
        assert repr(one) == repr(other).replace("Usual", "Ours")
        assert not hasattr(one, "__dict__")
    assert str(inspect.signature(ours)) == str(inspect.signature(usual))
    assert [each.name for each in fields(ours)] == [each.name for each in fields(usual)]
    assert ours.__slots__ == usual.__slots__


@_EACH
def test_it_is_equal_to_the_same(ours: Any, usual: Any, given: list[dict[str, Any]]) -> None:
    """By the fields that are compared, within one class."""
    for values in given:
        for others in given:
            pair = [kind(**copy.deepcopy(each)) for kind in (ours, usual) for each in (values, others)]
            assert (pair[0] == pair[1]) is (pair[2] == pair[3])
            assert pair[0] != pair[2]
    assert Ours(name="a", seal="x") == Ours(name="a", seal="y")
    assert Ours(name="a", size=5) != OursBelow(name="a", more=1)


def test_equal_ones_have_one_hash() -> None:
    """They are keys of tables; what cannot be hashed says so."""
    assert len({OursAlone(only="a"), OursAlone(only="a"), OursAlone(only="b")}) == 2
    for kind in (Ours, Usual):
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            hash(kind(name="a"))


@_EACH
def test_nothing_of_it_can_be_set(ours: Any, usual: Any, given: list[dict[str, Any]]) -> None:
    """Neither a field nor anything else."""
    for kind in (ours, usual):
        one = kind(**copy.deepcopy(given[0]))
        unknown = ["other"] if kind is ours else []  # dataclass says something else, by a mistake of its own
        for name in [*(each.name for each in fields(kind)), *unknown]:
            with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
                setattr(one, name, 1)
            with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
                delattr(one, name)


@_EACH
def test_a_copy_is_equal(ours: Any, usual: Any, given: list[dict[str, Any]]) -> None:
    """Programs send what they are given to other processes."""
    for kind in (ours, usual):
        one = kind(**copy.deepcopy(given[0]))
        assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert replace(OursAlone(only="a"), only="b") == OursAlone(only="b")


@_EACH
def test_what_is_missing_or_too_much_is_an_error(ours: Any, usual: Any, given: list[dict[str, Any]]) -> None:
    """With the same words."""
    told = []
    for kind in (ours, usual):
        for values in ([{}] if given[0] else []) + [{**given[0], "unknown": 1}]:
            with pytest.raises(TypeError) as caught:
                kind(**values)
            told.append(str(caught.value).replace("Usual", "Ours"))
        with pytest.raises(TypeError):
            kind("a")
    half = len(told) // 2
    assert told[:half] == told[half:]


def test_methods_of_its_own_stay() -> None:
    """A secret's text, for one."""
    assert repr(OursBelow(name="a", more=1)) == "below"
    assert OursBelow(name="a", more=1).double() == 10
