"""Carry out downloads: files and their parts, over several connections, into stores.

    jobs.py    what is handed in and out
    space.py   whether it fits
    links.py   what is known of each host: connections, silence that it asked for
    line.py    one reply on its way
    fetch.py   one object on its way, by one or several lines
    batches.py small files that wait for one sync
    queue.py   files that nobody has begun
    slot.py    a worker's connection
    pool.py    the connections, and who has one
    sinks.py   where the bytes of a file go
    run.py     the workers, and who does what next
    unhashed.py  into one store, to learn the sha256
    peek.py    a few bytes of a file

Not in here: what to fetch (core/plan.py), the rules of a reply (core/download.py), parts
and the number of connections (core/parts.py, core/connections.py), waits and the choice
among candidates (core/retry.py), the disk (disk/).

What is durable when: a journal line of a large file after its bytes (fdatasync every 8 MiB of
a connection), an object before its name (fsync), small files together (one syncfs for up to
512 of them, then their names).  A power cut costs bytes or names, never rightness.

Promises (tests/test_transfer.py, tests/test_parts.py, tests/test_disk_full.py):
  * a file is done only when its size and sha256 are the locked ones; whatever a source
    does, a wrong object never gets a name;
  * bytes that were received are kept: after a cut, a stop, a kill, a change of source;
  * one file's failure leaves the others alone, one part's failure the other parts;
  * a host that asks for silence gets it from all connections;
  * when `run_transfer` returns, no thread and no descriptor of it is left.
"""

from fetcher.transfer.jobs import Job, Outcome, TransferSettings
from fetcher.transfer.peek import StorePeeker
from fetcher.transfer.run import run_transfer
from fetcher.transfer.space import require_space
from fetcher.transfer.unhashed import StoreHasher

__all__ = ["Job", "Outcome", "StoreHasher", "StorePeeker", "TransferSettings", "require_space", "run_transfer"]
