"""What 2,000 small files cost through a source's door, in this process: `python -m benchmarks.lane`.

Not in here: the engine and the disk (run.py).  Prints the median of several rounds for each
number of threads: wall and CPU seconds, connections that the server saw opened.
"""

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import hub
from benchmarks.data import KIB, DataSet, Spec, ensure
from benchmarks.server import serving
from fetcher.core.digest import Commit, Sha256
from fetcher.core.interfaces import RemoteAddress
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.core.retry import RetrySchedule
from fetcher.net.http import HttpClient
from fetcher.sources.modelscope import ModelScopeSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Seconds of one round."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 4, 8])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = ensure(Spec(name="many", count=options.files, size=16 * KIB), Path(folder) / "data")
        with serving([data], Path(folder)) as servers:
            for threads in options.threads:
                rounds = [_round(servers.urls["plain"], data, threads) for _ in range(options.rounds)]
                wall_s = statistics.median(each.wall_s for each in rounds)
                cpu_s = statistics.median(each.cpu_s for each in rounds)
                per_thousand = cpu_s / options.files * 1000
                print(f"{threads} threads: wall {wall_s:.3f} s, CPU {cpu_s:.3f} s, {per_thousand:.3f} s a 1,000")


def _round(endpoint: str, data: DataSet, threads: int) -> Round:
    source = ModelScopeSource(endpoint=endpoint, client=HttpClient(), token=None, login="-", retry=RetrySchedule())
    ref = SourceRef.parse(f"modelscope:{hub.repository(data)}")
    commit = Commit(hub.commit_of(data))
    addresses = [
        RemoteAddress(ref=ref, commit=commit, path=RepoPath(file.name), size=file.size, sha256=Sha256(file.sha256))
        for file in data.files
    ]
    turn = count()

    def read() -> None:
        buffer = memoryview(bytearray(256 * KIB))
        while (at := next(turn)) < len(addresses):
            address = addresses[at]
            need = address.size
            with source.open(address, 0, address.size) as body:
                while need and (got := body.readinto(buffer[:need])):
                    need -= got
            if need:
                raise SystemExit(f"{address.path} is short of {need} bytes")

    workers = [threading.Thread(target=read) for _ in range(threads)]
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    result = Round(wall_s=time.perf_counter() - wall_s, cpu_s=time.process_time() - cpu_s)
    source.close()
    return result


if __name__ == "__main__":
    main()
