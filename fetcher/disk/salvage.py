"""Bring objects into the store from bytes that are on this machine already.

An object of the store that is sound is used as it is.  One that is damaged or missing is
made from copies: linked or reflinked from a file that fetcher placed and that is proven;
put together chunk by chunk from damaged ones; copied, proven, from anybody else's.  What is
still missing then is a partial's, and only those chunks are fetched (partial.py).

A file that is not fetcher's, or may be written to, is never hard linked: an edit in place
would damage the store.

Promises (tests/disk/test_salvage.py):
  * no object gets its name before the sha256 of all its bytes was right;
  * a damaged object does not stay, and its sound chunks are not fetched again;
  * a copy keeps its bytes, its name and its date.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fetcher.core.chunk import CHUNK, chunk_stop
from fetcher.core.digest import Expected
from fetcher.core.download import Span
from fetcher.core.interfaces import Events
from fetcher.core.plan import Wanted
from fetcher.disk.atomic import backdate, disk_errors, make_folder
from fetcher.disk.chunks import ChunkList
from fetcher.disk.copies import Copies, Copy
from fetcher.disk.opened import opened
from fetcher.disk.partial import Partial
from fetcher.disk.prove import hash_whole
from fetcher.disk.share import clone
from fetcher.disk.staging import Staging
from fetcher.disk.store import SMALL_BELOW, Store
from fetcher.disk.writer import sweep, temporary_name
from fetcher.errors import BusyError, IntegrityError, InterruptedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A digest that is not sound in its store."""

    wanted: Wanted
    store: Store
    damaged: Path | None  # its object


class Salvage:
    """Brings objects for one project.

    Args:
        staging: The stores.
        copies: Where else to look.
        stop: Asked before each chunk.
    """

    def __init__(self, *, staging: Staging, copies: Copies, events: Events, stop: Callable[[], bool]) -> None:
        self._staging = staging
        self._copies = copies
        self._events = events
        self._stop = stop
        self._cores = os.cpu_count() or 1

    def bring(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Have sound objects of these files in the stores, as far as this machine holds their bytes.

        Returns:
            One file of each digest that was brought from elsewhere than the store.

        Raises:
            DiskError: No space, read-only, no permission.
            InterruptedRun: `stop` said so.
        """
        first = {item.sha256: item for item in reversed(wanted)}
        with ThreadPoolExecutor(max_workers=self._cores) as pool:
            looks = [self._look(item, pool) for item in reversed(first.values())]
            cases = [case for case in (look() for look in looks) if case is not None]
        copies = self._copies.of(case.wanted for case in cases)
        return [case.wanted for case in cases if self._mend(case, copies[case.wanted.sha256])]

    def _look(self, item: Wanted, pool: ThreadPoolExecutor) -> Callable[[], _Case | None]:
        """Look for an object; what is there is hashed by the pool."""
        holder = self._staging.found(item)
        if holder is not None:
            return pool.submit(self._case, item, holder).result
        absent = _Case(wanted=item, store=self._staging.store_for(item), damaged=None)
        return lambda: absent

    def _case(self, item: Wanted, holder: Store) -> _Case | None:
        self._check()
        self._events.hashing(item.label, item.size)
        if holder.prove(item.sha256):
            return None
        return _Case(wanted=item, store=holder, damaged=holder.object_path(item.sha256))

    def _mend(self, case: _Case, copies: Sequence[Copy]) -> bool:
        """Whether the object is sound in the store now; a damaged one is gone in any case."""
        if case.damaged is not None:
            copies = [Copy(path=case.damaged, is_damaged=True), *copies]
        if case.wanted.size < SMALL_BELOW:
            is_sound = self._mend_small(case, copies)
        else:
            is_sound = self._link(case, copies) or self._mend_by_chunks(case, copies)
        if case.damaged is not None and not is_sound:
            case.store.drop(case.wanted.sha256)
        return is_sound

    def _mend_small(self, case: _Case, copies: Sequence[Copy]) -> bool:
        for copy in copies:
            data = _read(copy.path, case.wanted.size)
            if hashlib.sha256(data).hexdigest() == case.wanted.sha256:
                self._make_way(case)
                case.store.add_bytes(data)
                return True
        return False

    def _link(self, case: _Case, copies: Sequence[Copy]) -> bool:
        """Share the bytes of a file that fetcher placed, if they are right."""
        sha256 = case.wanted.sha256
        path = case.store.object_path(sha256)
        for copy in copies:
            if not copy.is_own:
                continue
            make_folder(path.parent)
            sweep(path.parent)
            temporary = path.with_name(temporary_name(sha256))
            with disk_errors(path):
                try:
                    chunks = self._list_of(temporary, case.wanted) if _share(copy.path, temporary) else None
                    if chunks is not None:
                        self._make_way(case)
                        case.store.keep(temporary, sha256, chunks)
                        return True
                finally:
                    temporary.unlink(missing_ok=True)
        return False

    def _mend_by_chunks(self, case: _Case, copies: Sequence[Copy]) -> bool:
        """Fill a partial; what it lacks then is fetched."""
        item, store = case.wanted, case.store
        for chunks, paths in self._lots(item, copies):
            try:
                partial = store.partial(Expected(size=item.size, sha256=item.sha256), stop=self._stop)
            except BusyError:
                return False  # the transfer knows how to wait for another fetcher
            with partial:
                self._fill(partial, chunks, paths)
                if partial.missing():
                    continue
                self._make_way(case)
                try:
                    partial.publish()
                except IntegrityError:  # the chunk list was wrong
                    partial.restart()
                    store.discard(item.sha256)
                    continue
                return True
        return False

    def _lots(self, item: Wanted, copies: Sequence[Copy]) -> Iterator[tuple[ChunkList, list[Path]]]:
        """Chunk lists, each with the files whose chunks may be as listed."""
        known = self._staging.chunks(item)
        ours = [copy.path for copy in copies if copy.is_own or copy.is_damaged]
        if known is not None and known.size == item.size and ours:
            yield known, ours
        for copy in copies:
            if not copy.is_damaged:
                found = self._list_of(copy.path, item)
                if found is not None:
                    yield found, [copy.path]

    def _list_of(self, path: Path, item: Wanted) -> ChunkList | None:
        """The chunk list of a file, if its size and sha256 are the wanted ones."""
        self._check()
        self._events.hashing(item.label, item.size)
        with contextlib.suppress(OSError), opened(path) as descriptor:
            if os.fstat(descriptor).st_size != item.size:
                return None
            sha256, chunks = hash_whole(descriptor, item.size, stop=self._stop)
            return chunks if sha256 == item.sha256 else None
        return None

    def _fill(self, partial: Partial, chunks: ChunkList, paths: Sequence[Path]) -> None:
        """Take each chunk that is missing as a whole from the first file that has it."""
        with ExitStack() as stack:
            sources = []
            for path in paths:
                with contextlib.suppress(OSError):
                    sources.append(stack.enter_context(opened(path)))

            def take(number: int) -> None:
                self._check()
                span = Span(start=number * CHUNK, stop=chunk_stop(number * CHUNK, chunks.size))
                if any(partial.take(source, span, chunks.digests[number]) for source in sources):
                    partial.hash_free()

            with ThreadPoolExecutor(max_workers=self._cores) as pool:
                for _ in pool.map(take, _whole_chunks(partial.missing(), chunks.size)):
                    pass

    def _make_way(self, case: _Case) -> None:
        if case.damaged is not None:
            case.store.drop(case.wanted.sha256)

    def _check(self) -> None:
        if self._stop():
            raise InterruptedRun("Interrupted while files on disk were being hashed.")


def _whole_chunks(missing: Sequence[Span], size: int) -> list[int]:
    """Numbers of the chunks of which nothing is here."""
    return [
        number
        for span in missing
        for number in range(-(-span.start // CHUNK), -(-span.stop // CHUNK))
        if chunk_stop(number * CHUNK, size) <= span.stop
    ]


def _read(path: Path, size: int) -> bytes:
    """The bytes of a small file; none if it cannot be read or has another size."""
    with contextlib.suppress(OSError), opened(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        data = file.read(size + 1)
        return data if len(data) == size else b""
    return b""


def _share(path: Path, temporary: Path) -> bool:
    """Reflink, else hard link; False where neither can be done, or where somebody may write to the file."""
    with contextlib.suppress(OSError), opened(path) as source:
        if os.fstat(source).st_mode & 0o222:
            return False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        target = os.open(temporary, flags, 0o444)
        try:
            if clone(source, target):
                backdate(target)
                os.fsync(target)
                return True
        finally:
            os.close(target)
        temporary.unlink()
        os.link(path, temporary, follow_symlinks=False)
        return os.path.samestat(os.fstat(source), temporary.lstat())
    return False
