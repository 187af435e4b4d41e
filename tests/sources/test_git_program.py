"""Running git: its environment, its bounds, its end, and what it complains about."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetcher.errors import AuthError, ConfigError, DiskError, FetcherError, InterruptedRun, NotFoundError, SourceError
from fetcher.sources.git_lfs.complaints import explained
from fetcher.sources.git_lfs.program import Git, Task, bound_memory
from tests.net.wire import CERTIFICATE, Wire, reply
from tests.sources.git_server import git

MakeGit = Callable[..., Git]
SECRET = "git-0123-SECRET"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeGit]:
    made: list[Git] = []

    def start(**options: object) -> Git:
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment = {**own, **options.pop("more", {})}  # type: ignore[dict-item]
        settings = {"allowed": ("https", "http", "file"), "host": "git.example", "idle_timeout_s": 20.0}
        made.append(Git(environment=environment, **{**settings, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for each in made:
        each.close()


def _shell(text: str, **more: object) -> tuple[list[str], Task]:
    return ["sh", "-c", text], Task(words=(), **more)  # type: ignore[arg-type]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- its environment --------------------------------------------------------------------


def test_of_the_caller_s_variables_for_git_only_the_harmless_ones_are_kept(make: MakeGit) -> None:
    """GIT_DIR would lead it to the user's own repository, GIT_TRACE would write tokens into a file."""
    caller = {
        "GIT_DIR": "/other",
        "GIT_TRACE_CURL": "/trace",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": "/evil",
        "GIT_CONFIG_PARAMETERS": "'core.hooksPath=/evil'",
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_TERMINAL_PROMPT": "1",
    }
    answer = make(more=caller).run_program(*_shell("env")).answer.decode()
    seen = dict(line.split("=", 1) for line in answer.splitlines() if line.startswith("GIT_"))
    assert not seen.keys() & {"GIT_DIR", "GIT_TRACE_CURL", "GIT_CONFIG_PARAMETERS"}
    assert seen["GIT_SSH_COMMAND"] == "ssh -i key"
    assert (seen["GIT_TERMINAL_PROMPT"], seen["GIT_LFS_SKIP_SMUDGE"]) == ("0", "1")
    assert "/evil" not in seen.values()


def test_hooks_of_the_user_s_configuration_are_not_run(make: MakeGit, tmp_path: Path) -> None:
    """They expect a repository of the user, not one for a run."""
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path / 'ran'))}\n", encoding="utf-8")
    hook.chmod(0o755)
    git("config", "--global", "core.hooksPath", str(hook.parent))
    git("init", "-q", "--bare", str(tmp_path / "bare"))
    tree = git("mktree", folder=tmp_path / "bare")
    commit = git("commit-tree", "-m", "x", tree, folder=tmp_path / "bare")
    task = Task(words=["update-ref", "refs/heads/x", commit], folder=tmp_path / "bare")
    assert make().run(task).status == 0
    assert not (tmp_path / "ran").exists()
    git("update-ref", "refs/heads/y", commit, folder=tmp_path / "bare")
    assert (tmp_path / "ran").exists(), "else this test would show nothing"


def test_configuration_with_a_secret_is_in_no_argument(make: MakeGit) -> None:
    """Everybody on the machine may read the arguments of a process."""
    task = Task(words=("config", "--get", "http.extraHeader"), config=(("http.extraHeader", SECRET),))
    assert make().run(task).answer.decode().strip() == SECRET
    shown = make().run_program(["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"], task)
    assert SECRET not in shown.answer.decode()


def test_without_git_the_error_says_what_to_install(make: MakeGit, tmp_path: Path) -> None:
    """It is the only program that fetcher needs, and only for this."""
    with pytest.raises(ConfigError) as caught:
        make(more={"PATH": str(tmp_path)}).run(Task(words=("version",)))
    assert str(caught.value) == (
        "git is not installed, which git sources need.\n  fix: install git (Debian: `apt-get install git`)"
    )


def test_a_git_that_is_too_old_is_refused(make: MakeGit, tmp_path: Path) -> None:
    """It would ignore the configuration that keeps it safe."""
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.30.9\n", encoding="utf-8")
    old.chmod(0o755)
    with pytest.raises(ConfigError) as caught:
        make(more={"PATH": f"{tmp_path}:{os.environ['PATH']}"}).run(Task(words=("version",)))
    assert str(caught.value) == (
        "This git is too old for fetcher.\n"
        "  found: git version 2.30.9\n"
        "  needed: git 2.31 or newer\n"
        "  fix: install a newer git"
    )


# --- its bounds and its end -------------------------------------------------------------


def test_a_git_without_a_sign_of_life_is_ended_with_its_children(make: MakeGit, tmp_path: Path) -> None:
    """A remote helper would go on for ever."""
    words, task = _shell(f"sleep 300 & echo $! > {tmp_path}/pid; sleep 300")
    begun = time.monotonic()
    with pytest.raises(SourceError) as caught:
        make(idle_timeout_s=0.6).run_program(words, task)
    assert time.monotonic() - begun < 10
    assert caught.value.transient
    assert str(caught.value) == (
        "git.example sent nothing for 0.6 s.\n  fix: run the command again; what was received is kept"
    )
    child = int((tmp_path / "pid").read_text())
    while _is_alive(child) and time.monotonic() < begun + 10:
        time.sleep(0.05)
    assert not _is_alive(child)


def test_signs_of_life_are_words_and_files_that_grow(make: MakeGit, tmp_path: Path) -> None:
    """A slow link is not a dead one."""
    words, task = _shell(
        f"for i in 1 2 3 4 5 6; do sleep 0.3; head -c 600 /dev/zero >> {tmp_path}/pack; done; "
        "for i in 1 2 3 4; do sleep 0.3; echo x >&2; done",
        watched=tmp_path,
    )
    assert make(idle_timeout_s=1.2).run_program(words, task).status == 0


@pytest.mark.parametrize(
    ("life", "complaint"),
    [
        ("echo remote: Counting >&2", "git.example closed the connection early.\n  reason: it sent words for"),
        ("echo x >> {folder}/pack", "git.example sent nothing for 0.3 s."),
    ],
    ids=["words", "a byte now and then"],
)
def test_what_only_looks_alive_is_ended(make: MakeGit, tmp_path: Path, life: str, complaint: str) -> None:
    """A hostile server can send words of progress, or two bytes of a pack, for ever."""
    words, task = _shell(f"while true; do {life.format(folder=tmp_path)}; sleep 0.05; done", watched=tmp_path)
    with pytest.raises(SourceError) as caught:
        make(idle_timeout_s=0.3).run_program(words, task)
    assert str(caught.value).startswith(complaint)
    assert caught.value.transient


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a program that runs")
def test_a_list_of_refs_without_an_end_does_not_fill_the_memory(make: MakeGit) -> None:
    """git keeps all of it before it says a word; what it may keep holds for its helpers, too."""
    refs = b"".join(b"003f%040x refs/heads/%08x\n" % (number, number) for number in range(20_000))

    def endless(head: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n"
        yield b"001e# service=git-upload-pack\n0000"
        while True:
            yield refs

    with Wire(endless) as wire:
        done = make(max_memory=64 << 20).run(Task(words=("ls-remote", "--", f"{wire.url}/owner/model")))
    error = explained(done.complaint, host="git.example", secrets=(), token_fix="")
    assert isinstance(error, SourceError)
    assert not error.transient
    assert str(error).startswith("git.example sends git more than it may keep in memory.\n  git: ")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a program that runs")
def test_what_a_program_has_started_already_is_bound_too() -> None:
    """git may have its helper before anybody could limit git."""
    import resource

    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            bound_memory(parent.pid, 64 << 20)
            for pid in (parent.pid, child):
                assert resource.prlimit(pid, resource.RLIMIT_DATA) == (64 << 20, 64 << 20)
        finally:
            os.kill(child, signal.SIGKILL)


def test_what_says_too_much_is_ended(make: MakeGit) -> None:
    """A listing without an end would fill the memory."""
    with pytest.raises(SourceError) as caught:
        make().run_program(*_shell("yes"), limit=1 << 20)
    assert str(caught.value) == (
        "git.example said more than fetcher takes from a git repository.\n"
        "  limit: 1048576 bytes, without the files in git-lfs\n"
        "  fix: use a repository that keeps its large files in git-lfs, or another source"
    )


def test_what_writes_too_much_is_ended(make: MakeGit, tmp_path: Path) -> None:
    """A pack without an end would fill the disk."""
    words, task = _shell(f"head -c 3000000 /dev/zero > {tmp_path}/pack; sleep 300", watched=tmp_path)
    with pytest.raises(SourceError, match="sent more than fetcher takes") as caught:
        make(max_written=1 << 20).run_program(words, task)
    assert not caught.value.transient


def test_close_ends_what_runs_and_starts_nothing_more(make: MakeGit) -> None:
    """Ctrl-C must not wait for a server."""
    program = make()
    ended: list[FetcherError] = []

    def run() -> None:
        try:
            program.run_program(*_shell("sleep 300"))
        except FetcherError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    program.close()
    thread.join(5)
    assert not thread.is_alive()
    assert [type(error) for error in ended] == [InterruptedRun]
    with pytest.raises(InterruptedRun):
        program.run_program(*_shell("true"))


def test_a_helper_that_git_leaves_behind_keeps_nobody_waiting(make: MakeGit) -> None:
    """A credential cache holds on to whatever it was given."""
    begun = time.monotonic()
    assert make().run_program(*_shell("sleep 5 & echo done")).answer == b"done\n"
    assert time.monotonic() - begun < 4


# --- what it complains about, as the git that is installed words it -------------------------


def _complaint(program: Git, url: str) -> str:
    done = program.run(Task(words=["ls-remote", "--", url]))
    assert done.status != 0
    return done.complaint


def _meant(complaint: str) -> FetcherError:
    return explained(complaint, host="git.example", secrets=(SECRET,), token_fix="run `fetcher login X`")


def _answering(status: str) -> Wire:
    return Wire(lambda head: [reply(b"no", "WWW-Authenticate: Basic realm=x", status=status)])


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        ("401 No", AuthError, False),
        ("403 No", AuthError, False),
        ("404 No", NotFoundError, False),
        ("429 No", SourceError, True),
        ("500 No", SourceError, True),
        ("503 No", SourceError, True),
    ],
)
def test_a_status_of_the_server_is_the_error_that_it_means(
    make: MakeGit, status: str, kind: type[FetcherError], transient: bool
) -> None:
    """The exit code decides what a CI job does next."""
    with _answering(status) as server:
        error = _meant(_complaint(make(), f"{server.url}/r.git"))
    assert type(error) is kind
    assert getattr(error, "transient", False) == transient


def test_a_port_where_nobody_listens_may_answer_later(make: MakeGit) -> None:
    """The whole message, with git's own words."""
    error = _meant(_complaint(make(), "http://127.0.0.1:9/r.git"))
    assert isinstance(error, SourceError)
    assert error.transient
    assert error.what == "git could not fetch from git.example."
    assert error.facts[0].startswith("git: unable to access 'http://127.0.0.1:9/r.git/': Failed to connect")
    assert error.fix == "run the command again; if it stays, try `git ls-remote` with the address of the source"


def test_a_private_repository_without_a_token_says_how_to_give_one(make: MakeGit) -> None:
    """Nobody is asked at the terminal."""
    with _answering("401 No") as server:
        text = str(_meant(_complaint(make(), f"{server.url}/r.git")))
        assert text == (
            "git.example asks for a token, or refuses the one it was given.\n"
            f"  git: could not read Username for '{server.url}': terminal prompts disabled\n"
            "  fix: run `fetcher login X`"
        )


def test_a_folder_without_a_repository_is_not_found(make: MakeGit, tmp_path: Path) -> None:
    """As a hub that has no such repository."""
    error = _meant(_complaint(make(), f"file://{tmp_path}/none"))
    assert isinstance(error, NotFoundError)
    assert error.what == ("git.example has no such repository, or does not show it without a token that may read it.")
    assert error.fix == "correct `source` in models.toml, or run `fetcher login X` if the repository is private"


def test_a_protocol_that_runs_programs_is_never_used(make: MakeGit, tmp_path: Path) -> None:
    """Not even when the user's configuration leads there."""
    git("config", "--global", f"url.ext::touch {tmp_path}/ran;.insteadOf", "https://git.example/")
    error = _meant(_complaint(make(), "https://git.example/r"))
    assert not (tmp_path / "ran").exists()
    assert str(error) == (
        "The way to git.example leads over `ext`, which fetcher does not use for this source.\n"
        "  git: transport 'ext' not allowed\n"
        "  fix: correct `source` in models.toml, or `url.….insteadOf` in git's configuration"
    )


def test_a_certificate_that_proves_nothing_is_no_reason_to_try_again(make: MakeGit) -> None:
    """The fix is a certificate."""
    with Wire(lambda head: [reply(b"")], tls=True) as server:
        error = _meant(_complaint(make(), f"{server.url}/r.git"))
        assert isinstance(error, SourceError)
        assert not error.transient
        assert error.what == "git.example cannot prove who it is: its TLS certificate was refused."
        # And SSL_CERT_FILE, which fetcher's own connections follow, is followed by git too.
        trusting = make(more={"SSL_CERT_FILE": str(CERTIFICATE)})
        assert trusting.run(Task(words=["ls-remote", "--", f"{server.url}/r.git"])).complaint == ""


def test_a_full_disk_is_an_error_of_the_disk() -> None:
    """In the words of git's write_or_die."""
    error = _meant("fatal: write error: No space left on device\nfatal: index-pack failed\n")
    assert isinstance(error, DiskError)
    assert str(error) == (
        "The disk is full: git could not keep what git.example sent.\n"
        "  git: write error: No space left on device\n"
        "  git: index-pack failed\n"
        "  fix: make room, or move the store by FETCHER_STORE"
    )


def test_no_error_shows_a_secret_or_a_url_s_user() -> None:
    """git repeats whatever address it was given."""
    text = str(_meant(f"fatal: unable to access 'https://me:{SECRET}@git.example/r/': odd {SECRET}\n"))
    assert SECRET not in text
    assert "me:" not in text
    assert "'https://git.example/r/'" in text


def test_progress_is_no_complaint() -> None:
    """It is asked for as a sign of life."""
    said = "remote: Enumerating objects: 3, done.\rremote: Counting objects: 50% (1/2)\rfatal: early EOF\n"
    assert _meant(said).facts == ("git: early EOF",)


def test_the_real_ssh_s_refusals_are_known(make: MakeGit, tmp_path: Path) -> None:
    """A key that is missing, a host that is not known."""
    for said in ("git@h: Permission denied (publickey).", "Host key verification failed."):
        fake = tmp_path / "ssh"
        fake.write_text(f"#!/bin/sh\necho {shlex.quote(said)} >&2\nexit 255\n", encoding="utf-8")
        fake.chmod(0o755)
        program = make(allowed=("ssh",), more={"GIT_SSH_COMMAND": str(fake)})
        error = _meant(_complaint(program, "ssh://git@git.example/r.git"))
        assert isinstance(error, AuthError), said
        assert error.facts[0] == f"git: {said}"


def test_the_programs_that_ran_are_all_gone() -> None:
    """No zombie, no orphan: this process has no child left."""
    left = subprocess.run(["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True).stdout
    assert [line for line in left.splitlines() if line.startswith(("git", "sh -c")) and "defunct" not in line] == []
