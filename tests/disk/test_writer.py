"""Temporary names, and whose they are."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.disk.writer import Life, Writer, sweep, temporary_name
from tests.disk.writers import ELSEWHERE, GONE

_NAME = (
    "import sys\n"
    "from fetcher.disk.writer import temporary_name\n"
    "print(temporary_name('a.bin'), flush=True)\n"
    "sys.stdin.read()\n"
)


def test_the_files_of_a_living_writer_stay_and_those_of_a_killed_one_go(tmp_path: Path) -> None:
    """Seen from another process; a zombie counts as dead."""
    child = subprocess.Popen([sys.executable, "-c", _NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdin is not None
    theirs = tmp_path / child.stdout.readline().strip()
    mine = tmp_path / temporary_name("a.bin")
    for path in (theirs, mine):
        path.write_bytes(b"half")
    sweep(tmp_path)
    assert theirs.exists()
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    sweep(tmp_path)
    assert os.listdir(tmp_path) == [mine.name]
    child.wait()
    child.stdin.close()
    child.stdout.close()


def test_a_process_with_the_number_of_a_former_one_is_another_writer(tmp_path: Path) -> None:
    """Numbers come round, and a temporary file must not stay for ever because of that."""
    later = dataclasses.replace(Writer.me(), started=Writer.me().started - 1)
    assert later.life() is Life.GONE
    assert Writer.me().life() is Life.RUNS
    assert ELSEWHERE.life() is Life.ELSEWHERE


def test_the_files_of_a_writer_elsewhere_stay_for_a_day(tmp_path: Path) -> None:
    """A store on a shared file system: its process cannot be asked for here."""
    path = tmp_path / f".a.bin.fetcher-{ELSEWHERE}-01234567"
    path.write_bytes(b"half")
    os.utime(path, (1, 1))  # a reflink or a hard link has the time of its object; the name's is ctime
    sweep(tmp_path)
    assert path.exists()


@pytest.mark.parametrize(
    "name",
    [
        "a.bin",
        ".a.bin.fetcher-notes",
        f"a.bin.fetcher-{GONE}-01234567",
        f".a.bin.fetcher-{GONE}-0123456",
        f".a.bin.fetcher-{GONE}-01234567.txt",
    ],
    ids=["plain", "no writer", "not hidden", "short", "long"],
)
def test_what_only_looks_like_a_temporary_name_stays(tmp_path: Path, name: str) -> None:
    """A person's file is a person's file."""
    (tmp_path / name).write_bytes(b"")
    (tmp_path / f".a.bin.fetcher-{GONE}-01234567").write_bytes(b"")
    sweep(tmp_path)
    assert os.listdir(tmp_path) == [name]


def test_a_folder_by_descriptor_is_swept_too_and_a_missing_one_is_fine(tmp_path: Path) -> None:
    """Targets are held by descriptor, so that nothing is swapped in."""
    (tmp_path / f".x.fetcher-{GONE}-01234567").write_bytes(b"")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    sweep(descriptor)
    os.close(descriptor)
    assert os.listdir(tmp_path) == []
    sweep(tmp_path / "missing")


def test_a_writer_reads_what_it_writes() -> None:
    """The name is parsed by other processes."""
    assert Writer.parse(str(Writer.me())) == Writer.me()
    assert Writer.parse("0123456789-34-56") == Writer(machine="0123456789", pid=34, started=56)
    assert Writer.parse("12-34-56") is None
