"""A few bytes of a file: from the store where it is there, else by a range from a source.

Nothing proves them: no hash is of a part.  Who listed the file is asked, as for its hash.
"""

import threading
from pathlib import Path

from fetcher.core.content.window import SpentError
from fetcher.core.download import Download, Span
from fetcher.core.interfaces import Candidate, FetchRequest, OnThisMachine
from fetcher.core.retry import RetrySchedule
from fetcher.disk.atomic import disk_errors
from fetcher.disk.store import Store
from fetcher.errors import AuthError, InterruptedRun, NotFoundError, SourceError
from fetcher.net.patience import Patience

_TOO_FAR = 64 << 10  # bytes before those that are wanted that are received for them


class StorePeeker:
    """Reads parts of files (`facts.Peeker`).  Used by several threads at once.

    Args:
        store: Has objects that need not be asked for.
        stop: Set it to end.
    """

    def __init__(self, store: Store, *, retry: RetrySchedule, stop: threading.Event) -> None:
        self._store = store
        self._patiently = Patience(retry)
        self._stop = stop

    def peek(self, request: FetchRequest, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        place = self._place_of(request)
        if place is not None:
            with disk_errors(place), place.open("rb") as file:
                file.seek(start)
                return file.read(stop - start)
        *others, last = request.candidates
        for candidate in others:
            try:
                return self._asked(candidate, request, Span(start=start, stop=stop))
            except (AuthError, NotFoundError, SourceError):
                continue
        return self._asked(last, request, Span(start=start, stop=stop))

    def _place_of(self, request: FetchRequest) -> Path | None:
        """Where the file is on this machine."""
        first = request.candidates[0]
        if isinstance(first.source, OnThisMachine):
            return first.source.path_of(first.address)
        if request.sha256 is not None and self._store.has(request.sha256, request.size):
            return self._store.object_path(request.sha256)
        return None

    def _asked(self, candidate: Candidate, request: FetchRequest, span: Span) -> bytes:
        received = bytearray()
        download = Download(label=request.label, size=request.size, span=span)
        while not download.is_done():
            self._patiently(lambda: self._receive(candidate, download, received))
        return bytes(received)

    def _receive(self, candidate: Candidate, download: Download, received: bytearray) -> None:
        """One reply."""
        wanted = download.wanted
        with candidate.source.open(candidate.address, wanted.start, wanted.stop) as body:
            skipped = wanted.start - download.answer(body.head)
            if skipped > _TOO_FAR:
                raise SpentError
            buffer = memoryview(bytearray(skipped + wanted.size))
            while not download.is_done():
                if self._stop.is_set():
                    raise InterruptedRun("Interrupted while files were looked at.", fix="run the command again")
                count = body.readinto(buffer[: skipped + download.wanted.size])
                if count == 0:
                    break
                piece = download.receive(count)
                skipped -= piece.drop
                received += buffer[piece.drop : piece.drop + piece.keep]
            download.end()
