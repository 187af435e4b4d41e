"""One object on its way: from part to part, from candidate to candidate, by one or several workers.

The worker that took the job *leads*: it stays until the object is published.  Others *help*:
they fetch parts while there are any, and while the host is worth their connection.

Not in here: who helps (run.py).
"""

import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fetcher.core.digest import Sha256
from fetcher.core.download import Span
from fetcher.core.interfaces import Candidate, FetchRequest
from fetcher.core.parts import Part, Parts, part_size
from fetcher.core.retry import Given, Tries
from fetcher.disk.sink import Sink
from fetcher.errors import (
    AuthError,
    FetcherError,
    IntegrityError,
    InterruptedRun,
    NotFoundError,
    PointerError,
    SourceError,
)
from fetcher.transfer.links import Link
from fetcher.transfer.office import Office, Slot
from fetcher.transfer.receive import RangeIgnored, Receiver

_POLL_S = 0.1
_FAULTS_OF_SOURCES = (AuthError, IntegrityError, NotFoundError, SourceError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """Who gave which bytes; without a candidate they are of an earlier run."""

    span: Span
    candidate: Candidate | None


class Fetch:
    """One object on its way."""

    def __init__(self, office: Office, request: FetchRequest, sink: Sink) -> None:
        self.request = request
        self._office = office
        self._sink = sink
        self._changed = threading.Condition()
        self._tries = Tries(request.candidates, office.settings.retry)
        self._in_parts = request.size >= office.settings.ranges_from
        self._error: FetcherError | None = None
        self._workers = 0
        self._gifts: list[Gift] = []
        self._wrong: list[str] = []  # labels of those whose bytes were thrown away
        missing = sink.missing()
        self._parts = Parts(missing)
        self._gifts.extend(Gift(span=span, candidate=None) for span in _between(missing, request.size))

    # asked by the run

    def wants_help(self) -> bool:
        """Whether another worker would have something to do."""
        with self._changed:
            return self._in_parts and self._error is None and self._workers > 0 and self._parts.has_work()

    @property
    def workers(self) -> int:
        """Those at work on it."""
        return self._workers

    def best(self) -> Candidate | None:
        """Whom it would ask next."""
        with self._changed:
            return self._tries.best()

    # the workers

    def lead(self, slot: Slot) -> Sha256:
        """Receive and publish; returns the sha256.

        Raises:
            FetcherError: All candidates are given up, or the disk refused.
            InterruptedRun: The run is over.
        """
        while True:
            self.work(slot)
            if self._in_parts:
                slot.release()
            self._wait_for_helpers()
            sha256 = self._published() if self._sink.have == self.request.size else None
            if sha256 is not None:
                return sha256

    def work(self, slot: Slot) -> None:
        """Fetch parts until there is nothing to take, or no connection to be had.

        Raises:
            InterruptedRun: The run is over.
        """
        with self._changed:
            self._workers += 1
        try:
            while self._takes_another(slot):
                pass
        except InterruptedRun:
            raise
        except FetcherError as error:
            with self._changed:
                self._error = self._error or error
        finally:
            with self._changed:
                self._workers -= 1
                self._changed.notify_all()

    def _takes_another(self, slot: Slot) -> bool:
        self._office.check_stop()
        with self._changed:
            if self._error is not None or not self._has_work():
                return False
            candidate = self._tries.best()
            if candidate is None:
                self._error = self._tries.error(self.request.label)
                return False
        link = self._office.link(candidate)
        if not slot.hold(link):
            return False
        with self._changed:
            part = self._take(link)
        if part is not None:
            self._try(candidate, link, part, slot)
        return True

    def _wait_for_helpers(self) -> None:
        """Until nobody is at work, or a part was given back.

        Raises:
            FetcherError: What ended the fetch.
        """
        while True:
            self._office.check_stop()
            with self._changed:
                if self._workers == 0 and self._error is not None:
                    raise self._error
                if self._workers == 0 or (self._error is None and self._has_work()):
                    return
                self._changed.wait(_POLL_S)

    # parts; with `_changed` held

    def _has_work(self) -> bool:
        return self._parts.has_work() if self._in_parts else self._parts.is_idle()

    def _take(self, link: Link) -> Part | None:
        return self._parts.take(self._part_size(link)) if self._has_work() else None

    def _part_size(self, link: Link) -> int:
        if not self._in_parts:
            return self.request.size
        return part_size(
            left=self._parts.left, connections=link.allowed, rate=link.rate, round_trip_s=link.round_trip_s
        )

    # one part

    def _try(self, candidate: Candidate, link: Link, part: Part, slot: Slot) -> None:
        with self._changed:
            since = self._tries.incidents(candidate)
        fault: FetcherError | None = None
        receiver = Receiver(self._office, self, self._sink, candidate, link, part, slot)
        try:
            receiver.receive()
        except RangeIgnored:
            with self._changed:
                self._in_parts = False  # whoever is at it goes on alone
        except _FAULTS_OF_SOURCES as error:
            fault = error
        finally:
            self._end(candidate, part, receiver.spans)
        if fault is None:
            with self._changed:
                self._tries.succeeded(candidate)
        else:
            self._sink.save()
            self._office.check_stop()
            self._failed(candidate, link, fault, receiver.kept, since, slot)

    def _end(self, candidate: Candidate, part: Part, spans: Sequence[Span]) -> None:
        with self._changed:
            self._parts.give_back(part)
            self._gifts.extend(Gift(span=span, candidate=candidate) for span in spans)
            self._changed.notify_all()

    def _failed(
        self, candidate: Candidate, link: Link, error: FetcherError, progress: int, since: int, slot: Slot
    ) -> None:
        jitter = random.random()  # noqa: S311  no secret
        with self._changed:
            is_first = since == self._tries.incidents(candidate)
            wait_s = self._tries.failed(candidate, error, progress=progress, jitter=jitter, since=since)
            following = self._tries.best()
        if following is None:
            return
        if is_first:
            self._office.events.retrying(self.request, reason=error.what, delay_s=wait_s)
        if wait_s <= 0:
            return
        slot.release()
        if isinstance(error, SourceError) and error.retry_after_s is not None:
            self._office.be_silent(link, wait_s)  # whoever asks this host next waits for it
        else:
            self._office.pause(wait_s)

    def go_on(self, part: Part, link: Link) -> None:
        """Let a part that is at its end go on into the next one, if its connection may stay."""
        with self._changed:
            if not link.is_crowded():
                self._parts.follow(part, self._part_size(link))

    def jump(self, part: Part) -> int:
        """Let a part that is at its end go on at the next gap; bytes to skip until then, 0 if there is none."""
        with self._changed:
            here = part.at
            start = self._parts.jump(part)
            return 0 if start is None else start - here

    def promise(self, part: Part, most: int) -> int:
        """Bytes that a part may receive now; 0 when it is over."""
        with self._changed:
            return 0 if self._error is not None else self._parts.promise(part, most)

    def came(self, part: Part, count: int) -> None:
        """Take note of bytes that are in the sink."""
        with self._changed:
            self._parts.came(part, count)

    def reach(self, part: Part) -> int:
        """How far to ask for: all that is free if the part is alone, else its own end."""
        with self._changed:
            return self._parts.reach(part) if self._parts.open_count == 1 else part.stop

    def stays_alone(self) -> bool:
        """Whether one part is on its way only; if so, no other one is begun."""
        with self._changed:
            if self._parts.open_count > 1:
                return False
            self._in_parts = False
            return True

    # the end

    def _published(self) -> Sha256 | None:
        """Publish if all is right; else forget what may be wrong."""
        try:
            sha256 = self._sink.publish()
        except PointerError:
            raise  # the bytes are right: every source of them has the same
        except IntegrityError as error:
            self._forget_wrong(error)
            return None
        for label in dict.fromkeys(self._wrong):
            self._office.events.note(f"{label} sent wrong bytes of {self.request.label}; others had the right ones.")
        return sha256

    def _forget_wrong(self, error: IntegrityError) -> None:
        given = _given(self._gifts)
        named = wrong_bytes_of(_hosts(item.candidate for item in given if item.candidate), self.request, error)
        guilty = self._tries.blame(given, named)
        wrong = [g.span for g in self._gifts if any(g.candidate is item.candidate for item in guilty)]
        gone = self._sink.forget(wrong)
        self._office.events.bytes_received(self.request, -sum(span.size for span in gone))
        self._wrong.extend(item.candidate.source.label for item in guilty if item.candidate)
        with self._changed:
            missing = self._sink.missing()
            self._parts = Parts(missing)
            self._gifts = [kept for gift in self._gifts for kept in _without(gift, missing)]
            following = self._tries.best()
        if following is not None:
            self._office.events.retrying(self.request, reason=named.what, delay_s=0.0)


def _between(missing: Sequence[Span], size: int) -> list[Span]:
    """The spans of a file of `size` bytes that are not missing."""
    edges = [0, *(edge for span in missing for edge in (span.start, span.stop)), size]
    return [Span(start=a, stop=b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def _without(gift: Gift, gone: Iterable[Span]) -> list[Gift]:
    """What is left of a gift when spans are gone."""
    left, at = [], gift.span.start
    for span in gone:
        if span.stop > at and span.start < gift.span.stop:
            if span.start > at:
                left.append(Span(start=at, stop=span.start))
            at = max(at, span.stop)
    if at < gift.span.stop:
        left.append(Span(start=at, stop=gift.span.stop))
    return [Gift(span=span, candidate=gift.candidate) for span in left]


def _given(gifts: Iterable[Gift]) -> list[Given]:
    """How much each giver gave."""
    found: dict[int, Given] = {}
    for gift in gifts:
        before = found.get(id(gift.candidate))
        size = gift.span.size + (before.size if before else 0)
        found[id(gift.candidate)] = Given(candidate=gift.candidate, size=size)
    return list(found.values())


def _hosts(givers: Iterable[Candidate]) -> str:
    return " and ".join(dict.fromkeys(giver.source.label for giver in givers)) or "An earlier run"


def wrong_bytes_of(giver: str, request: FetchRequest, error: IntegrityError) -> IntegrityError:
    """A wrong hash, with the file and who sent it."""
    if request.sha256 is None:
        return IntegrityError(
            f"{giver} sent other bytes than its listing has for {request.label}.",
            facts=error.facts,
            fix="run the command again, or use another source",
        )
    return IntegrityError(
        f"{giver} sent other bytes than the lock has for {request.label}.",
        facts=error.facts,
        fix=f"run `fetcher lock --upgrade {request.label.partition('/')[0]}` if the change is wanted, "
        "or use another source",
    )
