"""Receive one part, and those that follow it, from one candidate.

Not in here: what to do after a failure (fetch.py), where the bytes go (disk/sink.py).
"""

from typing import Protocol

from fetcher.core.download import Download, Span
from fetcher.core.interfaces import Body, Candidate, FetchRequest
from fetcher.core.parts import Part
from fetcher.disk.sink import Sink
from fetcher.errors import FetcherError, InterruptedRun, SourceError
from fetcher.transfer.line import Line
from fetcher.transfer.links import Link
from fetcher.transfer.office import Office, Slot

_FLUSH_S = 0.5  # bytes of a slow link wait no longer than this in a buffer


class RangeIgnored(Exception):
    """The server sends the whole file where a part was asked for, and another connection is at work."""


class Share(Protocol):
    """What a receiver needs of the fetch that it works for (`fetch.Fetch`)."""

    request: FetchRequest

    def reach(self, part: Part) -> int: ...
    def go_on(self, part: Part, link: Link) -> None: ...
    def jump(self, part: Part) -> int: ...
    def promise(self, part: Part, most: int) -> int: ...
    def came(self, part: Part, count: int) -> None: ...
    def stays_alone(self) -> bool: ...


class Receiver:
    """One worker, one part, one candidate, as many replies as it takes."""

    def __init__(
        self, office: Office, share: Share, sink: Sink, candidate: Candidate, link: Link, part: Part, slot: Slot
    ) -> None:
        self._office = office
        self._share = share
        self._sink = sink
        self._candidate = candidate
        self._link = link
        self._part = part
        self._slot = slot
        self._buffer = memoryview(b"")
        self._skip = 0  # bytes of the reply that are of no use
        self._fault: FetcherError | None = None
        self._is_over = False  # the reply
        self._is_whole = False  # the reply, although a range was asked for
        self.kept = 0  # bytes
        self.spans: list[Span] = []  # where they stand

    def receive(self) -> None:
        """Fetch the part.

        Raises:
            RangeIgnored: It would have to be a connection's only one.
            FetcherError: The source's fault, or the disk's.
            InterruptedRun: The run is over; what came is kept.
        """
        self._buffer = self._sink.buffer()
        try:
            while self._part.at < self._part.stop:
                self._office.check_stop()
                if not self._slot.hold(self._link):  # the host has asked for silence meanwhile
                    return
                if not self._ask():
                    return
        finally:
            self._sink.give_back(self._buffer)

    def _ask(self) -> bool:
        """One reply; False when the part ended for another reason than its last byte."""
        wanted = Span(start=self._part.at, stop=self._share.reach(self._part))
        address = self._candidate.address
        asked_s = self._office.clock()
        with self._candidate.source.open(address, wanted.start, wanted.stop) as body:
            self._slot.answered(self._link, self._office.clock() - asked_s)
            download = self._download(wanted)
            self._skip = wanted.start - download.answer(body.head)
            self._is_whole = body.head.first is None and (wanted.start, wanted.stop) != (0, address.size)
            if self._is_whole:
                if not self._share.stays_alone():
                    raise RangeIgnored
                download = self._download(Span(start=wanted.start, stop=address.size))
                download.answer(body.head)
            line = Line(body, self._office.settings, self._office.clock)
            self._office.watch(line)
            try:
                return self._read_on(body, line, download, wanted)
            finally:
                self._office.unwatch(line)

    def _download(self, span: Span) -> Download:
        request = self._share.request
        return Download(label=request.label, size=request.size, span=span)

    def _read_on(self, body: Body, line: Line, download: Download, wanted: Span) -> bool:
        self._is_over = False
        while not self._is_over:
            room = self._skip or self._room(wanted)
            if room == 0:
                return False
            count = self._fill(body, line, self._office.grain(min(room, len(self._buffer))))
            self._settle(download, count)
            if self._fault is not None:
                raise self._fault
            self._office.spend(line, count)
        if self._skip or self._part.at < max(self._part.stop, wanted.stop):
            download.end()
        return True

    def _room(self, wanted: Span) -> int:
        """Bytes to receive next, or to skip; 0 when this reply is of no more use."""
        part = self._part
        if part.at == part.stop and self._is_whole:
            self._skip = self._share.jump(part)
            if self._skip:
                return self._skip
        elif part.at == part.stop < wanted.stop:
            self._share.go_on(part, self._link)
        # A write that ends on a multiple of the buffer's size keeps all later ones aligned.
        aligned = len(self._buffer) - part.at % len(self._buffer)
        return self._share.promise(part, self._office.grain(aligned))

    def _fill(self, body: Body, line: Line, room: int) -> int:
        """Fill the buffer as far as bytes come soon; a fault is kept until they are in the sink."""
        filled = 0
        begun = self._office.clock()
        try:
            while filled < room and self._office.clock() - begun < _FLUSH_S:
                self._office.check_stop()
                count = body.readinto(self._buffer[filled:room])
                if count == 0:
                    self._is_over = True
                    break
                filled += count
                line.came(count)
        except SourceError as error:
            self._fault = line.stalled_error() if line.has_stalled() else error
        except InterruptedRun as error:
            self._fault = error
        return filled

    def _settle(self, download: Download, count: int) -> None:
        """Put what came into the sink, or skip it."""
        if count == 0:
            return
        self._slot.came(count)
        piece = download.receive(count)
        if self._skip:
            self._skip -= count
            return
        with self._slot.held():
            self._buffer = self._sink.put(piece.offset, piece.keep, self._buffer)
        self._share.came(self._part, piece.keep)
        self._note(piece.offset, piece.keep)
        self._office.events.bytes_received(self._share.request, piece.keep)

    def _note(self, offset: int, count: int) -> None:
        self.kept += count
        if self.spans and self.spans[-1].stop == offset:
            offset = self.spans.pop().start
            count = self._part.at - offset
        self.spans.append(Span(start=offset, stop=offset + count))
