"""A small file comes in one piece, or as if nobody had asked for that."""

import random
import threading
from pathlib import Path

import pytest

from fetcher.core.events import NoEvents
from fetcher.core.interfaces import FetchRequest, RemoteAddress
from fetcher.disk.store import Store
from fetcher.errors import InterruptedRun, PointerError
from fetcher.transfer import Job, Outcome, TransferSettings, run_transfer
from fetcher.transfer.whole import WHOLE_BELOW
from tests.scripted import ScriptedSource, request_for

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345678\n"
PLAIN = TransferSettings(jobs=1)


class WholeSource(ScriptedSource):
    """Sends in one piece what `pieces` holds; waits to be woken for what `silent` names."""

    def __init__(self, files: dict[str, bytes], pieces: dict[str, bytes], silent: str = "") -> None:
        super().__init__(files)
        self.pieces = pieces
        self.silent = silent
        self.waits, self.woken = threading.Event(), threading.Event()

    def whole(self, address: RemoteAddress) -> bytes | None:
        if address.path == self.silent:
            self.waits.set()
            assert self.woken.wait(20)
        return self.pieces.get(address.path)

    def wake(self) -> None:
        self.woken.set()


class Heard(NoEvents):
    """Notes what is said of files."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def file_started(self, request: FetchRequest, *, have: int) -> None:
        self.said.append(f"started {have}")

    def bytes_received(self, request: FetchRequest, count: int) -> None:
        self.said.append(f"received {count}")

    def file_done(self, request: FetchRequest) -> None:
        self.said.append("done")


def run(
    source: WholeSource, folder: Path, events: NoEvents | None = None, settings: TransferSettings = PLAIN
) -> list[Outcome]:
    store = Store(folder)
    jobs = [Job(request=request_for(data, path, [source]), store=store) for path, data in source.files.items()]
    return run_transfer(jobs, settings=settings, events=events or NoEvents(), stop=threading.Event())


@pytest.mark.parametrize("count", [1, 40])
def test_a_file_that_comes_whole_is_not_opened(tmp_path: Path, count: int) -> None:
    """Its bytes are in the store, and whoever watches is told what he is always told."""
    files = {f"{number}.json": random.Random(number).randbytes(100) for number in range(count)}
    source, heard = WholeSource(files, files), Heard()
    outcomes = run(source, tmp_path, heard)
    assert [Store(tmp_path).object_path(each.sha256 or each.request.name).read_bytes() for each in outcomes] == [
        *files.values()
    ]
    assert source.asked == []
    assert sorted(heard.said) == sorted(["started 0", "received 100", "done"] * count)


@pytest.mark.parametrize("piece", [{}, {"a": b"y" * 100}, {"a": b"x" * 99}, {"a": b""}])
def test_a_file_that_does_not_come_whole_is_opened(tmp_path: Path, piece: dict[str, bytes]) -> None:
    """Also one that comes with wrong bytes; nothing of that is kept or told."""
    source, heard = WholeSource({"a": b"x" * 100}, piece), Heard()
    (outcome,) = run(source, tmp_path, heard)
    assert outcome.error is None
    assert Store(tmp_path).object_path(outcome.request.name).read_bytes() == b"x" * 100
    assert source.asked == [("a", 0, 100)]
    assert heard.said == ["started 0", "received 100", "done"]


@pytest.mark.parametrize(("size", "limit"), [(WHOLE_BELOW, None), (100, 1 << 20)])
def test_a_larger_file_and_a_limited_one_are_opened(tmp_path: Path, size: int, limit: int | None) -> None:
    """One wants to see them come, and to hold them to the rate."""
    source = WholeSource({"a": b"x" * size}, {"a": b"x" * size})
    (outcome,) = run(source, tmp_path, settings=TransferSettings(limit_rate=limit))
    assert outcome.error is None
    assert source.asked


def test_a_pointer_that_comes_whole_is_refused(tmp_path: Path) -> None:
    """It has the right hash: whoever published it published a pointer."""
    source = WholeSource({"a": POINTER}, {"a": POINTER})
    (outcome,) = run(source, tmp_path)
    assert isinstance(outcome.error, PointerError)
    assert source.asked == []


def test_a_stop_wakes_who_waits(tmp_path: Path) -> None:
    """And what was received before is kept."""
    source = WholeSource({"a": b"x" * 100, "b": b"y" * 100}, {"a": b"x" * 100}, silent="b")
    store, stop = Store(tmp_path), threading.Event()
    jobs = [Job(request=request_for(data, path, [source]), store=store) for path, data in source.files.items()]

    def stop_it() -> None:
        source.waits.wait(20)
        stop.set()

    setter = threading.Thread(target=stop_it)
    setter.start()
    with pytest.raises(InterruptedRun):
        run_transfer(jobs, settings=TransferSettings(jobs=1), events=NoEvents(), stop=stop)
    setter.join()
    assert source.woken.is_set()
    assert store.has(jobs[0].request.name, 100)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fetcher-")]
