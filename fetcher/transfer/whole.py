"""The short way of a small file: its bytes in one piece from the source that comes first, proven, kept.

Whatever is out of the ordinary is not judged here: the file is then fetched the long way
(fetch.py), which knows tries, waits, other candidates and what errors mean.  So nothing that
happens here is an error of the source's.

Promises (tests/test_whole.py):
  * what is kept has the expected hash;
  * after anything else the file is fetched as if this had not been tried.
"""

import threading
from collections.abc import Callable

from fetcher.core.digest import Sha256
from fetcher.core.interfaces import FetchRequest, SendsWhole, Source
from fetcher.disk.hashing import Whole
from fetcher.errors import IntegrityError
from fetcher.transfer.links import Link
from fetcher.transfer.office import Office, Slot

WHOLE_BELOW = 256 << 10  # bytes; of a larger file one wants to see it come, and to keep what came


class WholeFiles:
    """The short way in one run.  Used by several threads at once."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._is_open = office.settings.limit_rate is None
        self._lock = threading.Lock()
        self._sources: dict[int, SendsWhole | None] = {}  # by identity; asking for a door costs more than a file

    def fetch(
        self, request: FetchRequest, slot: Slot, link: Link | None, keep: Callable[[Sha256, bytes], object]
    ) -> Sha256 | None:
        """Fetch a file; None if it takes the long way.

        Args:
            link: The first candidate's; the slot's connection is one of its own.
            keep: Puts the proven bytes where they belong.

        Raises:
            PointerError: The bytes only stand for the file.
            DiskError: They could not be written.
        """
        if link is None or not (request.sha256 or request.git_blob) or not 0 < request.size < WHOLE_BELOW:
            return None
        best = request.candidates[0]
        source = self._whole_of(best.source)
        if source is None or not slot.hold(link):
            return None
        asked_s = self._office.clock()
        data = source.whole(best.address)
        if data is None:
            return None
        slot.answered(link, self._office.clock() - asked_s)
        slot.came(len(data))
        whole = Whole.of(request.expected, self._office.settings.hashing)
        whole.update(memoryview(data))
        try:
            found = whole.proven()
        except IntegrityError:
            return None
        events = self._office.events
        events.file_started(request, have=0)
        events.bytes_received(request, len(data))
        keep(found, data)
        return found

    def wake(self) -> None:
        """End what waits for a source."""
        with self._lock:
            sources = list(self._sources.values())
        for source in sources:
            if source is not None:
                source.wake()

    def _whole_of(self, source: Source) -> SendsWhole | None:
        if not self._is_open:
            return None
        if id(source) not in self._sources:
            with self._lock:
                self._sources[id(source)] = source if isinstance(source, SendsWhole) else None
        return self._sources[id(source)]
