"""The quick reader of locks never says anything that the full one would not."""

import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from fetcher.core.lock import Lock
from fetcher.formats.lock_lines import END, HEADER, ModelKeys, read_lines
from fetcher.formats.lock_tables import LockFile
from fetcher.formats.lock_toml import write_lock
from tests.core.strategies import locks, unhurried

SECTION = f"""\
[models.m]
source = "ms:a/b"
commit = "{"1" * 40}"
tree = "sha256:{"2" * 64}"

[models.m.requested]

[models.m.files]
"a" = "sha256:{"3" * 64} 1"
"""
PLAIN = f"{HEADER}\n\n{SECTION}\n{END}\n"
PIECES = [
    '"',
    "\\",
    "\n",
    "\n\n",
    "#",
    "\r",
    "\t",
    ",",
    "]",
    '"""',
    "\ud800",
    "\u2028",
    "\\u0041",
    " = ",
    "'a'",
    "x = 1",
]


def by_tables(text: str) -> dict[str, ModelKeys] | None:
    """What TOML and pydantic make of a lock; None where one of them refuses it."""
    try:
        return {name: table.keys() for name, table in LockFile.model_validate(tomllib.loads(text)).models.items()}
    except (tomllib.TOMLDecodeError, ValidationError):
        return None


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A lock in which somebody has moved, doubled, removed or changed a few lines or letters."""
    text = write_lock(draw(locks()), None)
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        one, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["move", "double", "remove", "insert", "replace"])):
            case "move":
                lines[one], lines[other] = lines[other], lines[one]
            case "double":
                lines.insert(other, lines[one])
            case "remove":
                del lines[one]
            case action:
                at = draw(st.integers(0, len(lines[one])))
                rest = lines[one][at + (action == "replace") :]
                lines[one] = lines[one][:at] + draw(st.sampled_from(PIECES)) + rest
        text = "\n".join(lines)
    return text


@given(damaged())
@example(PLAIN.replace('"a"', '"\ud800"'))
@example(PLAIN.replace('"a"', '"a\\u0062"'))
@example(PLAIN.replace(f"\n{END}", f"{END}"))
@example(PLAIN.replace("\n\n[models.m.files]", "\n\n[models.n.files]"))
@example(f"{HEADER}\n\n{SECTION}\n{SECTION}\n{END}\n")
@example(PLAIN.replace('"a" =', '"a" = "b"\n"a" ='))
@example(PLAIN.replace("[models.m]", '[models."m"]'))
@unhurried
def test_a_damaged_lock_is_read_as_by_the_tables_or_not_at_all(text: str) -> None:
    """A quick answer that differs would let a poisoned or half-merged lock through."""
    found = read_lines(text)
    assert found is None or found == by_tables(text)


@given(locks())
@unhurried
def test_a_written_lock_is_read_as_by_the_tables(lock: Lock) -> None:
    """Escapes and models without a file, of which fetcher makes no lock, are left to the other reader."""
    text = write_lock(lock, None)
    left = "\\" in text or not all(model.files for model in lock.models.values())
    assert by_tables(text) is not None
    assert read_lines(text) == (None if left else by_tables(text))


@pytest.mark.parametrize("name", ["m", "gpt.2", "0", "-"])
def test_what_fetcher_writes_is_read_quickly(name: str) -> None:
    """Else every command would load pydantic, and nobody would notice."""
    quoted = f'"{name}"' if "." in name else name
    text = PLAIN.replace("models.m", f"models.{quoted}")
    assert read_lines(text) == by_tables(text)
    assert list(read_lines(text) or ()) == [name]
    full = text.replace('"\n\n[', f'"\nseal = "sha256:{"4" * 64}"\nfallback = ["x", "y"]\n\n[', 1).replace(
        "requested]\n",
        'requested]\nrevision = "v"\ninclude = ["*", "é"]\nexclude = ["a"]\nfiles = ["b"]\naddresses = "c"\n',
    )
    assert read_lines(full) is not None
    assert read_lines(full) == by_tables(full)


def test_a_lock_without_models_is_read_quickly() -> None:
    """What `fetcher lock` writes for a new project."""
    assert read_lines(write_lock(Lock(), None)) == {}


@pytest.mark.parametrize("text", ["", HEADER, f"{HEADER}\n", f"{HEADER}\n\n{END}", f"{HEADER}\n{END}\n", END])
def test_what_is_cut_is_left_to_the_other_reader(text: str) -> None:
    """It knows how to say so."""
    assert read_lines(text) is None
