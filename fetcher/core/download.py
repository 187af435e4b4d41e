"""The rules of one download as a state machine that never touches a socket.

A download is a *span* `[start, stop)` of one file: the whole file or a part of it.  The
shell asks what to request (`wanted`), hands in the reply's head (`answer`), then says how
many bytes came (`receive`) or that no more come (`end`); the machine says where bytes
belong, which of them to drop, and what is wrong.

Not in here: retries (retry.py), hashes (disk/partial.py), bytes.

Promises (tests/core/test_download.py):
  * a reply is judged by its Content-Range and sizes, not by 206 (ModelScope answers a
    range of a small file with status 200 and Content-Range);
  * no byte is accepted twice, out of order, or outside of the span;
  * a file of another size than the lock's is refused before its first byte;
  * a reply of a few bytes where more were asked for is a failure, whatever it announced.
"""

from dataclasses import dataclass

from fetcher.core.interfaces import Head
from fetcher.core.retry import LEAST_PROGRESS
from fetcher.errors import IntegrityError, SourceError

_MARKUP = {"application/json", "text/html", "application/xml", "text/xml"}
_SUFFIXES = (".json", ".html", ".htm", ".xml", ".ipynb", ".webmanifest", ".jsonl", ".txt", ".md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The bytes `start` (included) to `stop` (excluded) of a file."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What to do with bytes that came: drop `drop`, write the next `keep` at `offset`."""

    drop: int
    keep: int
    offset: int


class Download:
    """One span of one file, over as many replies as it takes.

    Args:
        label: How messages call the file, such as `gpt2/config.json`; the model's name
            is what stands before the first `/`.
        size: Of the whole file, in bytes, as locked.
        span: What is wanted of it.
    """

    def __init__(self, *, label: str, size: int, span: Span) -> None:
        if not 0 <= span.start <= span.stop <= size:
            raise ValueError(f"{span} does not lie in a file of {size} bytes")
        self._label = label
        self._size = size
        self._next = span.start  # first byte that is still wanted
        self._stop = span.stop
        self._head = Head(status=0)
        self._at = 0  # where in the file the next byte of the reply stands
        self._end = 0  # where in the file the reply ends, as far as it was announced

    @property
    def wanted(self) -> Span:
        """What is still to be asked for; empty when the download is done."""
        return Span(start=self._next, stop=self._stop)

    def is_done(self) -> bool:
        """Whether all bytes of the span have come."""
        return self._next == self._stop

    def answer(self, head: Head) -> int:
        """Judge the reply's head (RFC 9110: 15.3.7 for 206, 14.4 for Content-Range).

        Returns:
            Offset in the file, in bytes, of the reply's first byte; before the wanted
            span when the server ignored the range and sends the whole file.

        Raises:
            IntegrityError: The server's file has another size than the lock's.
            SourceError: A range that was not asked for, a status without a body, or an
                error page where bytes were due.
        """
        self._head = head
        if head.status == 416 and head.total is None:
            raise self._refused("has no such range", [f"asked: bytes {self._next} to {self._stop - 1}"])
        if head.status not in (200, 206, 416):
            raise self._refused(f"answered with status {head.status}", [])
        if head.total is not None and head.total != self._size:
            raise self._changed(head.total)
        first = self._whole_file(head) if head.first is None else self._range(head, head.first)
        self._at = first
        self._end = first + head.length if head.length is not None else self._size
        return first

    def receive(self, count: int) -> Piece:
        """Take note of `count` bytes that came.

        Raises:
            IntegrityError: More bytes than the reply announced.
        """
        if self._at + count > self._end:
            raise IntegrityError(
                f"{self._head.host or 'The server'} sent more of {self._label} than it announced.",
                facts=[f"locked: {self._size} bytes", f"announced: up to byte {self._end}"],
                fix="run the command again, or use another source",
            )
        drop = min(max(self._next - self._at, 0), count)
        keep = min(count - drop, self._stop - self._next)
        piece = Piece(drop=drop, keep=keep, offset=self._next)
        self._at += count
        self._next += keep
        return piece

    def end(self) -> None:
        """Take note that the reply has ended.

        Raises:
            SourceError: Before all the bytes that it announced, or it announced so few that
                asking on and on would not end (`transient`).
        """
        if self.is_done():
            return
        if self._head.length and self._at == self._end and self._at >= self._next:
            if self._head.length < LEAST_PROGRESS:
                asked = f"asked: bytes {self._at - self._head.length} to {self._stop - 1}"
                raise self._refused("sends too little at once", [asked, f"sent: {self._head.length} bytes"])
            return  # a server may send less than was asked for; the rest is asked for next
        raise SourceError(
            f"{self._host} closed the connection before {self._label} was complete.",
            facts=[f"received: up to byte {self._at}", f"announced: up to byte {self._end}"],
            fix="run the command again; what was received is kept",
            transient=True,
        )

    @property
    def _host(self) -> str:
        return self._head.host or "The server"

    def _whole_file(self, head: Head) -> int:
        if head.status != 200:
            raise self._refused("did not say which bytes it sends", [f"status: {head.status}"])
        if head.length is not None and head.length != self._size:
            if head.length == 0:  # a known fault of CDNs, which asking again mends; not another file
                raise self._refused("sent nothing instead of the file", [f"locked: {self._size} bytes"])
            if self._is_error_page(head):
                raise self._refused("sent an error page instead of the file", [f"content type: {head.content_type}"])
            if head.length == self._stop - self._next:
                raise self._refused("did not say which bytes it sends", [f"length: {head.length}"])
            raise self._changed(head.length)
        return 0

    def _range(self, head: Head, first: int) -> int:
        beyond = head.length is not None and first + head.length > self._size
        if first != self._next or beyond or head.status == 416:
            last = "?" if head.length is None else str(first + head.length - 1)
            raise self._refused(
                "sent a range that was not asked for",
                [f"asked: bytes {self._next} to {self._stop - 1}", f"sent: bytes {first} to {last}"],
            )
        return first

    def _is_error_page(self, head: Head) -> bool:
        media_type = head.content_type.partition(";")[0].strip()
        return media_type in _MARKUP and not self._label.lower().endswith(_SUFFIXES)

    def _changed(self, offered: int) -> IntegrityError:
        return IntegrityError(
            f"{self._label} has changed on the server.",
            facts=[f"locked: {self._size} bytes", f"offered: {offered} bytes", f"host: {self._host}"],
            fix=f"run `fetcher lock --upgrade {self._label.partition('/')[0]}` to accept the new file, "
            "or pin a revision",
        )

    def _refused(self, how: str, facts: list[str]) -> SourceError:
        return SourceError(
            f"{self._host} {how}.",
            facts=[f"file: {self._label}", *facts],
            fix="run the command again, or use another source",
            transient=True,
        )
