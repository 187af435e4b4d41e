"""Whether what is to come fits on the disks (design 4, rule 7)."""

from collections.abc import Sequence

from fetcher.disk.store import Store
from fetcher.errors import DiskError
from fetcher.transfer.jobs import Job, unique


def require_space(jobs: Sequence[Job]) -> None:
    """Refuse to begin what cannot fit; room that partials have reserved counts as theirs.

    Raises:
        DiskError: With the bytes needed and the bytes free.
    """
    needed: dict[int, int] = {}
    stores: dict[int, Store] = {}
    devices = {store: store.device() for store in {job.store for job in jobs}}
    for job in unique(jobs):
        if job.is_here():
            continue
        device = devices[job.store]
        stores.setdefault(device, job.store)
        needed[device] = needed.get(device, 0) + max(0, job.request.size - job.reserved)
    for device, store in stores.items():
        free = store.free_bytes()
        if needed[device] > free:
            raise DiskError(
                "There is not enough room for the files to come; nothing was fetched.",
                facts=[f"needed: {needed[device]} bytes", f"free: {free} bytes", f"store: {store.root}"],
                fix="free some space, or set FETCHER_STORE to a folder on another disk",
            )
