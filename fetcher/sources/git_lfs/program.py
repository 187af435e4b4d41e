"""Runs git: without prompts, hooks and filters, watched, and bounded in what it may say and write.

Not in here: what its answers mean (scratch.py), what its complaints mean (complaints.py).

Promises (tests/sources/test_git_program.py):
  * of the caller's variables for git only those reach it that say how to connect;
  * a git that says nothing and writes nothing for too long is ended, with all that it started;
  * so is one that says or writes more than it may, or that says something for ever and writes nothing;
  * on Linux it may use so much memory, and no more;
  * `close` ends every git that runs, and none is started afterwards.
"""

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetcher.errors import ConfigError, InterruptedRun
from fetcher.net import failures
from fetcher.sources.git_lfs.complaints import too_large

MAX_OUTPUT = 256 << 20  # bytes of one answer; a listing of 1,000,000 files takes about 100 MiB
MAX_WRITTEN = 8 << 30  # bytes of ordinary blobs of one commit; large files belong into LFS
MAX_MEMORY = 2 << 30  # bytes of one process; git keeps the list of refs in memory, however long it is
_WORDS = 10  # limits of idleness for which words alone are a sign of life; a server can send them for ever
_LEAST_WRITTEN = 512  # bytes; what grows by less does not grow
_MAX_COMPLAINT = 64 << 10  # bytes kept of what git says on stderr
_TICK_S = 0.25
_READ = 64 << 10  # bytes at once

# What a caller's environment may tell git: how to connect, and where its configuration is.
_KEPT = frozenset(
    {
        "GIT_ASKPASS",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_HTTP_PROXY_AUTHMETHOD",
        "GIT_PROXY_SSL_CAINFO",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
    }
)
_OURS = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GCM_INTERACTIVE": "never",
    "LC_ALL": "C",  # complaints are read by complaints.py
}
_CONFIG = {
    "core.bigFileThreshold": "64m",  # larger blobs are streamed, not kept in memory
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.alternateRefsCommand": "",
    "credential.interactive": "false",
    "fetch.fsckObjects": "false",  # paths are judged by RepoPath; old repositories hold odd commits
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",  # always a pack, so that the size of one folder tells what was written
    "fetch.negotiationAlgorithm": "noop",  # what is here says nothing about what is there
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.version": "2",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}
_LEAST_VERSION = (2, 31)  # GIT_CONFIG_COUNT

Config = Sequence[tuple[str, str]]  # keys may come twice

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a git ended: its exit status, its answer, and the end of what it complained about."""

    status: int
    answer: bytes
    complaint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call of git.

    Attributes:
        words: Command and arguments; names from outside only behind `--`.
        said: What it reads from its standard input.
        config: Further configuration; may hold a secret, so it goes by the environment.
        folder: The repository; None for none.
        watched: A folder that grows while it works.
    """

    words: Sequence[str]
    said: bytes = b""
    config: Config = ()
    folder: Path | None = None
    watched: Path | None = None


class Git:
    """The git program.  Used by several threads at once.

    Args:
        environment: Of the person who runs fetcher.
        allowed: Protocols that git may use, such as `https`.
        host: Who is asked, for messages.
        idle_timeout_s: Seconds without a sign of life after which it is ended.
    """

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        allowed: Sequence[str],
        host: str,
        idle_timeout_s: float,
        max_written: int = MAX_WRITTEN,
        max_memory: int = MAX_MEMORY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = environment
        self._allowed = allowed
        self._host = host
        self._idle_timeout_s = idle_timeout_s
        self._max_written = max_written
        self._max_memory = max_memory
        self._clock = clock
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False
        self._is_checked = False

    def run(self, task: Task, *, limit: int = MAX_OUTPUT) -> Done:
        """Run git to its end.

        Raises:
            ConfigError: There is no git, or one that is too old.
            SourceError: It stalled (`transient`), or said or wrote too much.
            InterruptedRun: It was closed meanwhile.
        """
        self._check_version()
        return self.run_program(["git", *task.words], task, limit=limit)

    def run_program(self, words: Sequence[str], task: Task, *, limit: int = MAX_OUTPUT) -> Done:
        """Run another program as git would be run (ssh, for `git-lfs-authenticate`)."""
        with tempfile.TemporaryFile() as said:
            said.write(task.said)
            said.seek(0)
            with self._started(words, task, said.fileno()) as process:
                answer, complaint = self._listen(process, task.watched, limit)
                status = process.wait()
        _log.debug("%s: %d", words[0] if words[0] != "git" else f"git {_command(task.words)}", status)
        self._check_open()
        return Done(status=status, answer=answer, complaint=complaint)

    def open(self, task: Task) -> "subprocess.Popen[bytes]":
        """Start git with pipes for its input and its answer; to be ended by `end`."""
        self._check_version()
        return self._start(["git", *task.words], task, subprocess.PIPE)

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """End a program that was started by `open`, with all that it started."""
        _kill(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()
        with self._lock:
            self._running.discard(process)

    def close(self) -> None:
        """End whatever runs."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _kill(process)

    # starting

    @contextlib.contextmanager
    def _started(self, words: Sequence[str], task: Task, said: int) -> "Iterator[subprocess.Popen[bytes]]":
        process = self._start(words, task, said)
        try:
            yield process
        finally:
            self.end(process)

    def _start(self, words: Sequence[str], task: Task, said: int) -> "subprocess.Popen[bytes]":
        with self._lock:  # so that `close` misses none
            self._check_open()
            try:
                process = subprocess.Popen(  # noqa: S603  no shell; the words are ours or stand behind `--`
                    words,
                    stdin=said,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE if said != subprocess.PIPE else subprocess.DEVNULL,
                    env=self._variables(task),
                    cwd=task.folder,
                    start_new_session=True,  # no terminal to ask at, and one group to end
                )
            except FileNotFoundError:
                raise _no_program(words[0]) from None
            bound_memory(process.pid, self._max_memory)
            self._running.add(process)
        return process

    def _variables(self, task: Task) -> dict[str, str]:
        """The environment of git."""
        kept = {
            name: value
            for name, value in self._environment.items()
            if name in _KEPT or not name.startswith(("GIT_", "GCM_"))
        }
        if "SSL_CERT_FILE" in kept:
            kept.setdefault("GIT_SSL_CAINFO", kept["SSL_CERT_FILE"])
        settings = {
            **_CONFIG,
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": str(max(1, round(self._idle_timeout_s))),
            **{f"protocol.{name}.allow": "always" for name in self._allowed},
        }
        pairs = [*settings.items(), *task.config]
        counted = {"GIT_CONFIG_COUNT": str(len(pairs))}
        for number, (key, value) in enumerate(pairs):
            counted[f"GIT_CONFIG_KEY_{number}"] = key
            counted[f"GIT_CONFIG_VALUE_{number}"] = value
        here = {"GIT_DIR": str(task.folder)} if task.folder else {}
        return {**kept, **_OURS, **counted, **here}

    def _check_open(self) -> None:
        if self._closed:
            raise InterruptedRun("Interrupted; what was received is kept.")

    def _check_version(self) -> None:
        """That this git reads its configuration from the environment; an older one would not be safe."""
        if self._is_checked:
            return
        answer = self.run_program(["git", "version"], Task(words=("version",))).answer.decode("ascii", "replace")
        numbers = answer.removeprefix("git version ").split(".")
        try:
            is_new = (int(numbers[0]), int(numbers[1])) >= _LEAST_VERSION
        except (ValueError, IndexError):
            is_new = False
        if not is_new:
            raise ConfigError(
                "This git is too old for fetcher.",
                facts=[f"found: {answer.strip()[:80]}", "needed: git 2.31 or newer"],
                fix="install a newer git",
            )
        self._is_checked = True

    # listening

    def _listen(self, process: "subprocess.Popen[bytes]", watched: Path | None, limit: int) -> tuple[bytes, str]:
        """What a program says until its end."""
        if process.stdout is None or process.stderr is None:
            raise ValueError("the program was started without pipes")
        answer, complaint = bytearray(), bytearray()
        heard = grew = self._clock()
        written = 0
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, answer)
            selector.register(process.stderr, selectors.EVENT_READ, complaint)
            while selector.get_map():
                ready = selector.select(_TICK_S)
                for key, _ in ready:
                    piece = os.read(key.fd, _READ)
                    key.data.extend(piece)
                    if not piece:
                        selector.unregister(key.fileobj)
                del complaint[:-_MAX_COMPLAINT]
                now_written = _size_of(watched)
                if ready:
                    heard = self._clock()
                if abs(now_written - written) >= _LEAST_WRITTEN:
                    grew, written = self._clock(), now_written
                self._check_open()
                self._judge(len(answer), limit, now_written)
                self._require_life(self._clock() - heard, self._clock() - grew)
                if not ready and process.poll() is not None:
                    break  # a helper that it left behind keeps its pipes open
        return bytes(answer), complaint.decode("utf-8", "replace")

    def _judge(self, said: int, limit: int, written: int) -> None:
        if said > limit:
            raise too_large(self._host, "said", limit)
        if written > self._max_written:
            raise too_large(self._host, "sent", self._max_written)

    def _require_life(self, silent_s: float, still_s: float) -> None:
        """Give up a git that neither says nor writes anything, or that only talks."""
        if min(silent_s, still_s) > self._idle_timeout_s:
            raise failures.stalled(self._host, self._idle_timeout_s)
        if still_s > _WORDS * self._idle_timeout_s:
            raise failures.cut(self._host, f"it sent words for {still_s:.0f} s, and no files")


def bound_memory(pid: int, limit: int) -> None:
    """Limit the memory of a process that was just started, and of all that it starts or has started."""
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError, ValueError):  # it has ended already, or may have less anyway
            had = [each for each in resource.prlimit(pid, resource.RLIMIT_DATA) if each != resource.RLIM_INFINITY]
            most = min([limit, *had])
            resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
                bound_memory(int(child), limit)


def _command(words: Sequence[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _size_of(folder: Path | None) -> int:
    """Bytes of the files that stand directly in a folder."""
    if folder is None:
        return 0
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program that still runs, and its group; what one left behind that has ended is not ours to end."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _no_program(name: str) -> ConfigError:
    return ConfigError(
        f"{name} is not installed, which git sources need.",
        fix=f"install {name} (Debian: `apt-get install {'openssh-client' if name == 'ssh' else name}`)",
    )
