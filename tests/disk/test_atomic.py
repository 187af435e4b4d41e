"""Atomic writes on a real disk, and what its refusals are called."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fetcher.disk.atomic import disk_errors, make_folder, write_atomic
from fetcher.disk.writer import temporary_name
from fetcher.errors import DiskError


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    """A models.lock that was group-writable stays so; no temporary file is left."""
    path = tmp_path / "models.lock"
    write_atomic(path, b"one")
    path.chmod(0o640)
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["models.lock"]


def test_a_new_file_gets_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    """Objects are read-only from their first moment under their name."""
    write_atomic(tmp_path / "object", b"x", mode=0o444)
    assert (tmp_path / "object").stat().st_mode & 0o777 == 0o444


def test_a_symlink_keeps_pointing(tmp_path: Path) -> None:
    """Somebody who links models.lock elsewhere means it."""
    (tmp_path / "real").write_bytes(b"one")
    (tmp_path / "models.lock").symlink_to("real")
    write_atomic(tmp_path / "models.lock", b"two")
    assert (tmp_path / "models.lock").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"two"


def test_a_reader_sees_the_old_bytes_or_the_new_ones(tmp_path: Path) -> None:
    """While a writer alternates, no read is short or mixed."""
    path = tmp_path / "file"
    versions = {b"a" * 300_000, b"b" * 200_000}
    write_atomic(path, b"a" * 300_000)
    done = threading.Event()

    def write() -> None:
        for index in range(20):
            write_atomic(path, sorted(versions)[index % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= versions


def test_two_writers_never_share_a_temporary_file() -> None:
    """Not even two threads of one process; long names still fit into a file name."""
    names = {temporary_name("x" * 250) for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) < 200 and name.startswith(".x") for name in names)


def test_a_write_that_hits_a_limit_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    """A real refusal in the middle of a write (EFBIG by RLIMIT_FSIZE), in a process of its own."""
    (tmp_path / "file").write_bytes(b"old")
    script = (
        "import pathlib, resource, signal, sys\n"
        "from fetcher.disk.atomic import write_atomic\n"
        "from fetcher.errors import DiskError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try: write_atomic(pathlib.Path(sys.argv[1]), b'n' * 20000)\n"
        "except DiskError as error: print(error)\n"
    )
    path = tmp_path / "file"
    result = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout == (
        f"The file is too large for this file system.\n  path: {path}\n"
        "  fix: set FETCHER_STORE to a folder on a file system for large files\n"
    )
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_exit_11_with_path_and_fix(tmp_path: Path) -> None:
    """/dev/full refuses as a full disk does; the whole message."""
    with pytest.raises(DiskError) as caught, disk_errors(tmp_path / "x"), open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    assert caught.value.exit_code == 11
    assert str(caught.value) == (
        f"No space is left on the disk.\n  path: {tmp_path / 'x'}\n"
        "  fix: free some space on the disk that holds this path"
    )


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.EDQUOT, "The disk quota is used up."),
        (errno.EROFS, "The file system is read-only."),
        (errno.EACCES, "Permission denied."),
        (errno.EPERM, "The operation is not permitted."),
        (errno.EIO, "The disk reported an input/output error."),
        (errno.EMFILE, "Too many files are open."),
        (errno.ENFILE, "Too many files are open on this machine."),
    ],
)
def test_each_refusal_of_a_disk_has_its_sentence_and_a_fix(number: int, what: str) -> None:
    """`[Errno 122]` tells nobody what to do."""
    with pytest.raises(DiskError) as caught, disk_errors(Path("/store")):
        raise OSError(number, os.strerror(number))
    assert caught.value.what == what
    assert caught.value.fix


def test_other_errors_pass_as_they_are() -> None:
    """A missing file is a decision of the caller, not a broken disk."""
    with pytest.raises(FileNotFoundError), disk_errors(Path("/store")):
        raise FileNotFoundError(errno.ENOENT, "no")


def test_a_folder_is_made_by_many_at_once(tmp_path: Path) -> None:
    """Eight processes that begin with an empty store; none may fail because another was first."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(make_folder, [tmp_path / "a" / f"b{i % 3}" / "c" for i in range(40)])
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b0", "b1", "b2"]


@pytest.mark.parametrize("moment_ms", [1, 3, 6, 10, 15])
def test_a_killed_writer_leaves_the_old_or_the_new_bytes(tmp_path: Path, moment_ms: int) -> None:
    """SIGKILL at several moments of a loop of writes."""
    path = tmp_path / "file"
    path.write_bytes(b"0" * 50_000)
    script = (
        "import pathlib, sys\n"
        "from fetcher.disk.atomic import write_atomic\n"
        "print('ready', flush=True)\n"
        "for i in range(100000): write_atomic(pathlib.Path(sys.argv[1]), b'%d' % (i % 10) * 50000)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    threading.Event().wait(moment_ms / 1000)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    found = path.read_bytes()
    assert len(found) == 50_000
    assert len(set(found)) == 1
