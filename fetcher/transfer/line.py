"""One reply on its way, watched for stalls by another thread than its reader."""

import threading
from collections.abc import Callable

from fetcher.core.interfaces import Body
from fetcher.errors import SourceError
from fetcher.transfer.jobs import TransferSettings


class Line:
    """Counts what comes of a reply; ends it when nothing, or too little, comes."""

    def __init__(self, body: Body, settings: TransferSettings, clock: Callable[[], float]) -> None:
        self._body = body
        self._settings = settings
        self._clock = clock
        self._latest = self._window_start = clock()
        self._window_bytes = 0
        self._stalled = threading.Event()
        self._rests = False

    @property
    def is_flowing(self) -> bool:
        """Whether bytes have come."""
        return self._window_bytes > 0 or self._window_start != self._latest

    def came(self, count: int) -> None:
        """Take note of `count` bytes.

        Raises:
            SourceError: The reply stalled, or is slower than the least speed.
        """
        now = self._clock()
        if self._stalled.is_set() or now - self._latest > self._settings.idle_timeout_s:
            raise self.stalled_error()
        self._latest = now
        self._window_bytes += count
        elapsed = now - self._window_start
        if elapsed < self._settings.low_speed_time_s:
            return
        if self._window_bytes < self._settings.low_speed_bytes_s * elapsed:
            raise SourceError(
                f"{self._host} sends too slowly.",
                facts=[f"received: {self._window_bytes} bytes in {elapsed:.0f} s"],
                fix="run the command again; what was received is kept",
                transient=True,
            )
        self._window_start, self._window_bytes = now, 0

    def rest(self, sleep: Callable[[float], object], seconds: float) -> None:
        """Wait on our own account; it is not held against the reply."""
        self._rests = True
        begun = self._clock()
        sleep(seconds)
        rested = self._clock() - begun
        self._latest += rested
        self._window_start += rested
        self._rests = False

    def look(self) -> None:
        """Close the reply if it stalls (called by another thread than the reader's)."""
        if self._rests or self._stalled.is_set():
            return
        if self._clock() - self._latest > self._settings.idle_timeout_s:
            self._stalled.set()
            self._body.close()

    def end(self) -> None:
        """Close the reply, whatever its reader is doing."""
        self._body.close()

    def has_stalled(self) -> bool:
        """Whether the reply was closed by `look`."""
        return self._stalled.is_set()

    def stalled_error(self) -> SourceError:
        """What a stall is called."""
        return SourceError(
            f"{self._host} sent nothing for {self._settings.idle_timeout_s:g} s.",
            fix="run the command again; what was received is kept",
            transient=True,
        )

    @property
    def _host(self) -> str:
        return self._body.head.host or "The server"
