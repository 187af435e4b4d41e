"""The front room: the same answers as the normal way, and no answer to anything else."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.disk import ahead
from fetcher.disk.index import Index
from fetcher.front import answer
from fetcher.project import Project
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher

_TREE: dict[str, bytes | int] = {"config.json": b"{}", "sub/model.bin": b"weights"}
_NORMAL = {"FETCHER_OUT_OF_THE_ORDINARY": "1"}  # a variable of that form sends every command the normal way
_OLD_S = 1_600_000_000
_HEAVY = {"typer", "pydantic", "rich", "httpx", "sqlite3", "json", "tomllib", "dataclasses", "re", "socket", "hashlib"}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A project that is in place, and whose answers are ready."""
    publisher.publish("owner/model", _TREE)
    at = desk(tmp_path / "project", hub.url, more={"FETCHER_STORE": str(tmp_path / "store")})
    at.manifest('[models.m]\nsource = "ms:owner/model"\n[models.n]\nsource = "ms:owner/model"\ntarget = "n"\n')
    _lock(at)
    _sync(at)
    for path in (at.folder / "models/m/config.json", at.folder / "n/config.json"):
        os.utime(path, (_OLD_S, _OLD_S))  # or they could be too young to be trusted
    _sync(at)
    monkeypatch.chdir(at.folder)
    for name in [name for name in os.environ if name.startswith("FETCHER_")]:
        monkeypatch.delenv(name)
    return at


def _project(at: Desk) -> Project:
    return Project.find(at.folder, settings=Settings.of(at.environment))


def _lock(at: Desk) -> None:
    project = _project(at)
    project.save_lock(project.resolve())


def _sync(at: Desk) -> None:
    _project(at).sync(force=True)


# --- the same answers ------------------------------------------------------------------

_COMMANDS = [
    "sync",
    "sync --check",
    "sync --frozen --offline",
    "sync --dry-run",
    "sync --force --no-prune --keep-going -q",
    "-q sync",
    "lock --check",
    "lock --check --quiet",
    "status",
    "status -q",
    "--version",
    "-V",
    "--manifest=models.toml status",
    "status -C .",
]


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_front_room_answers_as_the_normal_way(at: Desk, command: str) -> None:
    """Nobody must be able to tell which way was gone, but by the time."""
    words = command.split()
    assert answer(words)
    front = at.fetcher(*words)
    at.environment.update(_NORMAL)
    assert front == at.fetcher(*words)
    assert front.code == 0


@pytest.mark.parametrize("start", ["..", "models/m/sub", "n"])
def test_it_finds_the_project_from_below_and_by_name(at: Desk, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As git does."""
    monkeypatch.chdir(at.folder / start)
    words = ["-C", "project", "sync"] if start == ".." else ["sync"]
    assert answer(words)
    assert os.getcwd() == str((at.folder / start).resolve())


def test_two_manifests_of_a_folder_have_their_own_answers(at: Desk) -> None:
    """models.toml is in place; what the other one wants is not."""
    (at.folder / "other.toml").write_text('version = 1\n[models.o]\nsource = "ms:owner/model"\n', encoding="utf-8")
    words = ["--manifest", "other.toml", "sync"]
    at.ok("--manifest", "other.toml", "lock")
    assert not answer(words)
    at.ok(*words)
    for path in (at.folder / "models/o/config.json", at.folder / "models/o/sub/model.bin"):
        os.utime(path, (_OLD_S, _OLD_S))
    at.ok(*words)
    assert answer(words)
    assert answer(["sync"])


def test_nothing_heavy_is_imported_and_no_socket_is_opened(at: Desk) -> None:
    """What it does not load is what it is for."""
    code = (
        "import sys; before = set(sys.modules); from fetcher.front import answer\n"
        f"print(answer(['sync']), sorted({_HEAVY} & (sys.modules.keys() - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=at.folder, env=at.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True []\n"


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_sync_with_nothing_to_do_opens_no_socket(at: Desk) -> None:
    """Neither here nor on the normal way; the kernel says so."""
    for more in ({}, _NORMAL):
        at.environment.update(more)
        calls = at.folder.parent / "calls"
        done = at.ok("sync", prefix=("strace", "-f", "-qq", "-e", "trace=network,execve", "-o", str(calls)))
        assert done.err == "Up to date: 4 files.\n"
        told = calls.read_text(encoding="utf-8")
        assert "execve(" in told
        assert "socket(" not in told
        assert "connect(" not in told


def test_output_that_cannot_be_written_fails_as_the_normal_way(at: Desk) -> None:
    """A full disk behind standard output is an error there too."""

    def run() -> tuple[int, str]:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "fetcher", "status"],
                cwd=at.folder,
                env=at.environment,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        return done.returncode, done.stderr

    front = run()
    at.environment.update(_NORMAL)
    assert front == run()
    assert front[0] == 11


# --- no answer to anything else --------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "",
        "sync m",
        "sync --json",
        "sync -v",
        "sync --jobs 3",
        "sync --quiet=1",
        "sync --help",
        "lock",
        "lock --check --upgrade",
        "status --group x",
        "status --check",
        "verify",
        "--version sync",
        "-C",
        "-C . -C . sync",
        "-C -q sync",
        "-C nowhere sync",
        "-C models.toml sync",
        "-C models/.. sync",
        "--manifest none.toml sync",
        "--manifest models.lock sync",
        "--manifest ./models.toml sync",
        "--manifest n sync",
    ],
)
def test_what_is_out_of_the_ordinary_goes_the_normal_way(at: Desk, command: str) -> None:
    """Flags with a meaning of their own, and mistakes, whose messages are the frame's."""
    assert not answer(command.split())


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("FETCHER_JOBS", "0", False),
        ("FETCHER_JOBS", "²", False),
        ("FETCHER_JOBS", "4", True),
        ("FETCHER_JOBS", "", True),
        ("FETCHER_LIMIT_RATE", "fast", False),
        ("FETCHER_STORE", "~nobody-such/x", False),
        ("FETCHER_STORE", "/somewhere", True),
        ("_FETCHER_COMPLETE", "bash_source", False),
        ("MODELSCOPE_ENDPOINT", "no url", True),
        ("HOME", "", False),
    ],
)
def test_a_variable_with_a_meaning_goes_the_normal_way(
    at: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, plain: bool
) -> None:
    """One that cannot be used is an error there; the others change nothing when nothing is to do."""
    monkeypatch.setenv(name, value)
    assert answer(["sync"]) is plain


def _edit(at: Desk) -> None:
    path = at.folder / "n/config.json"
    path.chmod(0o644)
    path.write_bytes(b"[]")


def _restore_backup(at: Desk) -> None:
    _edit(at)
    os.utime(at.folder / "n/config.json", (_OLD_S - 9, _OLD_S - 9))


def _replace(at: Desk) -> None:
    path = at.folder / "n/config.json"
    before = path.stat()
    new = at.folder / "new"
    new.write_bytes(b"[]")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(path)


def _link_folder(at: Desk) -> None:
    (at.folder / "n").rename(at.folder / "elsewhere")
    (at.folder / "n").symlink_to("elsewhere")


def _drop_a_model(at: Desk) -> None:
    at.model("n", more='target = "n"')


def _damage_lock(at: Desk) -> None:
    lock = at.folder / "models.lock"
    lock.write_text(lock.read_text(encoding="utf-8").replace("config.json", "konfig.json"), encoding="utf-8")


_CHANGES: dict[str, tuple[Callable[[Desk], object], int, int]] = {  # what, exit code of sync, of status
    "a file was edited": (_edit, 9, 0),
    "a backup was restored over it": (_restore_backup, 9, 0),
    "a file was replaced": (_replace, 9, 0),
    "a folder became a symlink": (_link_folder, 9, 0),
    "the manifest dropped a model": (_drop_a_model, 1, 0),
    "the manifest is broken": (lambda at: at.manifest("[models"), 2, 2),
    "the lock is gone": (lambda at: (at.folder / "models.lock").unlink(), 1, 0),
    "the lock was edited": (_damage_lock, 1, 0),
    "the index is gone": (lambda at: (at.folder / ".fetcher/index.sqlite").unlink(), 0, 0),
    "a file is gone": (lambda at: (at.folder / "n/sub/model.bin").unlink(), 0, 0),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_after_a_change_the_normal_way_answers(at: Desk, change: str) -> None:
    """And says what it always says; nothing of the user's is touched."""
    make, synced, told = _CHANGES[change]
    make(at)
    assert not answer(["sync"])
    assert not answer(["status"])
    mine = at.folder / "n/config.json"
    before = mine.read_bytes()
    front = [at.fetcher("status"), at.fetcher("sync")]
    assert [done.code for done in front] == [told, synced]
    assert mine.read_bytes() == before
    at.environment.update(_NORMAL)
    if synced:
        assert front == [at.fetcher("status"), at.fetcher("sync")]


def test_files_that_are_not_fetcher_s_are_told_by_status_alone(at: Desk) -> None:
    """They may come and go without the index; `sync` has nothing to do with them."""
    notes = at.folder / "n/sub/notes.txt"
    notes.write_text("mine", encoding="utf-8")
    assert not answer(["status"])
    assert answer(["sync"])
    told = at.ok("status")
    assert "  unmanaged: n/sub/notes.txt\n" in told.out
    (at.folder / ".fetcher/ready").unlink()
    _sync(at)
    assert answer(["status"])
    assert told == at.fetcher("status")
    notes.unlink()
    assert not answer(["status"])
    assert "unmanaged" not in at.ok("status").out


def test_what_is_left_over_is_said_each_time(at: Desk) -> None:
    """An edited file that nothing wants any more: `sync` names it once, and is silent about it from then on."""
    _edit(at)
    at.model("m")
    _lock(at)
    first = at.ok("sync")
    assert "left, edited since fetcher wrote it: n/config.json\n" in first.err
    at.ok("sync")
    assert answer(["sync"])
    front = at.fetcher("sync")
    at.environment.update(_NORMAL)
    assert front == at.fetcher("sync")


_TRASH_CHANGES: dict[str, Callable[[Path], object]] = {
    "something of the user's came": lambda trash: (trash / "something").write_bytes(b"1"),
    "something grew": lambda trash: (trash / "mine/note").write_bytes(b"longer"),
    "something went": lambda trash: (trash / "mine/note").unlink(),
    "something got another name": lambda trash: (trash / "mine/note").rename(trash / "mine/other"),
    "something got a name elsewhere": lambda trash: os.link(trash / "mine/note", trash.parent / "note"),
    "all is gone": shutil.rmtree,
    "it became a file": lambda trash: (shutil.rmtree(trash), trash.write_bytes(b"")),
}


@pytest.mark.parametrize("change", _TRASH_CHANGES)
def test_status_speaks_of_the_trash_as_it_is(at: Desk, change: str) -> None:
    """What stands there may change without the index; `sync` says nothing of it."""
    trash = at.folder / ".fetcher/trash"
    (trash / "mine").mkdir()
    (trash / "mine/note").write_bytes(b"1")
    (at.folder / ".fetcher/ready").unlink()
    _sync(at)
    assert answer(["status"])
    front = at.fetcher("status")
    assert "trash: 1 sync can be undone" in front.out
    assert "trash: 1 file of yours, 1 B" in front.out
    at.environment.update(_NORMAL)
    assert front == at.fetcher("status")
    _TRASH_CHANGES[change](trash)
    assert not answer(["status"])
    assert answer(["sync"])


def test_a_trash_that_holds_much_is_looked_at_each_time(at: Desk) -> None:
    """The look that a stamp needs would take longer than it saves."""
    for number in range(2001):
        (at.folder / ".fetcher/trash" / str(number)).touch()
    (at.folder / ".fetcher/ready").unlink()
    _sync(at)
    assert answer(["sync"])
    assert not answer(["status"])
    assert "2001 files of yours" in at.fetcher("status").out


# --- when answers are made ready -------------------------------------------------------


def test_a_file_as_young_as_the_look_is_hashed_not_trusted(at: Desk) -> None:
    """Git's racy files, and a clock that was ahead: an edit could leave size and date as they were."""
    path = at.folder / "n/config.json"
    soon_ns = time.time_ns() + 3_600_000_000_000
    os.utime(path, ns=(soon_ns, soon_ns))
    at.ok("sync")
    assert not answer(["sync"])
    path.chmod(0o644)
    path.write_bytes(b"[]")
    os.utime(path, ns=(soon_ns, soon_ns))
    assert at.fetcher("sync").code == 9
    assert path.read_bytes() == b"[]"


def test_a_copied_project_looks_for_itself_and_then_answers(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that keeps dates has other inodes, or other files under the same ones."""
    copy = at.folder.parent / "copy"
    shutil.copytree(at.folder, copy)
    monkeypatch.chdir(copy)
    assert not answer(["sync"])
    mine = copy / "n/config.json"
    mine.chmod(0o644)
    mine.write_bytes(b"[]")
    os.utime(mine, (_OLD_S, _OLD_S))
    assert at.fetcher("-C", str(copy), "sync").code == 9
    assert mine.read_bytes() == b"[]"
    assert answer(["-C", str(at.folder), "sync"])


def test_a_moved_project_looks_once(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is kept by a project's path is to be told of the new one."""
    monkeypatch.chdir(at.folder.parent)
    moved = at.folder.rename(at.folder.parent / "moved")
    assert not answer(["-C", "moved", "sync"])
    assert Project.find(moved, settings=Settings.of(at.environment)).sync().is_empty()
    assert answer(["-C", "moved", "sync"])


def test_an_index_that_was_written_since_ends_the_answers(at: Desk) -> None:
    """A kill between the index and the answers, or an older copy of either."""
    ready = at.folder / ".fetcher/ready"
    old = ready.read_bytes()
    index = Index(at.folder / ".fetcher/index.sqlite")
    index.save(index.rows(), index.folders())
    assert not ready.exists()
    ready.write_bytes(old)
    assert not answer(["sync"])


def test_a_stale_lock_that_is_taken_as_it_is_makes_no_answer(at: Desk) -> None:
    """`sync --frozen` is content with it; `sync` and `lock --check` are not."""
    at.model("m", more='exclude = ["none"]')
    (at.folder / ".fetcher/ready").unlink()
    _project(at).sync(frozen=True, prune=False)
    assert not answer(["sync"])
    assert not answer(["lock", "--check"])


def test_a_project_that_its_store_does_not_know_looks_until_it_does(at: Desk, tmp_path: Path) -> None:
    """Or a registration that failed once would never be made up for, and gc would remove what the project needs."""
    known = tmp_path / "store" / "projects"
    shutil.rmtree(known)
    known.write_bytes(b"in the way")
    at.manifest('[models.m]\nsource = "ms:owner/model"\n')
    _lock(at)
    _sync(at)
    assert not answer(["sync"])
    known.unlink()
    _sync(at)
    assert len(list(known.iterdir())) == 1
    assert answer(["sync"])


def test_part_of_the_models_makes_no_answer_for_all(at: Desk) -> None:
    """`sync m` did not look at n."""
    (at.folder / ".fetcher/ready").unlink()
    _project(at).sync(["m"])
    assert not answer(["sync"])
    _project(at).sync()
    assert answer(["sync"])


def test_after_lock_the_check_is_ready(at: Desk) -> None:
    """A hook that runs `lock --check` at each commit need not wait for the first sync."""
    at.model("m", more='exclude = ["none"]')
    assert not answer(["lock", "--check"])
    at.ok("lock")
    assert answer(["lock", "--check"])
    assert not answer(["sync"])
    _lock(at)
    assert answer(["lock", "--check"])


def test_verify_changes_no_answer(at: Desk) -> None:
    """It has hashed everything and found nothing new: what was instant before it is instant after it."""
    index = (at.folder / ".fetcher/index.sqlite").read_bytes()
    at.ok("verify")
    assert answer(["sync"])
    assert (at.folder / ".fetcher/index.sqlite").read_bytes() == index


@pytest.mark.skipif(sys.platform != "linux", reason="files are mapped on Linux only")
@pytest.mark.parametrize(
    ("command", "begins"),
    [
        ("verify", True),
        ("verify --repair -q", True),
        ("verify --json", True),
        ("verify --sha256", False),
        ("verify --sample 5%", False),
        ("verify m", False),
    ],
)
def test_a_verify_of_everything_hashes_while_it_is_loaded(at: Desk, command: str, begins: bool) -> None:
    """What asks for another hash, or for less, begins nothing; and no verify is answered here."""
    assert not answer(command.split())
    assert (ahead.take_over() is not None) == begins
