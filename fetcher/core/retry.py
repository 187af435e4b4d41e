"""When to try again: the one schedule of waits.  Pure; the clock and the dice are the caller's.

Not in here: what counts as transient (SourceError says so), and what a failed try costs
(transfer.py starts counting anew whenever a try brought bytes).

Promises, held by tests/core/test_retry.py:
  * waits grow, never beyond the cap, and never below half of what the schedule says, so
    that many clients neither march in step nor come back at once;
  * a server's Retry-After is waited for in full, up to its own cap, and spread upwards.
"""

from dataclasses import dataclass


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


NEVER_AGAIN = RetrySchedule(attempts=1)
