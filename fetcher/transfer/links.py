"""What a run knows of each host: how many connections it is worth, and the silence that it asked for.

A *link* is one source, as its label names it.  All of its state is guarded by the run's lock.
"""

from collections.abc import Callable

from fetcher.core.connections import FAR_S, Connections, Look
from fetcher.core.interfaces import Candidate

_REQUEST_WORTH = 64 << 10  # bytes: what a small file costs besides its bytes, for the measure of progress


class Link:
    """One host."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.at_work = 0  # connections given out
        self.flowing = 0  # of these, how many have brought bytes
        self.round_trip_s = 0.0  # the shortest time from a request to its answer; 0 when unknown
        self.silent_until_s = 0.0
        self._progress = 0.0  # bytes, and what requests are worth
        self._held_s = 0.0  # what connections waited until their bytes were taken, less when those began that wait now
        self._held = 0  # connections that wait for that now

    @property
    def allowed(self) -> int:
        """Connections that it may have."""
        return self._connections.allowed

    @property
    def rate(self) -> float:
        """Bytes a second of one connection, when last measured; 0 when unknown."""
        return self._connections.rate / max(1, self.flowing)

    def has_room(self, now_s: float) -> bool:
        """Whether one more connection may begin."""
        return self.at_work < self.allowed and now_s >= self.silent_until_s

    def is_crowded(self) -> bool:
        """Whether a connection should end at its next part."""
        return self.at_work > self.allowed

    @property
    def is_far(self) -> bool:
        """Whether each request costs a long round trip."""
        return self.round_trip_s >= FAR_S

    def answered(self, seconds: float | None) -> None:
        """Take note of an answer, and of the time since its request where that is known."""
        self._progress += _REQUEST_WORTH
        if seconds is not None:
            self.round_trip_s = min(seconds, self.round_trip_s) if self.round_trip_s else seconds

    def came(self, count: int) -> None:
        """Take note of bytes."""
        self._progress += count

    def keep_waiting(self, now_s: float) -> None:
        """Take note that a connection's bytes wait for the disk and the hash."""
        self._held += 1
        self._held_s -= now_s

    def let_go(self, now_s: float) -> None:
        """Take note that they were taken."""
        self._held -= 1
        self._held_s += now_s

    def be_silent(self, until_s: float) -> None:
        """Begin no request before a time."""
        self.silent_until_s = max(self.silent_until_s, until_s)

    def look(self, now_s: float, *, is_wanted: bool, is_many: bool) -> None:
        """Let the number of connections follow what they bring."""
        self._connections.look(
            Look(
                now_s=now_s,
                received=self._progress,
                flowing=self.at_work if is_many else self.flowing,  # a small file has come before anyone looks
                round_trip_s=self.round_trip_s,
                is_wanted=is_wanted,
                is_many=is_many,
                held_s=self._held_s + self._held * now_s,
            )
        )


class Links:
    """All hosts of a run, by label."""

    def __init__(self, make: Callable[[], Connections]) -> None:
        self._make = make
        self._links: dict[str, Link] = {}

    def of(self, candidate: Candidate) -> Link:
        """The link of a candidate."""
        label = candidate.source.label
        if label not in self._links:
            self._links[label] = Link(self._make())
        return self._links[label]

    def all(self) -> list[Link]:
        """Those used so far."""
        return list(self._links.values())

    @property
    def connections(self) -> int:
        """Connections given out, in all."""
        return sum(link.at_work for link in self._links.values())
