"""What killed runs left in a store."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from fetcher.core.digest import Sha256
from fetcher.disk.leftovers import remove_leftovers
from fetcher.disk.store import Store

_DATA = bytes(3 << 20)
_HOLD = (
    "import pathlib, sys\n"
    "from fetcher.core.digest import Expected, Sha256\n"
    "from fetcher.disk.store import Store\n"
    "partial = Store(pathlib.Path(sys.argv[1])).partial(Expected(sha256=Sha256(sys.argv[2]), size=3 << 20))\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
)


def _writer(store: Store, sha256: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(store.root), sha256], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def _kill(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdin is not None
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()


def test_a_partial_whose_object_is_there_goes_once_its_writer_is_dead(tmp_path: Path) -> None:
    """Killed between the object's name and the removal of its partial, nobody would open that again."""
    store = Store(tmp_path / "store")
    sha256 = store.add_bytes(_DATA)
    child = _writer(store, sha256)
    remove_leftovers(store)
    assert os.listdir(store.root / "partial") == [sha256]
    _kill(child)
    remove_leftovers(store)
    assert os.listdir(store.root / "partial") == []


def test_a_partial_of_an_object_to_come_stays(tmp_path: Path) -> None:
    """The next run goes on from it."""
    store = Store(tmp_path / "store")
    sha256 = Sha256("ab" * 32)
    _kill(_writer(store, sha256))
    (store.root / "partial" / "notes").mkdir()
    remove_leftovers(store)
    assert sorted(os.listdir(store.root / "partial")) == [sha256, "notes"]


def test_a_store_that_is_not_there_has_none(tmp_path: Path) -> None:
    """The first sync of a machine."""
    remove_leftovers(Store(tmp_path / "store"))
    assert not (tmp_path / "store").exists()
