"""How long a lock of one model with 5,000 files takes to read and to write.

Reading is compared with `tomllib.loads` alone in interleaved runs (the machine drifts, a
ratio in one run does not); medians of 15.  Run: `python benchmarks/lock_read.py`.
"""

import hashlib
import statistics
import sys
import time
import tomllib
from collections.abc import Callable

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.formats.lock_toml import read_lock, write_lock

FILES = 5_000
ROUNDS = 15


def lock_of(count: int) -> Lock:
    """A lock of one model with `count` files, named as the shards and configs of real ones."""
    files = tuple(
        LockedFile(
            path=RepoPath(f"checkpoint-{number // 50:04}/model-{number % 50:05}-of-00050.safetensors"),
            sha256=Sha256(hashlib.sha256(str(number).encode()).hexdigest()),
            size=4_976_698_672 + number,
        )
        for number in range(count)
    )
    model = LockedModel(
        name=ModelName("large"),
        source=SourceRef.parse("modelscope:owner/large"),
        commit=Commit("0" * 40),
        tree=tree_of(files),
        requested=Requested(revision="master"),
        files=files,
    )
    return Lock(models={model.name: model})


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes, in seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    """Print the medians and the ratio."""
    lock = lock_of(FILES)
    text = write_lock(lock, None)
    previous = read_lock(text, file="models.lock")
    alone, read, fresh, kept = [], [], [], []
    for _ in range(ROUNDS):
        alone.append(seconds(lambda: tomllib.loads(text)))
        read.append(seconds(lambda: read_lock(text, file="models.lock")))
        fresh.append(seconds(lambda: write_lock(lock, None)))
        kept.append(seconds(lambda: write_lock(lock, previous)))
    base, full = statistics.median(alone), statistics.median(read)
    sys.stdout.write(
        f"{FILES} files, {len(text)} characters\n"
        f"tomllib.loads    {base * 1e3:7.1f} ms\n"
        f"read_lock        {full * 1e3:7.1f} ms   {full / base:.2f} x tomllib (goal: at most 2)\n"
        f"write_lock       {statistics.median(fresh) * 1e3:7.1f} ms   (goal: under 1000)\n"
        f"write_lock, kept {statistics.median(kept) * 1e3:7.1f} ms\n"
    )


if __name__ == "__main__":
    main()
