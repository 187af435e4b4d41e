"""A fake of the door `Source`: serves bytes from memory by a script of faults, without a network.

A script is a list of turns, one for each `open`; when it is used up, replies are honest.
It knows nothing of the code under test.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from fetcher.core.digest import Commit, Sha256
from fetcher.core.interfaces import Candidate, FetchRequest, Head, RemoteAddress, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.errors import FetcherError, SourceError

COMMIT = Commit("a" * 40)
REF = SourceRef.parse("modelscope:demo/model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How one `open` goes.

    Attributes:
        error: Raised instead of a reply.
        ignore_range: Send the whole file, without Content-Range.
        shift: Send a range that begins so many bytes later than asked.
        total: Claim another size.
        most: Send and announce so many bytes at most.
        length: Announce another length; None announces the true one.
        unknown_length: Announce none.
        cut_after: Cut the connection after so many bytes.
        end_after: End cleanly after so many bytes.
        flip_at: Change the byte at this offset of the file.
        piece: Most bytes that one `readinto` gives.
        pause: Called before each `readinto` (a stall, a slow link, a stop).
        excess: Bytes sent beyond the announced ones.
    """

    error: FetcherError | None = None
    ignore_range: bool = False
    shift: int = 0
    total: int | None = None
    most: int | None = None
    length: int | None = None
    unknown_length: bool = False
    content_type: str = ""
    cut_after: int | None = None
    end_after: int | None = None
    flip_at: int | None = None
    piece: int = 1 << 30
    pause: Callable[["ScriptedBody"], None] | None = None
    excess: int = 0


HONEST = Turn()


class ScriptedBody:
    """A reply from memory."""

    def __init__(self, source: "ScriptedSource", data: bytes, head: Head, turn: Turn) -> None:
        self._source = source
        self._data = data
        self._head = head
        self._turn = turn
        self._sent = 0
        self.closed = threading.Event()

    @property
    def head(self) -> Head:
        return self._head

    def readinto(self, buffer: memoryview) -> int:
        if self._turn.pause:
            self._turn.pause(self)
        if self.closed.is_set():
            raise SourceError("closed", transient=True)
        count = min(len(buffer), self._turn.piece, len(self._data) - self._sent)
        for limit in (self._turn.cut_after, self._turn.end_after):
            if limit is not None:
                count = min(count, limit - self._sent)
        if count <= 0 and self._turn.cut_after is not None and self._sent >= self._turn.cut_after:
            raise SourceError(f"{self._head.host} cut the connection.", transient=True)
        buffer[:count] = self._data[self._sent : self._sent + count]
        self._sent += count
        self._source.sent += count
        return count

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self._source.open_bodies -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(slots=True)
class ScriptedSource:
    """Serves `files` by path; `script` holds the turns of the next opens, in order."""

    files: dict[str, bytes]
    label: str = "hub.example"
    script: list[Turn] = field(default_factory=list)
    always: Turn = HONEST
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    sent: int = 0
    open_bodies: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        raise NotImplementedError

    def open(self, address: RemoteAddress, start: int, stop: int) -> ScriptedBody:
        with self.lock:
            self.asked.append((address.path, start, stop))
            turn = self.script.pop(0) if self.script else self.always
        if turn.error is not None:
            raise turn.error
        whole = self.files[address.path]
        if turn.flip_at is not None and whole:
            at = turn.flip_at % len(whole)
            whole = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        first = 0 if turn.ignore_range else start + turn.shift
        data = whole if turn.ignore_range else whole[first : stop + turn.shift][: turn.most]
        length: int | None = len(data) if turn.length is None else turn.length
        head = Head(
            status=200 if turn.ignore_range else 206,
            first=None if turn.ignore_range else first,
            total=None if turn.ignore_range else (len(whole) if turn.total is None else turn.total),
            length=None if turn.unknown_length else length,
            content_type=turn.content_type,
            host=self.label,
        )
        self.open_bodies += 1
        return ScriptedBody(self, data + b"x" * turn.excess, head, turn)

    def close(self) -> None: ...

    def candidate(self, path: str, *, size: int, sha256: Sha256) -> Candidate:
        address = RemoteAddress(ref=REF, commit=COMMIT, path=RepoPath(path), size=size, sha256=sha256)
        return Candidate(source=self, address=address)


def request_for(data: bytes, path: str, sources: Sequence[ScriptedSource]) -> FetchRequest:
    """The request of a file that all `sources` may have."""
    import hashlib

    sha256 = Sha256(hashlib.sha256(data).hexdigest())
    return FetchRequest(
        label=f"demo/{path}",
        sha256=sha256,
        size=len(data),
        candidates=tuple(source.candidate(path, size=len(data), sha256=sha256) for source in sources),
    )


def repeated(turn: Turn, times: int) -> list[Turn]:
    """The same turn several times."""
    return [replace(turn) for _ in range(times)]
