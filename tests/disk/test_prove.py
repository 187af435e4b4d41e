"""Files hashed over all cores, beside hashlib and blake3 alone."""

import sys
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from fetcher.core.chunk import CHUNK
from fetcher.core.download import Span
from fetcher.core.interfaces import NoEvents
from fetcher.core.plan import Wanted
from fetcher.core.proof import FULL, Depth
from fetcher.disk.chunks import ChunkList
from fetcher.disk.mapped import mapped
from fetcher.disk.opened import opened
from fetcher.disk.prove import Prover
from fetcher.errors import InterruptedRun
from tests.disk.looks import sha, wanted
from tests.hub.publish import content

_DATA = content("model.bin", 2 * CHUNK + 5_000_000)
_SMALL = b"a config"


class _Lists:
    """Chunk lists by sha256, as a store keeps them."""

    def __init__(self, **known: ChunkList) -> None:
        self.kept: dict[str, ChunkList] = dict(known)

    def known(self, item: Wanted) -> ChunkList | None:
        return self.kept.get(item.sha256)

    def keep(self, item: Wanted, chunks: ChunkList) -> None:
        self.kept[item.sha256] = chunks


class _Counts(NoEvents):
    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self.hashed = 0

    def bytes_hashed(self, count: int) -> None:
        with self._mutex:
            self.hashed += count


def _list_of(data: bytes) -> ChunkList:
    pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    return ChunkList(size=len(data), digests=tuple(blake3(piece).hexdigest() for piece in pieces))


def _prover(lists: _Lists, depth: Depth = FULL, events: _Counts | None = None) -> Prover:
    return Prover(known=lists.known, keep=lists.keep, depth=depth, events=events, cores=3)


@pytest.fixture(params=[0o444, 0o644], ids=["mapped", "read"])
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file to which nobody may write is looked at in the page cache; any other is read."""
    path = tmp_path / "model.bin"
    path.write_bytes(_DATA)
    path.chmod(request.param)
    return path


def _flip(path: Path, offset: int) -> None:
    mode = path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    path.chmod(mode)


def test_a_right_file_is_proven_by_its_chunks(file: Path) -> None:
    """Each byte is read once, and hashed with blake3 only."""
    item, counts = wanted("model.bin", _DATA), _Counts()
    lists = _Lists(**{item.sha256: _list_of(_DATA)})
    with _prover(lists, events=counts) as prover:
        proof = prover.prove(item, file)
    assert (proof.sha256, proof.differs) == (item.sha256, ())
    assert counts.hashed == len(_DATA)


@pytest.mark.parametrize("offset", [0, CHUNK - 1, CHUNK, 2 * CHUNK, len(_DATA) - 1])
def test_one_flipped_byte_is_found_with_its_chunk(file: Path, offset: int) -> None:
    """At the edges of chunks and of the file."""
    item = wanted("model.bin", _DATA)
    _flip(file, offset)
    with _prover(_Lists(**{item.sha256: _list_of(_DATA)})) as prover:
        proof = prover.prove(item, file)
    start = offset // CHUNK * CHUNK
    assert proof.sha256 == sha(file.read_bytes())
    assert proof.differs == (Span(start=start, stop=min(start + CHUNK, len(_DATA))),)


@pytest.mark.skipif(sys.platform != "linux", reason="files are read elsewhere")
def test_only_a_file_to_which_nobody_may_write_is_mapped(file: Path) -> None:
    """One that is cut short while it is mapped would end the process without a word."""
    is_fixed = not file.stat().st_mode & 0o222
    with opened(file) as descriptor:
        part = mapped(descriptor, CHUNK, 4096)
        beyond = mapped(descriptor, CHUNK, len(_DATA))
    assert (part is not None) is is_fixed
    assert beyond is None
    if part is not None:
        with part:
            assert part[:] == _DATA[CHUNK : CHUNK + 4096]


def test_without_a_list_sha256_decides_and_the_list_is_kept(file: Path) -> None:
    """A store that was removed costs one slow look."""
    item, lists = wanted("model.bin", _DATA), _Lists()
    with _prover(lists) as prover:
        assert prover.prove(item, file).sha256 == item.sha256
    assert lists.kept == {item.sha256: _list_of(_DATA)}


def test_a_damaged_file_never_gives_a_chunk_list(file: Path) -> None:
    """It would call the damage right from then on."""
    item, lists = wanted("model.bin", _DATA), _Lists()
    _flip(file, 77)
    with _prover(lists) as prover:
        proof = prover.prove(item, file)
    assert (proof.sha256, proof.differs) == (sha(file.read_bytes()), ())
    assert lists.kept == {}


@pytest.mark.parametrize("wrong", ["digest", "size"])
def test_a_list_that_is_wrong_is_replaced_and_no_verdict(file: Path, wrong: str) -> None:
    """It lies in a cache folder, where anything may happen to it."""
    item, right = wanted("model.bin", _DATA), _list_of(_DATA)
    bad = ChunkList(size=right.size, digests=(right.digests[0], "0" * 64, right.digests[2]))
    lists = _Lists(**{item.sha256: bad if wrong == "digest" else _list_of(_DATA[:-1])})
    with _prover(lists) as prover:
        proof = prover.prove(item, file)
    assert (proof.sha256, proof.differs) == (item.sha256, ())
    assert lists.kept == {item.sha256: right}


def test_by_sha256_no_list_is_believed(file: Path) -> None:
    """A list made for the damaged bytes hides them from the quick look; the lock's hash tells."""
    item = wanted("model.bin", _DATA)
    _flip(file, 5)
    lists = _Lists(**{item.sha256: _list_of(file.read_bytes())})
    with _prover(lists) as prover:
        assert prover.prove(item, file).sha256 == item.sha256
    with _prover(lists, Depth(by_sha256=True)) as prover:
        assert prover.prove(item, file).sha256 == sha(file.read_bytes())


def test_a_sample_reads_its_share_and_proves_nothing_good(file: Path) -> None:
    """`None` is no sha256: the index must not take it for a look."""
    item, counts = wanted("model.bin", _DATA), _Counts()
    with _prover(_Lists(**{item.sha256: _list_of(_DATA)}), Depth(percent=1), counts) as prover:
        assert prover.prove(item, file).sha256 is None
    assert 0 < counts.hashed <= CHUNK


def test_damage_that_a_sample_meets_is_told_like_any_other(file: Path) -> None:
    """Every chunk is damaged, so the sample meets one; the whole is hashed then."""
    item = wanted("model.bin", _DATA)
    for offset in range(0, len(_DATA), CHUNK):
        _flip(file, offset)
    with _prover(_Lists(**{item.sha256: _list_of(_DATA)}), Depth(percent=1)) as prover:
        proof = prover.prove(item, file)
    assert proof.sha256 == sha(file.read_bytes())
    assert proof.differs == (Span(start=0, stop=len(_DATA)),)


def test_small_files_and_files_of_another_size_are_hashed_with_sha256(tmp_path: Path) -> None:
    """They have no chunk list."""
    small, other = tmp_path / "config.json", tmp_path / "model.bin"
    small.write_bytes(_SMALL)
    other.write_bytes(_DATA[:-1])
    with _prover(_Lists()) as prover:
        assert prover.prove(wanted("config.json", _SMALL), small).sha256 == sha(_SMALL)
        assert prover.prove(wanted("model.bin", _DATA), other).sha256 == sha(_DATA[:-1])


def test_a_stop_ends_the_hashing(file: Path) -> None:
    """Ctrl-C in the middle of a terabyte."""
    item = wanted("model.bin", _DATA)
    lists = _Lists(**{item.sha256: _list_of(_DATA)})
    with Prover(known=lists.known, keep=lists.keep, stop=lambda: True) as prover, pytest.raises(InterruptedRun):
        prover.prove(item, file)


def test_a_symlink_is_not_followed(tmp_path: Path, file: Path) -> None:
    """Between the look and the hashing somebody may put one there."""
    link = tmp_path / "link"
    link.symlink_to(file)
    with _prover(_Lists()) as prover, pytest.raises(OSError, match="symbolic link"):
        prover.prove(wanted("link", _DATA), link)
