"""Ask again by the one schedule (core/retry.py) while a failure may pass.

For questions that a source asks while it lists; downloads have transfer/.
"""

import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from fetcher.core.retry import RetrySchedule
from fetcher.errors import FetcherError, SourceError

_Result = TypeVar("_Result")


class Patience:
    """Tries, waits and tries again.

    Args:
        sleep: Waits between two tries.
        dice: Gives 0 to 1, to spread the waits.
    """

    def __init__(
        self,
        schedule: RetrySchedule,
        *,
        sleep: Callable[[float], object] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._schedule = schedule
        self._sleep = sleep
        self._dice = dice

    def __call__(self, once: Callable[[], _Result], *, also_again: type[FetcherError] | None = None) -> _Result:
        """The result of `once`.

        Args:
            also_again: Errors that may pass although they do not say so.

        Raises:
            FetcherError: The last failure.
        """
        for attempt in count(1):
            try:
                return once()
            except FetcherError as error:
                again = isinstance(error, SourceError) and error.transient
                if not again and not (also_again and isinstance(error, also_again)):
                    raise
                asked_s = error.retry_after_s if isinstance(error, SourceError) else None
                delay_s = self._schedule.delay_s(attempt, retry_after_s=asked_s, jitter=self._dice())
                if delay_s is None:
                    raise
            self._sleep(delay_s)
        raise AssertionError("count() ended")
