"""Small objects that get their names together, on a real disk."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.core.digest import Sha256
from fetcher.disk.batch import Batch
from fetcher.disk.leftovers import remove_leftovers
from fetcher.disk.store import Store
from fetcher.errors import DiskError

OBJECTS = {Sha256(hashlib.sha256(b"%d" % i * 99).hexdigest()): b"%d" % i * 99 for i in range(40)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("count", [0, 3, 40], ids=["none", "each synced", "synced together"])
def test_objects_get_their_names_when_they_are_published_not_before(store: Store, count: int) -> None:
    """A name must stand for durable bytes."""
    batch = Batch(store)
    some = dict(list(OBJECTS.items())[:count])
    for sha256, data in some.items():
        batch.add(sha256, data)
        assert not store.has(sha256, len(data))
    batch.publish(list(some))
    batch.close()
    for sha256 in some:
        assert store.prove(sha256)
        assert store.object_path(sha256).stat().st_mode & 0o777 == 0o444
    assert os.listdir(store.root / "partial") == []


def test_what_has_no_name_at_the_end_is_removed(store: Store) -> None:
    """A failed run must not fill up the store."""
    batch = Batch(store)
    sha256 = next(iter(OBJECTS))
    batch.add(sha256, OBJECTS[sha256])
    batch.close()
    assert not store.has(sha256, len(OBJECTS[sha256]))
    assert os.listdir(store.root / "partial") == []


def test_a_killed_batch_is_removed_by_the_next_run_a_living_one_is_not(store: Store) -> None:
    """The claim tells them apart."""
    script = (
        "import os, pathlib, sys\n"
        "from fetcher.core.digest import Sha256\n"
        "from fetcher.disk.batch import Batch\n"
        "from fetcher.disk.store import Store\n"
        "Batch(Store(pathlib.Path(sys.argv[1]))).add(Sha256('a' * 64), b'x')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(store.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    living = Batch(store)
    assert len(os.listdir(store.root / "partial")) == 2
    remove_leftovers(store)
    assert len(os.listdir(store.root / "partial")) == 1
    living.close()


def test_a_batch_that_cannot_be_named_is_a_disk_error(store: Store) -> None:
    """And what had its name before keeps it."""
    batch = Batch(store)
    first, second, *_ = OBJECTS
    batch.add(first, OBJECTS[first])
    batch.publish([first])
    (store.root / "objects" / "sha256" / second[:2]).write_text("in the way")
    batch.add(second, OBJECTS[second])
    with pytest.raises((DiskError, FileExistsError)):
        batch.publish([second])
    assert store.prove(first)
    batch.close()
