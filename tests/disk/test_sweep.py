"""Removing from a store what nobody needs, on a real disk."""

import os
import time
from pathlib import Path

import pytest

from fetcher.core.digest import Expected
from fetcher.disk.batch import Batch
from fetcher.disk.registry import KnownProject
from fetcher.disk.store import Store
from fetcher.disk.sweep import digests_named, sweep
from fetcher.disk.writer import Writer
from tests.disk.looks import sha
from tests.hub.publish import MIB

_LATER_S = time.time() + 40 * 24 * 3600


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_dry_run_says_the_same_and_removes_nothing(store: Store) -> None:
    """And then it goes, with its chunk list; the named one stays."""
    named, other = store.add_bytes(b"named" * MIB), store.add_bytes(b"other" * MIB)
    said = sweep(store, {named}, now_s=_LATER_S, grace_s=0, dry_run=True)
    assert [item.name for item in said.objects] == [other]
    assert (said.kept, said.size) == (1, 5 * MIB)
    assert store.has(other, 5 * MIB)
    assert sweep(store, {named}, now_s=_LATER_S, grace_s=0, dry_run=False) == said
    assert not store.has(other, 5 * MIB)
    assert store.chunks(other) is None
    assert store.has(named, 5 * MIB)


def test_a_chunk_list_without_its_object_goes_when_nobody_names_it(store: Store) -> None:
    """A staging store keeps the lists of what it has given away, for `verify`."""
    named, other = store.add_bytes(b"named" * MIB), store.add_bytes(b"other" * MIB)
    for name in (named, other):
        store.drop(name)
    sweep(store, {named}, now_s=time.time(), grace_s=3600, dry_run=False)
    assert store.chunks(other) is not None, "it is young"
    sweep(store, {named}, now_s=_LATER_S, grace_s=0, dry_run=False)
    assert (store.chunks(named) is None, store.chunks(other) is None) == (False, True)


def test_a_placed_file_keeps_the_bytes_of_an_object_that_goes(store: Store, tmp_path: Path) -> None:
    """Its removal frees nothing, and is not said to."""
    name = store.add_bytes(b"x" * 2 * MIB)
    os.link(store.object_path(name), tmp_path / "placed")
    assert sweep(store, set(), now_s=_LATER_S, grace_s=0, dry_run=False).size == 0
    assert (tmp_path / "placed").read_bytes() == b"x" * 2 * MIB


def test_what_is_younger_than_the_grace_stays(store: Store) -> None:
    """A project that is about to sync for the first time may want it."""
    name = store.add_bytes(b"young")
    assert sweep(store, set(), now_s=time.time(), grace_s=3600, dry_run=False).objects == ()
    assert store.has(name, 5)


def test_partials_and_batches_that_are_claimed_stay(store: Store) -> None:
    """A download is running; when it has ended, what it left is old."""
    expected = Expected(size=2 * MIB, sha256=sha(b"x" * 2 * MIB))
    batch = Batch(store)
    batch.add(sha(b"small"), b"small")
    with store.partial(expected) as partial:
        partial.write(0, memoryview(b"x" * MIB))
        partial.absorb(0, memoryview(b"x" * MIB))
        assert sweep(store, set(), now_s=_LATER_S, grace_s=0, dry_run=False).partials == ()
    batch.close()
    gone = sweep(store, set(), now_s=_LATER_S, grace_s=0, dry_run=False).partials
    assert [item.name for item in gone] == [expected.name]
    assert list((store.root / "partial").iterdir()) == []


def test_temporary_files_of_killed_writers_go(store: Store) -> None:
    """Nothing stays for ever; what a living writer is at does, as does its name in a dry run."""
    name = store.add_bytes(b"kept")
    dead = Writer(machine=Writer.me().machine, pid=Writer.me().pid, started=1)
    litter, alive = (
        store.object_path(name).with_name(f".{name[2:]}.fetcher-{writer}-0a1b2c3d") for writer in (dead, Writer.me())
    )
    litter.write_bytes(b"half")
    alive.write_bytes(b"half")
    sweep(store, {name}, now_s=_LATER_S, grace_s=0, dry_run=True)
    assert litter.exists()
    sweep(store, {name}, now_s=_LATER_S, grace_s=0, dry_run=False)
    assert (litter.exists(), alive.exists()) == (False, True)
    assert store.has(name, 4)


def test_a_lock_in_any_state_names_its_digests(tmp_path: Path) -> None:
    """With conflict markers, of a newer version, cut off: gc must not take what a merge will want."""
    a, b = "a" * 64, "b" * 64
    lock = tmp_path / "models.lock"
    lock.write_text(f'version = 9\n<<<<<<< HEAD\n"x" = "sha256:{a} 5"\n=======\n"x" = "sha256:{b} 6"\n"y"="sha256:cc')
    known = KnownProject(root=tmp_path, lock=lock, index=tmp_path / "index.sqlite")
    gone = KnownProject(root=tmp_path, lock=tmp_path / "no.lock", index=tmp_path / "index.sqlite")
    assert digests_named([known, gone]) == {a, b}
