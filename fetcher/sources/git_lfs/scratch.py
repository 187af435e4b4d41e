"""A bare repository for one run: what a remote's refs, trees and blobs are.

It receives one commit without its history, the trees of that commit, and of its blobs only the
small ones (a pointer is one), until `fetch_blobs` asks for the others.

Promises (tests/sources/test_git_lfs.py):
  * the commit that is asked for is the one that is read;
  * nothing is fetched blob by blob;
  * the folder is gone after `close`; what a killed run left is swept away by a later one.
"""

import contextlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from fetcher.core.digest import Commit
from fetcher.core.pointer import MAX_POINTER
from fetcher.errors import DiskError, FetcherError, SourceError
from fetcher.net import failures
from fetcher.sources.git_lfs.program import Config, Done, Git, Task

REGULAR = frozenset({"100644", "100755", "100664"})  # modes of files; 100664 is of git's first years
MAX_FILES = 1_000_000
_LARGE_FROM = MAX_POINTER + 1  # bytes; blobs from here on are fetched when they are needed
_ABANDONED_S = 24 * 3600.0  # a folder without its lock file is removed after this
_REF = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t([^\t]+)")
_COMMITTER = re.compile(rb"^committer .*> ([0-9]{1,15}) [-+][0-9]{4}$", re.MULTILINE)  # gitformat-commit
_ENTRY = re.compile(rb"([0-7]{6}) (blob|commit|tree) ([0-9a-f]{40})\t(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a tree; `name` is the whole path as git has it."""

    mode: str
    oid: str
    name: bytes

    @property
    def is_file(self) -> bool:
        """Whether it is neither a symbolic link nor a submodule."""
        return self.mode in REGULAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Refs:
    """Some refs of a remote; `default` is the commit of its HEAD, None if it has none."""

    found: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None


Explain = Callable[[str], FetcherError]


class Scratch:
    """The bare repository.  Used by several threads; the caller sees to it that one at a time fetches.

    Args:
        url: The remote, as git takes it.
        host: For messages.
        root: A folder for repositories such as this; made when needed.
        config: Configuration of git for this remote, such as its token.
        explain: The error that a complaint of git means.
    """

    def __init__(self, git: Git, *, url: str, host: str, root: Path, config: Config, explain: Explain) -> None:
        self._git = git
        self._url = url
        self._host = host
        self._root = root
        self._config = config
        self._explain = explain
        self._folder: Path | None = None
        self._mark: FileLock | None = None
        self._reader = _Reader(self._start_reader, git.end)

    # what the remote has

    def refs(self, patterns: Sequence[str]) -> Refs:
        """The refs of exactly these names, and the default; no patterns for all."""
        said = self._run(
            ["ls-remote", "--quiet", "--symref", "--", self._url, *(["HEAD", *patterns] if patterns else [])]
        )
        found: dict[str, str] = {}
        for line in said.decode("utf-8", "replace").splitlines():
            ref = _REF.fullmatch(line)
            if ref:
                found[ref[2]] = ref[1]
        default = found.pop("HEAD", None)
        wanted = set(patterns)
        return Refs(found={name: oid for name, oid in found.items() if not patterns or name in wanted}, default=default)

    def fetch_commit(self, commit: Commit) -> None:
        """Fetch a commit with its trees and small blobs.

        Raises:
            NotFoundError: The remote does not give it.
            SourceError: It is not a commit.
        """
        words = ["fetch", "--progress", "--depth", "1", "--no-tags", "--no-write-fetch-head"]
        words += [f"--filter=blob:limit={_LARGE_FROM}", "--", "origin", commit]
        self._run(words, fetches=True)
        kind = self._run(["cat-file", "-t", commit]).strip()
        if kind != b"commit":
            raise failures.not_understood(
                self._host,
                "has something else under the name of a commit",
                facts=(f"name: {commit}", f"kind: {kind.decode('ascii', 'replace')}"),
            )

    def fetch_blobs(self, oids: Iterable[str]) -> None:
        """Fetch blobs, all in one request."""
        words = ["fetch", "--progress", "--no-tags", "--no-write-fetch-head"]
        words += ["--recurse-submodules=no", "--filter=blob:none", "--stdin", "--", "origin"]
        self._run(words, said="".join(f"{oid}\n" for oid in oids).encode("ascii"), fetches=True)

    # what is here

    def tree(self, commit: Commit) -> list[Entry]:
        """All entries of a commit that are not folders."""
        lines = self._run(["ls-tree", "-r", "-z", "--full-tree", commit]).split(b"\0")
        if len(lines) > MAX_FILES:
            raise failures.not_understood(self._host, f"has more than {MAX_FILES} files in one commit")
        entries = []
        for line in lines[:-1]:
            found = _ENTRY.fullmatch(line)
            if found is None:
                raise failures.not_understood(self._host, "has a tree that cannot be read")
            entries.append(Entry(mode=found[1].decode("ascii"), oid=found[3].decode("ascii"), name=found[4]))
        return entries

    def committed_s(self, commit: Commit) -> int | None:
        """When a commit that is here was made, in seconds since 1970; None where it does not say."""
        found = _COMMITTER.search(self._run(["cat-file", "commit", commit]).partition(b"\n\n")[0])
        return int(found[1]) if found else None

    def sizes(self) -> dict[str, int]:
        """Every blob that is here, with its size in bytes."""
        form = "%(objecttype) %(objectname) %(objectsize)"
        said = self._run(["cat-file", "--batch-all-objects", "--unordered", f"--batch-check={form}"])
        parts = (line.split() for line in said.decode("ascii").splitlines())
        return {oid: int(size) for kind, oid, size in parts if kind == "blob"}

    def small_blobs(self, oids: Sequence[str]) -> dict[str, bytes]:
        """The contents of small blobs that are here."""
        said = self._run(["cat-file", "--batch"], said="".join(f"{oid}\n" for oid in oids).encode("ascii"))
        found, at = {}, 0
        for oid in oids:
            end = said.index(b"\n", at)
            size = _size_in(said[at:end], oid)
            found[oid] = said[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return found

    def blob(self, oid: str) -> bytes:
        """The content of one blob that is here; for those that fit into memory."""
        return self._reader.read(oid)

    def stream(self, oid: str) -> "subprocess.Popen[bytes]":
        """A program that says the content of a blob; to be ended by `Git.end`."""
        return self._git.open(Task(words=["cat-file", "blob", oid], folder=self._place()))

    def close(self) -> None:
        """Remove it."""
        self._reader.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._mark is not None:
            with contextlib.suppress(OSError):
                Path(self._mark.lock_file).unlink()
            self._mark.release()
        self._folder = self._mark = None

    def _run(self, words: Sequence[str], *, said: bytes = b"", fetches: bool = False) -> bytes:
        folder = self._place()
        watched = folder / "objects" / "pack" if fetches else None
        done = self._git.run(Task(words=words, said=said, config=self._config, folder=folder, watched=watched))
        if done.status != 0:
            raise self._failed(done)
        return done.answer

    def _failed(self, done: Done) -> FetcherError:
        return self._explain(done.complaint)

    def _start_reader(self) -> "subprocess.Popen[bytes]":
        return self._git.open(Task(words=["cat-file", "--batch"], folder=self._place()))

    def _place(self) -> Path:
        """The folder, made when first needed."""
        if self._folder is None:
            try:
                self._root.mkdir(parents=True, exist_ok=True)
                sweep(self._root, now_s=time.time())
                folder, self._mark = _new_folder(self._root)
            except OSError as error:
                raise DiskError(
                    f"{self._root} cannot be used for a git repository: {error.strerror}.",
                    fix="check the disk, or move the store by FETCHER_STORE",
                ) from None
            init = Task(words=["init", "--quiet", "--bare", "--template=", "--", str(folder)])
            added = Task(words=["remote", "add", "--", "origin", self._url], folder=folder)
            for task in (init, added):
                done = self._git.run(task)
                if done.status != 0:
                    raise self._failed(done)
            self._folder = folder
        return self._folder


class _Reader:
    """One `git cat-file --batch` for the contents of many blobs."""

    def __init__(
        self,
        start: Callable[[], "subprocess.Popen[bytes]"],
        end: Callable[["subprocess.Popen[bytes]"], None],
    ) -> None:
        self._start = start
        self._end = end
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, oid: str) -> bytes:
        with self._lock:
            process = self._process = self._process or self._start()
            if process.stdin is None or process.stdout is None:
                raise ValueError("the program was started without pipes")
            try:
                process.stdin.write(f"{oid}\n".encode("ascii"))
                process.stdin.flush()
                size = _size_in(process.stdout.readline().rstrip(b"\n"), oid)
                content = process.stdout.read(size + 1)
            except OSError:
                content = b""
            if not content.endswith(b"\n"):
                raise SourceError("git ended while it was read.", fix="run the command again", transient=True)
            return content[:-1]

    def close(self) -> None:
        with self._lock:
            if self._process is not None:
                self._end(self._process)
                self._process = None


def sweep(root: Path, *, now_s: float) -> None:
    """Remove the repositories of runs that were killed.

    Args:
        now_s: Seconds since the epoch.
    """
    for folder in root.glob("git-*"):
        if folder.suffix == ".lock" or not folder.is_dir():
            continue
        mark = _mark_of(folder)
        if not Path(mark.lock_file).exists():
            with contextlib.suppress(OSError):
                if now_s - folder.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(folder, ignore_errors=True)
            continue
        with contextlib.suppress(Timeout, OSError, NotImplementedError):
            mark.acquire(timeout=0)
            shutil.rmtree(folder, ignore_errors=True)
            Path(mark.lock_file).unlink(missing_ok=True)
            mark.release()


def _new_folder(root: Path) -> tuple[Path, FileLock | None]:
    """A folder that no other run will sweep away."""
    folder = Path(tempfile.mkdtemp(prefix="git-", dir=root))
    mark = _mark_of(folder)
    try:
        mark.acquire(timeout=0)
    except (Timeout, OSError, NotImplementedError):
        return folder, None  # a file system without locks: others then leave it alone for a day
    return folder, mark


def _mark_of(folder: Path) -> FileLock:
    return FileLock(f"{folder}.lock", thread_local=False)


def _size_in(head: bytes, oid: str) -> int:
    """The size in a line of `cat-file --batch`: `<oid> blob <size>`."""
    parts = head.decode("ascii", "replace").split()
    if len(parts) != 3 or parts[0] != oid or parts[1] != "blob" or not parts[2].isdigit():
        raise SourceError(
            f"git does not have the object {oid} that it listed.", fix="run the command again", transient=True
        )
    return int(parts[2])
