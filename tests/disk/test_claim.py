"""Claims among threads, processes and machines."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import BaseFileLock, SoftFileLock

from fetcher.disk.claim import Claim, claim
from fetcher.disk.writer import Writer
from fetcher.errors import BusyError
from tests.disk.writers import GONE, LEASE_ELSEWHERE

HOLD = (
    "import pathlib, sys, time\n"
    "from fetcher.disk.claim import Claim\n"
    "claim = Claim.take(pathlib.Path(sys.argv[1]))\n"
    "print('held' if claim else 'busy', flush=True)\n"
    "time.sleep(30)\n"
)


def holder(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert child.stdout is not None
    child.stdout.close()


class DeafLock(SoftFileLock):
    """A lock as on a file system where locks do nothing: always given."""

    def _acquire(self) -> None:
        self._context.lock_file_fd = os.open(os.devnull, os.O_RDONLY)

    def _release(self) -> None:
        if self._context.lock_file_fd is not None:
            os.close(self._context.lock_file_fd)
            self._context.lock_file_fd = None


class NoLock(SoftFileLock):
    """A lock as on a system without locks."""

    def _acquire(self) -> None:
        raise NotImplementedError


def deaf(path: Path) -> BaseFileLock:
    return DeafLock(path)


def none(path: Path) -> BaseFileLock:
    return NoLock(path)


def test_a_second_taker_gets_nothing_until_the_release(tmp_path: Path) -> None:
    """Among threads of one process too."""
    folder = tmp_path / "p"
    first = Claim.take(folder)
    assert first is not None
    assert first.is_held()
    assert Claim.take(folder) is None
    first.release()
    first.release()
    second = Claim.take(folder)
    assert second is not None
    second.release()


def test_another_process_is_respected_and_a_killed_one_followed_at_once(tmp_path: Path) -> None:
    """After SIGKILL the next run must not wait for a minute."""
    folder = tmp_path / "p"
    child = holder(folder)
    assert Claim.take(folder) is None
    end(child)
    begun = time.monotonic()
    taken = Claim.take(folder)
    assert time.monotonic() - begun < 1
    assert taken is not None
    taken.release()


@pytest.mark.parametrize("lock_type", [deaf, none], ids=["locks do nothing", "no locks"])
def test_the_lease_keeps_a_second_writer_out_where_locks_do_not(tmp_path: Path, lock_type: object) -> None:
    """Some NFS: every lock is given, or none can be had; two writers on one file would corrupt it."""
    folder = tmp_path / "p"
    first = Claim.take(folder, lock_type=lock_type)  # type: ignore[arg-type]
    assert first is not None
    assert Claim.take(folder, lock_type=lock_type) is None  # type: ignore[arg-type]
    first.release()
    again = Claim.take(folder, lock_type=lock_type)  # type: ignore[arg-type]
    assert again is not None
    again.release()


def test_a_living_process_is_believed_where_locks_do_nothing(tmp_path: Path) -> None:
    """And a killed one is followed at once, since its machine is ours."""
    folder = tmp_path / "p"
    child = holder(folder)
    assert Claim.take(folder, lock_type=deaf) is None
    end(child)
    taken = Claim.take(folder, lock_type=deaf)
    assert taken is not None
    taken.release()


def test_a_holder_on_another_machine_is_believed_while_its_heart_beats(tmp_path: Path) -> None:
    """A store on NFS without working locks; a lease that nobody touched for a minute is of a dead one, perhaps."""
    folder = tmp_path / "p"
    folder.mkdir()
    owner = folder / "owner"
    owner.write_text(LEASE_ELSEWHERE)
    recent = time.time() - 55
    os.utime(owner, (recent, recent))
    assert Claim.take(folder) is None
    old = time.time() - 65
    os.utime(owner, (old, old))
    taken = Claim.take(folder)
    assert taken is not None
    assert not taken.is_sure
    taken.release()
    again = Claim.take(folder)
    assert again is not None
    assert again.is_sure
    again.release()


def test_a_silent_process_of_this_machine_is_believed_as_long_as_it_runs(tmp_path: Path) -> None:
    """A laptop that slept; here the process itself can be asked for."""
    folder = tmp_path / "p"
    child = holder(folder)
    os.utime(folder / "owner", (1, 1))
    assert Claim.take(folder, lock_type=deaf) is None
    end(child)


def test_a_process_that_got_the_number_of_a_dead_holder_is_not_the_holder(tmp_path: Path) -> None:
    """Process numbers come round; in containers after a restart at once."""
    me = Writer.me()
    former = dataclasses.replace(me, pid=os.getppid(), started=me.started + 1)
    (tmp_path / "owner").write_text(f"{socket.gethostname()} {former} abcd 1700000000\n")
    taken = Claim.take(tmp_path)
    assert taken is not None
    taken.release()


def test_the_heart_beats_while_a_claim_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download of hours must not look dead from another machine."""
    monkeypatch.setattr("fetcher.disk.claim._BEAT_S", 0.05)
    taken = Claim.take(tmp_path)
    assert taken is not None
    os.utime(tmp_path / "owner", (1, 1))
    end_s = time.monotonic() + 10
    while (tmp_path / "owner").stat().st_mtime < 2 and time.monotonic() < end_s:
        time.sleep(0.02)
    assert time.time() - (tmp_path / "owner").stat().st_mtime < 60
    taken.release()


@pytest.mark.parametrize(
    "text",
    [
        f"{socket.gethostname()} {Writer.me()} former 1700000000\n",
        f"{socket.gethostname()} {GONE} abcd 1700000000\n",
        "",
        "garbage",
        "\x00",
    ],
    ids=["former life", "gone", "empty", "garbage", "zero"],
)
def test_a_lease_of_a_former_life_or_a_torn_one_is_no_holder(tmp_path: Path, text: str) -> None:
    """In a container the next life has the same name and often the same process number."""
    (tmp_path / "owner").write_text(text)
    taken = Claim.take(tmp_path)
    assert taken is not None
    assert taken.is_sure
    taken.release()


def test_of_many_that_see_a_dead_holder_one_follows(tmp_path: Path) -> None:
    """Whoever is slow must not put the new holder aside in place of the dead one."""
    for _ in range(20):
        (tmp_path / "owner").write_text(f"here {GONE} abcd 1700000000\n")
        begin = threading.Barrier(6)
        taken: list[Claim | None] = []

        def take(begin: threading.Barrier = begin, taken: list[Claim | None] = taken) -> None:
            begin.wait()
            taken.append(Claim.take(tmp_path, lock_type=deaf))

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        held = [found for found in taken if found is not None and found.is_held()]
        assert len(held) <= 1
        for found in taken:
            if found is not None:
                found.release()
        assert [name for name in os.listdir(tmp_path) if name != "claim"] == []


def test_a_claim_that_was_taken_over_knows_it(tmp_path: Path) -> None:
    """So that a holder who slept for an hour does not publish what two have written."""
    taken = Claim.take(tmp_path)
    assert taken is not None
    (tmp_path / "owner").write_text(LEASE_ELSEWHERE)
    assert not taken.is_held()
    taken.release()
    assert (tmp_path / "owner").exists()


def test_the_end_of_a_claim_leaves_no_litter(tmp_path: Path) -> None:
    """Thousands of lock files make every later create slow."""
    taken = Claim.take(tmp_path / "p")
    assert taken is not None
    taken.end()
    assert os.listdir(tmp_path) == []


def test_waiting_for_a_claim_ends_in_exit_10_with_who_and_where(tmp_path: Path) -> None:
    """The whole message."""
    path = tmp_path / "claim"
    with claim(path, wait_s=1, what="the project demo"):
        caught: list[BusyError] = []

        def wait() -> None:
            try:
                with claim(path, wait_s=0.2, what="the project demo"):
                    pass
            except BusyError as error:
                caught.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert caught[0].exit_code == 10
    message = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME", str(caught[0]))
    assert message == (
        "Another fetcher is at work on the project demo.\n"
        f"  holder: process {os.getpid()} on {socket.gethostname()} since TIME\n"
        f"  claim: {path}\n"
        "  waited: 0.2 s\n"
        "  fix: wait for it to end and run the command again"
    )


def test_a_wait_ends_well_when_the_holder_ends(tmp_path: Path) -> None:
    """One may wait; both end with right files."""
    path = tmp_path / "claim"
    order: list[str] = []

    def second() -> None:
        with claim(path, wait_s=10, what="x"):
            order.append("second")

    with claim(path, wait_s=1, what="x"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_stop_ends_a_wait(tmp_path: Path) -> None:
    """Ctrl-C while waiting for another fetcher."""
    stop = threading.Event()
    stop.set()
    path = tmp_path / "claim"
    with claim(path, wait_s=1, what="x"):
        begun = time.monotonic()
        with pytest.raises(BusyError), claim(path, wait_s=100, what="x", stop=stop):
            pass
        assert time.monotonic() - begun < 2


def test_no_thread_outlives_the_last_claim(tmp_path: Path) -> None:
    """A program that uses fetcher has its own threads only afterwards, at once."""

    def take(name: str, count: int) -> None:
        for _ in range(count):
            with claim(tmp_path / name, wait_s=1, what="x"):
                pass

    for _ in range(50):
        take("one", 1)
        assert not [thread for thread in threading.enumerate() if thread.name == "fetcher-pulse"]
    others = [threading.Thread(target=take, args=(name, 50)) for name in ("two", "three")]
    begun = time.monotonic()
    for each in others:
        each.start()
    for each in others:
        each.join()
    assert not [thread for thread in threading.enumerate() if thread.name == "fetcher-pulse"]
    assert time.monotonic() - begun < 10, "nobody waited for a thread that had another claim to look after"
