"""How a writer of a partial comes by what the one before it left."""

import os
from pathlib import Path

import pytest

from fetcher.core.download import Span
from fetcher.disk.adopt import adopt, data_room, own_data
from tests.disk.writers import ELSEWHERE, GONE

_SIZE = 3 << 20
_SPANS = [Span(start=0, stop=1 << 20), Span(start=(2 << 20) + 5, stop=_SIZE)]


def _left(folder: Path, writer: object = GONE) -> Path:
    path = folder / f"data-{writer}-01234567"
    path.write_bytes(b"a" * _SIZE)
    return path


@pytest.mark.parametrize("is_sure", [True, False])
def test_the_new_writer_has_the_bytes_under_its_own_name(tmp_path: Path, is_sure: bool) -> None:
    """And no other file is left."""
    _left(tmp_path, ELSEWHERE)
    own = own_data(tmp_path)
    assert adopt(tmp_path, own, size=_SIZE, spans=_SPANS, is_sure=is_sure)
    data = own.read_bytes()
    assert len(data) == _SIZE
    assert all(data[span.start : span.stop] == b"a" * (span.stop - span.start) for span in _SPANS)
    assert os.listdir(tmp_path) == [own.name]


@pytest.mark.parametrize("is_sure", [True, False])
def test_what_a_sleeper_writes_after_it_was_followed_reaches_nobody(tmp_path: Path, is_sure: bool) -> None:
    """Only a writer that is known to have ended may share its file."""
    former = os.open(_left(tmp_path), os.O_WRONLY)
    own = own_data(tmp_path)
    adopt(tmp_path, own, size=_SIZE, spans=_SPANS, is_sure=is_sure)
    os.pwrite(former, b"b", 0)
    os.close(former)
    assert own.read_bytes()[:1] == (b"b" if is_sure else b"a")


def test_a_file_of_another_size_is_of_something_else(tmp_path: Path) -> None:
    """It is removed, not gone on with."""
    _left(tmp_path)
    assert not adopt(tmp_path, own_data(tmp_path), size=_SIZE + 1, spans=_SPANS, is_sure=True)
    assert os.listdir(tmp_path) == []


def test_the_room_of_a_partial_is_that_of_its_data(tmp_path: Path) -> None:
    """What is preallocated need not be free."""
    assert data_room(tmp_path) == 0
    _left(tmp_path)
    assert data_room(tmp_path) == _SIZE
    assert data_room(tmp_path / "missing") == 0
