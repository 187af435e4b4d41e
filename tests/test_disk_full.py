"""A disk that refuses in the middle: exit 11, what was received is kept, and the next run goes on."""

import errno
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fetcher.core.digest import Expected
from fetcher.core.retry import RetrySchedule
from fetcher.disk.atomic import disk_errors
from fetcher.disk.hashing import HASHING, Hashing
from fetcher.disk.partial import Partial, never
from fetcher.disk.store import Store
from fetcher.errors import DiskError
from fetcher.transfer import Job, TransferSettings, run_transfer
from tests.scripted import ScriptedSource, request_for
from tests.test_transfer import Watcher, object_bytes

MIB = 1 << 20
DATA = random.Random(8).randbytes(20 * MIB + 7)


class FailingPartial(Partial):
    """The k-th write is refused."""

    left = 0
    number = errno.ENOSPC

    def write(self, offset: int, view: memoryview) -> None:
        self.left -= 1
        if self.left < 0:
            with disk_errors(Path("disk")):
                raise OSError(self.number, os.strerror(self.number))
        super().write(offset, view)


class FailingStore(Store):
    """A store on such a disk."""

    def __init__(self, root: Path, *, at: int, number: int) -> None:
        super().__init__(root)
        self._at = at
        self._number = number

    def partial(self, expected: Expected, *, stop: Callable[[], bool] = never, hashing: Hashing = HASHING) -> Partial:
        partial = FailingPartial.open(self.partial_folder(expected.name), expected=expected, keep=self.keep, stop=stop)
        partial.left, partial.number = self._at, self._number
        return partial


def _run(store: Store, hub: ScriptedSource, **options: Any) -> Any:
    return run_transfer(
        [Job(request=request_for(DATA, "big.bin", [hub]), store=store)],
        settings=TransferSettings(cores=2, buffer_size=256 << 10, retry=RetrySchedule(base_s=0.01), **options),
        events=Watcher(),
        stop=threading.Event(),
    )[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("behind_from", [1, 1 << 40], ids=["behind", "inline"])
def test_each_refusal_in_the_middle_is_exit_11_and_keeps_the_partial(
    tmp_path: Path, number: int, behind_from: int
) -> None:
    """At the first, a middle and the last write; asked again, the source sends only the rest."""
    for at in (0, 30, 80):
        hub = ScriptedSource(files={"big.bin": DATA})
        root = tmp_path / f"store{at}"
        error = _run(FailingStore(root, at=at, number=number), hub, behind_from=behind_from).error
        assert isinstance(error, DiskError)
        assert error.exit_code == 11
        store = Store(root)
        request = request_for(DATA, "big.bin", [hub])
        kept = store.partial_size(request.sha256)
        assert kept == at * (256 << 10)
        hub.sent = 0
        assert _run(store, hub).error is None
        assert hub.sent == len(DATA) - kept
        assert object_bytes(store, request) == DATA


_SCRIPT = """
import hashlib, os, pathlib, random, sys, threading
from fetcher.core.interfaces import NoEvents
from fetcher.disk.store import Store
from fetcher.transfer import Job, TransferSettings, run_transfer
from tests.scripted import ScriptedSource, request_for

data = random.Random(8).randbytes(20 * (1 << 20) + 7)
disk = pathlib.Path(sys.argv[1])
hub = ScriptedSource(files={"f": data})
store = Store(disk / "store")
request = request_for(data, "f", [hub])

class Hog(NoEvents):
    def file_started(self, request, *, have):
        with open(disk / "hog", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

def run(events):
    job = Job(request=request, store=store)
    return run_transfer([job], settings=TransferSettings(), events=events, stop=threading.Event())[0].error

error = run(Hog())
print("first:", error and (error.exit_code, error.what))
os.unlink(disk / "hog")
print("second:", run(NoEvents()), store.prove(request.sha256))
"""


def test_a_disk_that_another_program_fills_up_is_no_wrong_object(tmp_path: Path) -> None:
    """A small tmpfs that is full once the partial is preallocated: the bytes fit, its journal may not."""
    script = f'mount -t tmpfs -o size=24m tmpfs "{tmp_path}" && exec "$@"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "-m", "sh", "-c", script, "sh", sys.executable, "-c", _SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first, second = done.stdout.splitlines()
    assert first in ("first: None", "first: (11, 'No space is left on the disk.')"), done.stderr
    assert second == "second: None True"
