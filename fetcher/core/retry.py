"""When to try again, and whom: the one schedule of waits.  Pure; the clock and the dice are the caller's.

Not in here: what counts as transient (SourceError says so).

Promises, held by tests/core/test_retry.py:
  * waits grow, never beyond the cap, and never below half of what the schedule says, so
    that many clients neither march in step nor come back at once;
  * a server's Retry-After is waited for in full, up to its own cap, and spread upwards;
  * a try that brought bytes starts the count anew, so a link that is cut again and again ends;
  * connections that fail together, of one cause, count as one failure;
  * whatever candidates do, the tries end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fetcher.core.interfaces import Candidate
from fetcher.errors import FetcherError, IntegrityError, SourceError

LEAST_PROGRESS = 512  # bytes of a try or of a reply; a server that gives a byte each time could be asked for ever
ENOUGH_TO_GO_ON = 256 << 10  # bytes; a try that brought so much is followed by the next at once


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """Exponential waits with equal jitter: half is fixed, half is thrown with the dice.

    Attributes:
        attempts: Tries in a row that may fail before giving up, the first one included.
        base_s: Wait after the first failure, in seconds, before jitter.
        factor: Growth from one wait to the next.
        cap_s: Longest wait of the schedule itself.
        retry_after_cap_s: Longest wait that a server may ask for; above it we come back sooner.
    """

    attempts: int = 6
    base_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 30.0
    retry_after_cap_s: float = 120.0

    def delay_s(self, attempt: int, *, retry_after_s: float | None = None, jitter: float) -> float | None:
        """Seconds to wait before the next try, or None to give up.

        Args:
            attempt: How many tries in a row have failed; 1 after the first failure.
            retry_after_s: What the server asked for (RFC 9110, 10.2.3), if it did.
            jitter: A throw of the dice, 0 to 1.
        """
        if attempt >= self.attempts:
            return None
        own = self._planned_s(attempt) * (0.5 + 0.5 * jitter)
        if retry_after_s is None:
            return own
        asked = min(max(retry_after_s, 0.0), self.retry_after_cap_s)
        # Coming back early is refused again, so the spread goes upwards; a tenth is enough.
        return max(own, asked * (1.0 + 0.1 * jitter))

    def _planned_s(self, attempt: int) -> float:
        wait = self.base_s
        for _ in range(attempt - 1):
            wait = min(wait * self.factor, self.cap_s)
        return min(wait, self.cap_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Bytes of a whole by who gave them: `size` of them; without a candidate they are of an earlier run."""

    candidate: Candidate | None
    size: int


@dataclass(slots=True)
class _Standing:
    """How one candidate has done so far."""

    candidate: Candidate
    failures: int = 0  # in a row, without bytes in between
    incidents: int = 0  # failures that counted, in all
    delay_s: float = 0.0  # the wait that the last of them asked for
    suspicions: int = 0  # times that a whole was wrong and this one may have been the reason
    dropped: bool = False
    error: FetcherError | None = None


class Tries:
    """Which candidate to ask next for a digest, how long to wait first, and when to give up.

    A candidate that served wrong bytes or that has nothing is asked no more.  One that
    fails twice in a row without bringing bytes stands back behind the others.
    """

    def __init__(self, candidates: Sequence[Candidate], schedule: RetrySchedule) -> None:
        self._standings = [_Standing(candidate) for candidate in candidates]
        self._schedule = schedule

    def best(self) -> Candidate | None:
        """Whom to ask next; None when all are given up."""
        standing = self._best()
        return standing.candidate if standing else None

    def incidents(self, candidate: Candidate) -> int:
        """How often a candidate has failed so far; to be asked for when a try begins."""
        return self._of(candidate).incidents

    def failed(
        self, candidate: Candidate, error: FetcherError, *, progress: int, jitter: float, since: int | None = None
    ) -> float:
        """Take note of a try that ended in an error.

        Args:
            progress: Bytes that the try brought all the same.
            jitter: A throw of the dice, 0 to 1.
            since: `incidents` when the try began.  If others that ran at the same time have
                failed since, this is the same incident, and does not count again.

        Returns:
            Seconds to wait before the next try, whoever is asked then.
        """
        standing = self._of(candidate)
        if since is not None and since < standing.incidents and not _is_final(error):
            if progress >= ENOUGH_TO_GO_ON:
                standing.failures = min(standing.failures, 1)
            return standing.delay_s
        standing.error = error
        standing.incidents += 1
        standing.delay_s = self._count(standing, error, progress, jitter)
        return standing.delay_s

    def succeeded(self, candidate: Candidate) -> None:
        """Take note of a try that brought all that was asked for."""
        self._of(candidate).failures = 0

    def _count(self, standing: _Standing, error: FetcherError, progress: int, jitter: float) -> float:
        if not isinstance(error, SourceError) or _is_final(error):
            standing.dropped = True
            return 0.0
        standing.failures = 1 if progress >= LEAST_PROGRESS else standing.failures + 1
        if progress >= ENOUGH_TO_GO_ON and error.retry_after_s is None:
            standing.failures = 0
            return 0.0
        delay = self._schedule.delay_s(standing.failures, retry_after_s=error.retry_after_s, jitter=jitter)
        standing.dropped = delay is None
        following = self._best()
        if delay is None or following is None or (following is not standing and following.failures == 0):
            return 0.0
        return delay

    def blame(self, given: Sequence[Given], error: IntegrityError) -> list[Given]:
        """Whose bytes to fetch again, after a whole with bytes of several givers was wrong.

        A candidate that gave all of it is guilty and asked no more.  Otherwise nobody is
        proven guilty: the bytes of an earlier run go first, then those of the giver that
        gave least, who is asked only when nobody else is left, and dropped at the second
        suspicion.
        """
        earlier = [item for item in given if item.candidate is None]
        if earlier:
            return earlier
        suspect = min(given, key=lambda item: item.size)
        standing = self._of_given(suspect)
        standing.error = error
        standing.suspicions += 1
        if len(given) == 1:
            standing.dropped = True
            for other in self._standings:
                other.suspicions = 0  # the guilty one is found
        standing.dropped = standing.dropped or standing.suspicions > 1
        return [suspect]

    def error(self, label: str) -> FetcherError:
        """Why all were given up: wrong bytes weigh most, then what the first candidate said."""
        errors = [standing.error for standing in self._standings if standing.error is not None]
        if not errors:
            return SourceError(f"There is no source for {label}.", fix="run `fetcher lock` to pin one")
        first = next((error for error in errors if isinstance(error, IntegrityError)), errors[0])
        others = [f"also tried: {error.what}" for error in errors if error is not first]
        return type(first)(first.what, facts=[*first.facts, *others], fix=first.fix) if others else first

    def _best(self) -> _Standing | None:
        left = [standing for standing in self._standings if not standing.dropped]
        return min(left, key=lambda standing: (standing.suspicions, standing.failures // 2), default=None)

    def _of_given(self, given: Given) -> _Standing:
        if given.candidate is None:
            raise ValueError("bytes of an earlier run have no candidate")
        return self._of(given.candidate)

    def _of(self, candidate: Candidate) -> _Standing:
        return next(standing for standing in self._standings if standing.candidate is candidate)


def _is_final(error: FetcherError) -> bool:
    return not isinstance(error, SourceError) or not error.transient
