"""The public names: what they are, and what it costs to import them."""

import subprocess
import sys

import pytest

import fetcher
from fetcher import errors

_HEAVY = {"httpx", "httpcore", "pydantic", "pydantic_core", "typer", "rich", "sqlite3", "ssl", "socket", "blake3"}
_COST = """
import sys
before = set(sys.modules)
import fetcher
fetcher.__version__, fetcher.__all__, dir(fetcher)
print(*sorted(set(sys.modules) - before))
"""


def _printed(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def test_importing_it_loads_nothing_but_itself() -> None:
    """A training script imports it beside everything else, and may never call it."""
    assert _printed(_COST) == ["fetcher"]


def test_catching_an_error_loads_no_road() -> None:
    """`except fetcher.NotFoundError` stands in code that may not download at all."""
    loaded = _printed("import sys, fetcher; fetcher.NotFoundError, fetcher.Event; print(*sys.modules)")
    assert not _HEAVY & set(loaded)
    assert "fetcher.project" not in loaded


def test_every_name_is_there_and_is_the_one_of_its_room() -> None:
    """A class that is caught must be the class that is raised."""
    assert sorted(fetcher.__all__) == fetcher.__all__
    for name in fetcher.__all__:
        value = getattr(fetcher, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert value is getattr(errors, name)
    assert set(fetcher.__all__) <= set(dir(fetcher))


def test_every_error_is_public() -> None:
    """Whoever calls must be able to name what is raised."""
    raised = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert raised <= set(fetcher.__all__)


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    """A typing mistake is told at once, and not by a module that happens to have the name."""
    with pytest.raises(AttributeError, match="module 'fetcher' has no attribute 'snapshot_downlod'"):
        _ = fetcher.snapshot_downlod  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        _ = fetcher.OneOff  # type: ignore[attr-defined]
