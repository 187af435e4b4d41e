"""Partials on a real disk: durable parts, kills, damage, publishing."""

import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fetcher.core.chunk import CHUNK
from fetcher.core.digest import Expected, Sha256
from fetcher.core.download import Span
from fetcher.disk.chunks import ChunkList
from fetcher.disk.partial import Partial
from fetcher.disk.store import Store
from fetcher.errors import BusyError, IntegrityError, InterruptedRun
from tests.disk.writers import GONE, LEASE_ELSEWHERE

MIB = 1 << 20
DATA = random.Random(7).randbytes(3 * CHUNK + 5 * MIB + 321)
SHA = Sha256(hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def opened(store: Store) -> Partial:
    return store.partial(Expected(sha256=SHA, size=len(DATA)))


def put(partial: Partial, start: int, stop: int, data: bytes = DATA, *, piece: int = MIB) -> None:
    view = memoryview(data)
    for offset in range(start, stop, piece):
        part = view[offset : min(offset + piece, stop)]
        partial.write(offset, part)
        partial.absorb(offset, part)


def data_file(store: Store) -> Path:
    return next(store.partial_folder(SHA).glob("data-*"))


def journal(store: Store) -> Path:
    return store.partial_folder(SHA) / "journal"


def damage(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_a_whole_is_published_read_only_with_its_chunk_list_and_no_litter(store: Store) -> None:
    """The end of every download."""
    with opened(store) as partial:
        put(partial, 0, len(DATA))
        assert partial.missing() == []
        assert partial.publish() == SHA
    path = store.object_path(SHA)
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    chunks = store.chunks(SHA)
    assert chunks is not None
    assert len(chunks.digests) == 4
    assert os.listdir(store.root / "partial") == []


def test_room_is_reserved_at_once(store: Store) -> None:
    """A disk that fills up is found before the first byte, not after an hour."""
    with opened(store):
        assert data_file(store).stat().st_size == len(DATA)
        assert store.partial_room(SHA) == len(DATA)
        assert store.partial_size(SHA) == 0


def test_an_orderly_end_loses_nothing(store: Store) -> None:
    """Ctrl-C in the middle of a chunk: the open chunk is recorded too."""
    with opened(store) as partial:
        put(partial, 0, CHUNK + 12345)
    assert store.partial_size(SHA) == CHUNK + 12345
    with opened(store) as partial:
        assert partial.missing() == [Span(start=CHUNK + 12345, stop=len(DATA))]
        put(partial, CHUNK + 12345, len(DATA))
        partial.publish()
    assert store.prove(SHA)


def test_chunks_in_any_order_by_several_threads_make_the_same_object(store: Store) -> None:
    """Parts over several connections; the sha256 of what came out of order is read back."""
    with opened(store) as partial:
        starts = list(range(0, len(DATA), CHUNK))[::-1]
        threads = [
            threading.Thread(target=put, args=(partial, start, min(start + CHUNK, len(DATA)))) for start in starts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        partial.publish()
    assert store.prove(SHA)


def test_gaps_are_listed_in_file_order_and_joined(store: Store) -> None:
    """What is asked for next; touching gaps cost one request, not two."""
    with opened(store) as partial:
        put(partial, CHUNK, CHUNK + 100)
        put(partial, 3 * CHUNK, len(DATA))
        expected = [Span(start=0, stop=CHUNK), Span(start=CHUNK + 100, stop=3 * CHUNK)]
        assert partial.missing() == expected
    with opened(store) as partial:
        assert partial.missing() == expected
        assert partial.have == 100 + len(DATA) - 3 * CHUNK


def test_a_byte_damaged_between_two_runs_costs_its_chunk_only(store: Store) -> None:
    """A bad disk or a curious user; found before the bytes count."""
    with opened(store) as partial:
        put(partial, 0, 3 * CHUNK)
    damage(data_file(store), CHUNK + 5)
    with opened(store) as partial:
        assert partial.missing()[0] == Span(start=CHUNK, stop=2 * CHUNK)
        put(partial, CHUNK, 2 * CHUNK)
        put(partial, 3 * CHUNK, len(DATA))
        partial.publish()
    assert store.prove(SHA)


def test_wrong_bytes_are_refused_and_forgotten(store: Store) -> None:
    """Exit 4; nothing gets a name, and the next try begins at zero."""
    wrong = DATA[:-1] + bytes([DATA[-1] ^ 1])
    with opened(store) as partial:
        put(partial, 0, len(wrong), wrong)
        with pytest.raises(IntegrityError) as caught:
            partial.publish()
        assert str(caught.value) == (
            "The bytes received are not those of the lock.\n"
            f"  locked: sha256 {SHA}\n"
            f"  received: sha256 {hashlib.sha256(wrong).hexdigest()}"
        )
        partial.restart()
        assert partial.missing() == [Span(start=0, stop=len(DATA))]
    assert not store.has(SHA, len(DATA))
    assert store.partial_size(SHA) == 0


def test_publishing_before_the_end_is_a_bug(store: Store) -> None:
    """The preallocated rest is zeros."""
    with opened(store) as partial:
        put(partial, 0, CHUNK)
        with pytest.raises(ValueError, match="before all bytes"):
            partial.publish()


@pytest.mark.parametrize(("start", "stop"), [(50, 150), (0, 10), (90, 100)])
def test_bytes_that_are_here_already_are_a_bug(store: Store, start: int, stop: int) -> None:
    """Counted twice, they would stand for bytes that never came."""
    with opened(store) as partial:
        put(partial, 0, 100)
        put(partial, CHUNK, CHUNK + 100)
        with pytest.raises(ValueError, match=f"bytes from {start} to .* are here already"):
            partial.absorb(start, memoryview(DATA)[start:stop])


def test_pieces_of_a_chunk_in_any_order_make_the_same_chunk_list(store: Store) -> None:
    """A part that was split ends in the middle of a chunk; the list must not show it."""
    with opened(store) as partial:
        put(partial, 7 * MIB, CHUNK)
        put(partial, CHUNK + 3 * MIB, len(DATA))
        put(partial, 2 * MIB, 7 * MIB)
        assert partial.missing() == [Span(start=0, stop=2 * MIB), Span(start=CHUNK, stop=CHUNK + 3 * MIB)]
        put(partial, 0, 2 * MIB)
        put(partial, CHUNK, CHUNK + 3 * MIB)
        partial.publish()
    assert store.chunks(SHA) == ChunkList.of(DATA)


def test_pieces_of_a_chunk_outlive_a_kill_each_for_itself(store: Store) -> None:
    """What several connections have of one chunk is recorded, proven and gone on with."""
    with opened(store) as partial:
        put(partial, 0, 3 * MIB)
        put(partial, 9 * MIB, 12 * MIB)
    damage(data_file(store), 2 * MIB)
    with opened(store) as partial:
        assert partial.missing()[:2] == [Span(start=0, stop=9 * MIB), Span(start=12 * MIB, stop=len(DATA))]
        put(partial, 0, 9 * MIB)
        put(partial, 12 * MIB, len(DATA))
        partial.publish()
    assert store.prove(SHA)


def test_what_is_forgotten_costs_its_segments_only(store: Store) -> None:
    """Of two givers the suspected one's bytes are fetched again, not the whole."""
    wrong = bytes(MIB)
    with opened(store) as partial:
        put(partial, 0, 2 * CHUNK)
        partial.write(2 * CHUNK, memoryview(wrong))
        partial.absorb(2 * CHUNK, memoryview(wrong))
        put(partial, 2 * CHUNK + MIB, len(DATA))
        with pytest.raises(IntegrityError):
            partial.publish()
        gone = partial.forget([Span(start=2 * CHUNK, stop=2 * CHUNK + MIB)])
        assert gone == [Span(start=2 * CHUNK, stop=3 * CHUNK)] == partial.missing()
        assert store.partial_size(SHA) == len(DATA) - CHUNK
        put(partial, 2 * CHUNK, 3 * CHUNK)
        partial.publish()
    assert store.prove(SHA)


def test_two_never_write_one_partial(store: Store) -> None:
    """The whole message."""
    with opened(store), pytest.raises(BusyError) as caught:
        opened(store)
    message = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "TIME", str(caught.value))
    assert message == (
        "Another fetcher is downloading the same file.\n"
        f"  holder: process {os.getpid()} on {socket.gethostname()} since TIME\n"
        f"  partial: {store.partial_folder(SHA)}\n"
        "  fix: wait for it to end and run the command again"
    )


def test_a_partial_that_was_taken_over_is_not_published(store: Store) -> None:
    """On a file system without locks another machine may have begun to write the same file."""
    with opened(store) as partial:
        put(partial, 0, len(DATA))
        (store.partial_folder(SHA) / "owner").write_text(LEASE_ELSEWHERE)
        with pytest.raises(BusyError, match="has taken over"):
            partial.publish()
    assert not store.has(SHA, len(DATA))


def test_two_writers_where_claims_are_worth_nothing_never_share_a_file(store: Store) -> None:
    """A holder elsewhere sleeps for two minutes, is followed, and wakes up: both end right, whoever is first."""
    sleeper = opened(store)
    put(sleeper, 0, CHUNK + MIB)
    sleeper.save()
    owner = store.partial_folder(SHA) / "owner"
    owner.write_text(LEASE_ELSEWHERE)
    old = time.time() - 120
    os.utime(owner, (old, old))
    sleeper._claim._lock.release()  # type: ignore[union-attr]
    follower = opened(store)
    assert follower.have == CHUNK + MIB
    sleeper.write(0, memoryview(bytes(3 * CHUNK)))  # wrong bytes, as from a source that lies
    put(follower, CHUNK + MIB, len(DATA))
    with pytest.raises(BusyError, match="has taken over"):
        sleeper._publish_here(SHA)
    follower.publish()
    assert store.prove(SHA)
    sleeper.close()
    assert os.listdir(store.root / "partial") == []


def test_a_stop_ends_the_proof_of_a_large_partial(store: Store) -> None:
    """Reading 60 GB back takes half a minute; Ctrl-C must not wait for it, and nothing is lost."""
    with opened(store) as partial:
        put(partial, 0, 2 * CHUNK)
    with pytest.raises(InterruptedRun):
        store.partial(Expected(sha256=SHA, size=len(DATA)), stop=lambda: True)
    assert store.partial_size(SHA) == 2 * CHUNK
    with opened(store) as partial:
        assert partial.have == 2 * CHUNK


def test_discarding_removes_everything(store: Store) -> None:
    """For `store gc`."""
    partial = opened(store)
    put(partial, 0, CHUNK)
    partial.discard()
    assert os.listdir(store.root / "partial") == []


def test_what_a_killed_run_left_beside_the_journal_is_removed_too(store: Store) -> None:
    """A folder that is never empty is never removed, and a store fills up with them."""
    with opened(store) as partial:
        (store.partial_folder(SHA) / f".journal.fetcher-{GONE}-01234567").write_text("half a jour")
        put(partial, 0, len(DATA))
        partial.publish()
    assert os.listdir(store.root / "partial") == []


def test_an_object_that_another_one_published_is_left_as_it_is(store: Store) -> None:
    """Its bytes may be shared with a target already."""
    with opened(store) as partial:
        put(partial, 0, len(DATA))
        store.add_bytes(DATA)
        inode = store.object_path(SHA).stat().st_ino
        partial.publish()
    assert store.object_path(SHA).stat().st_ino == inode
    assert os.listdir(store.root / "partial") == []


def test_a_disk_that_refuses_in_the_middle_is_exit_11_and_keeps_what_is_durable(tmp_path: Path) -> None:
    """A real refusal (EFBIG by RLIMIT_FSIZE) in a process of its own, at preallocation."""
    script = (
        "import pathlib, resource, signal, sys\n"
        "from fetcher.core.digest import Expected, Sha256\n"
        "from fetcher.disk.store import Store\n"
        "from fetcher.errors import DiskError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: Store(pathlib.Path(sys.argv[1])).partial(Expected(sha256=Sha256('a' * 64), size=1 << 24))\n"
        "except DiskError as error: print(error.exit_code, error.what)\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert result.stdout == "11 The file is too large for this file system.\n"
    with Store(tmp_path).partial(Expected(sha256=Sha256("a" * 64), size=1 << 24)) as partial:
        assert partial.missing() == [Span(start=0, stop=1 << 24)]


def test_a_write_on_a_lost_descriptor_is_not_swallowed(store: Store) -> None:
    """Any other refusal passes as it is."""
    partial = opened(store)
    partial.discard()
    with pytest.raises(OSError, match="Bad file descriptor"):
        partial.write(0, memoryview(b"x"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tear=st.sampled_from(["cut", "flip", "garbage", "remove", "foreign", "double", "none"]),
    at=st.integers(0, 10_000),
    flips=st.lists(st.integers(0, len(DATA) - 1), max_size=2),
    upto=st.integers(1, len(DATA)),
)
def test_any_damage_to_journal_and_bytes_costs_bytes_never_rightness(
    tmp_path_factory: pytest.TempPathFactory, tear: str, at: int, flips: list[int], upto: int
) -> None:
    """Power cuts, bad disks, other programs: what is listed as here is really here."""
    store = Store(tmp_path_factory.mktemp("torn"))
    with opened(store) as partial:
        put(partial, 0, upto)
    path = journal(store)
    text = path.read_bytes()
    at %= len(text)
    torn = {
        "cut": text[:at],
        "flip": text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :],
        "garbage": text + b"0 5 \xff\x00\n99999999999999 1 x y\n-1 2 3 4\n",
        "foreign": text.replace(SHA.encode(), b"0" * 64),
        "double": text + text,
        "none": text,
    }
    if tear == "remove":
        path.unlink()
    else:
        path.write_bytes(torn[tear])
    for flip in flips:
        damage(data_file(store), flip)
    on_disk = data_file(store).read_bytes()
    with opened(store) as partial:
        gaps = partial.missing()
        here, position = [], 0
        for gap in gaps:
            here.append((position, gap.start))
            position = gap.stop
        here.append((position, len(DATA)))
        assert all(on_disk[start:stop] == DATA[start:stop] for start, stop in here)
        if tear in ("none", "garbage", "double") and not flips:
            assert sum(gap.size for gap in gaps) == len(DATA) - upto
        for gap in gaps:
            put(partial, gap.start, gap.stop)
        partial.publish()
    assert store.prove(SHA)


CHILD = """
import hashlib, os, pathlib, random, sys, threading, time
from fetcher.core.interfaces import NoEvents
from fetcher.disk.store import Store
from fetcher.transfer import Job, TransferSettings, run_transfer
from tests.scripted import ScriptedSource, Turn, request_for

data = pathlib.Path(sys.argv[1]).read_bytes()
log = os.open(sys.argv[3], os.O_RDWR | os.O_CREAT)

def note(body):
    os.pwrite(log, b"%15d" % source.sent, 0)  # outlives a SIGKILL
    time.sleep(0.006)

source = ScriptedSource(files={"f": data}, always=Turn(pause=note))
request = request_for(data, "f", [source])
print("ready", flush=True)
settings = TransferSettings(behind_from=int(sys.argv[4]), cores=64, buffer_size=256 << 10)
outcomes = run_transfer(
    [Job(request=request, store=Store(pathlib.Path(sys.argv[2])))],
    settings=settings, events=NoEvents(), stop=threading.Event(),
)
os.pwrite(log, b"%15d" % source.sent, 0)
sys.exit(0 if outcomes[0].error is None else 1)
"""


@pytest.mark.parametrize("behind_from", [1 << 40, 1 << 20], ids=["inline", "behind"])
def test_a_kill_at_any_moment_costs_at_most_the_open_chunk(tmp_path: Path, behind_from: int) -> None:
    """SIGKILL at ten random moments of one download, each followed by the next run."""
    moments = random.Random(behind_from)
    (tmp_path / "data").write_bytes(DATA)
    kills, sent = 0, 0
    while True:
        log = tmp_path / "sent"
        log.unlink(missing_ok=True)
        arguments = [str(tmp_path / "data"), str(tmp_path / "store"), str(log), str(behind_from)]
        child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if kills < 10:
            threading.Event().wait(moments.uniform(0.01, 0.4))
            child.send_signal(signal.SIGKILL)
        code = child.wait(60)
        child.stdout.close()
        sent += int(log.read_bytes() or b"0") if log.exists() else 0
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills >= 3
    assert Store(tmp_path / "store").prove(SHA)
    assert sent <= len(DATA) + kills * CHUNK
    assert os.listdir(tmp_path / "store" / "partial") == []
