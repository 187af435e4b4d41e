"""`@immutable`: a frozen dataclass with slots and keyword-only fields, made in a quarter of the time.

`dataclass` compiles six methods for each class, half a millisecond on a small machine, and a
sync loads 120 of them.  Here one is compiled, `__init__`; the others are the same for all
classes.  What is made is a dataclass still: `fields`, `replace` and `asdict` know it, and type
checkers refuse to set its attributes.

Promises (tests/core/test_immutable.py):
  * what `@dataclass(frozen=True, slots=True, kw_only=True)` makes behaves the same.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")


class _Factory:
    """Stands for what a factory makes, in signatures too."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def immutable(cls: type[_T]) -> type[_T]:
    """Make a class such a dataclass; the methods that it has itself stay."""
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=True)(cls)
    every = fields(made)
    made.__init__ = _init_of(made, every)
    made._compared = _getter([each.name for each in every if each.compare])  # noqa: SLF001 - read by the methods below
    for name, method in _METHODS.items():
        if name not in cls.__dict__:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _getter(names: list[str]) -> Callable[[Any], tuple[object, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return staticmethod(lambda self: tuple(getattr(self, name) for name in names))


def _init_of(cls: type[Any], every: "tuple[Field[Any], ...]") -> Callable[..., None]:
    """`__init__`, compiled; it sets the slots past `__setattr__`, which refuses."""
    known: dict[str, Any] = {"factory": _FACTORY}
    parameters, lines = [], []
    for each in every:
        name = each.name
        known[f"set_{name}"] = getattr(cls, name).__set__
        if each.default is not MISSING:
            known[f"default_{name}"] = each.default
            parameters.append(f"{name}=default_{name}")
        elif each.default_factory is not MISSING:
            known[f"make_{name}"] = each.default_factory
            parameters.append(f"{name}=factory")
            lines.append(f" if {name} is factory: {name} = make_{name}()")
        else:
            parameters.append(name)
        lines.append(f" set_{name}(self, {name})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    head = ", ".join(["self", *(["*"] if parameters else []), *parameters])
    text = f"def __init__({head}):\n" + "\n".join(lines or [" pass"])
    exec(text, known)  # noqa: S102 - of the names in our own code, as `dataclass` does
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {**{each.name: each.type for each in every}, "return": None}
    return made


def _repr(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: Any) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return self._compared(self) == self._compared(other)


def _hash(self: Any) -> int:
    return hash(self._compared(self))


def _setattr(self: Any, name: str, _: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> tuple[object, ...]:
    return tuple(getattr(self, each.name) for each in fields(self))


def _setstate(self: Any, state: tuple[object, ...]) -> None:
    for each, held in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, held)


_METHODS = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
