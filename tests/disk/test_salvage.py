"""Objects made of bytes that are on this machine already."""

import os
from pathlib import Path

import pytest

from fetcher.core.chunk import CHUNK
from fetcher.core.digest import Expected, Sha256
from fetcher.core.interfaces import NoEvents
from fetcher.core.plan import Wanted
from fetcher.disk.chunks import ChunkList
from fetcher.disk.copies import Copies
from fetcher.disk.index import Index, Row
from fetcher.disk.registry import KnownProject
from fetcher.disk.salvage import Salvage
from fetcher.disk.staging import Staging
from fetcher.disk.store import Store
from fetcher.errors import InterruptedRun
from tests.disk.filesystems import reflinking
from tests.disk.looks import wanted
from tests.hub.publish import content

_DATA = content("model.bin", 2 * CHUNK + 3_000_000)
_ITEM = wanted("model.bin", _DATA)


class Machine:
    """A store, a project that syncs, another project with placed files, and a folder of somebody else's."""

    def __init__(self, folder: Path) -> None:
        self.root, self.other, self.foreign = folder / "project", folder / "other", folder / "foreign"
        for made in (self.root, self.other, self.foreign):
            made.mkdir()
        self.store = Store(folder / "store")
        self.known = KnownProject(root=self.other, lock=self.other / "models.lock", index=self.other / "index.sqlite")

    def put(self, name: str, data: bytes, *, mode: int = 0o444, wrote: bool = True, damaged: bool = False) -> Path:
        """A file of the other project, with its row; `data` may be damaged, the row is of `_DATA`."""
        path = self.other / name
        path.write_bytes(data)
        path.chmod(mode)
        found = path.stat()
        index = Index(self.known.index)
        row = Row(
            spot=name,
            model="m",
            sha256=_ITEM.sha256,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            inode=found.st_ino,
            looked_ns=found.st_mtime_ns + 10**9,
            wrote=wrote,
            damaged=damaged,
        )
        index.save({**index.rows(), name: row}, [])
        return path

    def bring(self, *items: Wanted, stop: bool = False) -> list[Wanted]:
        staging = Staging(root=self.root, state=self.root / ".fetcher", store=self.store)
        copies = Copies(projects=lambda: [self.known], folders=[self.foreign])
        salvage = Salvage(staging=staging, copies=copies, events=NoEvents(), stop=lambda: stop)
        return salvage.bring(items)

    def holds(self, data: bytes = _DATA, item: Wanted = _ITEM) -> bool:
        path = self.store.object_path(item.sha256)
        return path.exists() and path.read_bytes() == data and path.stat().st_mode & 0o777 == 0o444

    def partial(self) -> list[tuple[int, int]]:
        """What the partial lacks."""
        with self.store.partial(Expected(size=_ITEM.size, sha256=_ITEM.sha256)) as partial:
            return [(span.start, span.stop) for span in partial.missing()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def _flipped(data: bytes, *offsets: int) -> bytes:
    out = bytearray(data)
    for offset in offsets:
        out[offset] ^= 1
    return bytes(out)


def _damage(store: Store, sha256: Sha256, *offsets: int) -> None:
    path = store.object_path(sha256)
    path.chmod(0o644)
    path.write_bytes(_flipped(path.read_bytes(), *offsets))
    path.chmod(0o444)


def test_a_sound_object_is_left_alone(machine: Machine) -> None:
    """And a digest that nobody has is simply not brought."""
    machine.store.add_bytes(_DATA)
    before = machine.store.object_path(_ITEM.sha256).stat()
    assert machine.bring(_ITEM, wanted("other.bin", b"unknown")) == []
    after = machine.store.object_path(_ITEM.sha256).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_placed_file_of_another_project_is_linked(machine: Machine) -> None:
    """One copy of the bytes, though the store was lost."""
    path = machine.put("model.bin", _DATA)
    assert machine.bring(_ITEM) == [_ITEM]
    assert machine.holds()
    assert machine.store.object_path(_ITEM.sha256).samefile(path)
    assert machine.store.chunks(_ITEM.sha256) == ChunkList.of(_DATA)


def test_a_placed_file_that_may_be_written_to_is_copied(machine: Machine) -> None:
    """An edit in place would reach the store through a link."""
    path = machine.put("model.bin", _DATA, mode=0o644)
    assert machine.bring(_ITEM) == [_ITEM]
    assert machine.holds()
    assert not machine.store.object_path(_ITEM.sha256).samefile(path)


def test_somebody_else_s_file_is_copied_under_any_name_and_stays_as_it_is(machine: Machine) -> None:
    """`--adopt` and the official caches: even read-only files of others are not linked."""
    path = machine.foreign / "deep" / "another-name.gguf"
    path.parent.mkdir()
    path.write_bytes(_DATA)
    path.chmod(0o444)
    (machine.foreign / "same-size").write_bytes(_flipped(_DATA, 0))
    before = path.stat()
    assert machine.bring(_ITEM) == [_ITEM]
    assert machine.holds()
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (before.st_ino, before.st_mtime_ns, 1)
    assert not machine.store.object_path(_ITEM.sha256).samefile(path)


def test_a_small_file_is_copied(machine: Machine) -> None:
    """A config that is edited in place must not reach the store."""
    item = wanted("config.json", b'{"a": 1}')
    (machine.foreign / "c").write_bytes(b'{"a": 2}')
    (machine.foreign / "d").write_bytes(b'{"a": 1}')
    assert machine.bring(item) == [item]
    assert machine.holds(b'{"a": 1}', item)


def test_the_sound_chunks_of_a_damaged_object_are_kept_and_it_goes(machine: Machine) -> None:
    """Only the damaged chunk is fetched then."""
    machine.store.add_bytes(_DATA)
    _damage(machine.store, _ITEM.sha256, CHUNK + 5)
    assert machine.bring(_ITEM) == []
    assert not machine.store.has(_ITEM.sha256, _ITEM.size)
    assert machine.partial() == [(CHUNK, 2 * CHUNK)]


def test_two_damaged_files_make_a_sound_one(machine: Machine) -> None:
    """Each chunk from whoever has it."""
    machine.store.add_bytes(_DATA)
    _damage(machine.store, _ITEM.sha256, 5, CHUNK + 5)
    machine.put("model.bin", _flipped(_DATA, 2 * CHUNK + 5), damaged=True)
    assert machine.bring(_ITEM) == [_ITEM]
    assert machine.holds()
    assert not (machine.store.root / "partial" / _ITEM.sha256).exists()


def test_a_damaged_object_is_replaced_by_another_copy(machine: Machine) -> None:
    """The placed file of another project, which does not share its bytes."""
    machine.store.add_bytes(_DATA)
    _damage(machine.store, _ITEM.sha256, 5)
    machine.put("model.bin", _DATA)
    assert machine.bring(_ITEM) == [_ITEM]
    assert machine.holds()


def test_a_damaged_small_object_goes_or_is_replaced(machine: Machine) -> None:
    """No chunk list: all or nothing."""
    item = wanted("config.json", b'{"a": 1}')
    machine.store.add_bytes(b'{"a": 1}')
    _damage(machine.store, item.sha256, 2)
    assert machine.bring(item) == []
    assert not machine.store.has(item.sha256, item.size)
    machine.store.add_bytes(b'{"a": 1}')
    _damage(machine.store, item.sha256, 2)
    (machine.foreign / "c").write_bytes(b'{"a": 1}')
    assert machine.bring(item) == [item]
    assert machine.holds(b'{"a": 1}', item)


def test_a_placed_file_that_rotted_unseen_is_not_linked(machine: Machine) -> None:
    """Its row says that it is sound; only hashing tells."""
    machine.put("model.bin", _flipped(_DATA, CHUNK + 5))
    assert machine.bring(_ITEM) == []
    assert not machine.store.has(_ITEM.sha256, _ITEM.size)
    machine.store.keep_chunks(_ITEM.sha256, ChunkList.of(_DATA))
    assert machine.bring(_ITEM) == []
    assert machine.partial() == [(CHUNK, 2 * CHUNK)]


def test_a_chunk_list_that_is_wrong_gives_no_object(machine: Machine) -> None:
    """The sha256 of the whole has the last word; the list goes, and what it led to."""
    bad = _flipped(_DATA, 5)
    machine.put("model.bin", bad, damaged=True)
    machine.store.keep_chunks(_ITEM.sha256, ChunkList.of(bad))
    assert machine.bring(_ITEM) == []
    assert not machine.store.has(_ITEM.sha256, _ITEM.size)
    assert machine.store.chunks(_ITEM.sha256) is None
    assert machine.partial() == [(0, len(_DATA))]


def test_what_a_partial_has_already_is_not_copied_again(machine: Machine) -> None:
    """A download that was cut, and a file that turned up meanwhile."""
    with machine.store.partial(Expected(size=_ITEM.size, sha256=_ITEM.sha256)) as partial:
        for start, stop in ((0, CHUNK), (CHUNK, CHUNK + 1000)):
            partial.write(start, memoryview(_DATA)[start:stop])
            partial.absorb(start, memoryview(_DATA)[start:stop])
    machine.put("model.bin", _flipped(_DATA, 5), damaged=True)
    machine.store.keep_chunks(_ITEM.sha256, ChunkList.of(_DATA))
    assert machine.bring(_ITEM) == []
    assert machine.partial() == [(CHUNK + 1000, 2 * CHUNK)]


def test_an_intact_copy_elsewhere_completes_a_partial(machine: Machine, abroad: Path) -> None:
    """From another file system, where nothing can be linked."""
    (abroad / "model.bin").write_bytes(_DATA)
    machine.foreign = abroad
    assert machine.bring(_ITEM) == [_ITEM]
    assert machine.holds()


def test_a_stop_ends_it_with_the_object_as_it_was(machine: Machine) -> None:
    """Ctrl-C while a large object is being hashed."""
    machine.store.add_bytes(_DATA)
    _damage(machine.store, _ITEM.sha256, 5)
    with pytest.raises(InterruptedRun):
        machine.bring(_ITEM, stop=True)
    assert machine.store.has(_ITEM.sha256, _ITEM.size)


def test_symlinks_pipes_and_folders_are_no_copies(machine: Machine, tmp_path: Path) -> None:
    """A pipe would hold the look up for ever."""
    (tmp_path / "elsewhere").write_bytes(_DATA)
    (machine.foreign / "link").symlink_to(tmp_path / "elsewhere")
    (machine.foreign / "folder").symlink_to(tmp_path)
    os.mkfifo(machine.foreign / "pipe")
    assert machine.bring(_ITEM) == []


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_where_extents_can_be_shared_a_foreign_file_costs_no_room(kind: str) -> None:
    """Shared, and yet an edit of the one is none of the other."""
    with reflinking(kind) as folder:
        machine = Machine(folder)
        (machine.foreign / "model.bin").write_bytes(_DATA)
        os.sync()
        before = os.statvfs(folder).f_bfree * os.statvfs(folder).f_bsize
        assert machine.bring(_ITEM) == [_ITEM]
        os.sync()
        used = before - os.statvfs(folder).f_bfree * os.statvfs(folder).f_bsize
        assert used < 4_000_000, "the last piece of a file may be copied"
        with (machine.foreign / "model.bin").open("r+b") as file:
            file.write(b"edited")
        assert machine.holds()
