"""How fast `fetcher verify` proves files in the page cache, beside `openssl dgst -sha256` and `b3sum` on the same.

Whole processes taking turns, medians.  `python -m benchmarks.verify` prints the table; `--write`
makes VERIFY.md; `--quick` takes a quarter of the bytes.  Both others must be installed.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.turns import FETCHER, Contest, Goal, Times, declare, environment_of, model_of, once, page, take_turns
from fetcher.core.digest import Sha256
from fetcher.core.lock import LockedFile
from fetcher.core.paths import RepoPath

_HERE = Path(__file__).parent
_FILES = 4
_GIB = 1 << 30
_BLOCK = 16 << 20  # bytes, random; repeated, with the file's number in front of each
_OTHERS = ("openssl", "b3sum")
_INTRO = """Written by `make bench-verify VERIFY='--write'`; do not edit.

{size} of random bytes in {files} files, all in the page cache. `fetcher verify` hashes with blake3 over all cores
against the chunk lists of the store; `--sha256` believes the lock's hash only.
"""


def main() -> None:
    """Measure and print; with --write, into VERIFY.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verify", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=float, default=4, help="GiB in all")
    parser.add_argument("--quick", action="store_true", help="1 GiB and 3 rounds, for a look")
    parser.add_argument("--work", type=Path, help="where the files are made, and kept for the next run")
    parser.add_argument("--write", action="store_true", help="write VERIFY.md")
    told = parser.parse_args()
    rounds, size = (3, _GIB) if told.quick else (told.rounds, int(told.size * _GIB))
    missing = [name for name in _OTHERS if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; on Debian: apt-get install {' '.join(missing)}")
    work = told.work or Path(tempfile.mkdtemp(prefix="fetcher-verify-"))
    try:
        require_room(work, size)
        contest = make(work.absolute(), size)
        times = take_turns(contest, rounds)
        title = contest.title
        intro = _INTRO.format(size=title, files=_FILES)
        text = page("Proving what is there", intro, goals(times), {title: times}, work=work)
        print(text)
        if told.write:
            (_HERE / "VERIFY.md").write_text(text, encoding="utf-8")
    finally:
        if told.work is None:
            shutil.rmtree(work)


def require_room(work: Path, size: int) -> None:
    """Refuse what would measure the disk instead of the hashing.

    Raises:
        SystemExit: The files fit on no disk, or not into memory.
    """
    work.mkdir(parents=True, exist_ok=True)
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) << 10
    if free < 1.25 * size:
        raise SystemExit(
            f"{free / _GIB:.1f} GiB of memory are free, and {size / _GIB:g} GiB must stay in the page cache"
        )
    if shutil.disk_usage(work).free < 1.25 * size:
        raise SystemExit(f"{work} has no room for {size / _GIB:g} GiB")


def make(work: Path, size: int) -> Contest:
    """Make the files, and have them proven once, so that there are chunk lists."""
    environment = environment_of(work)
    folder = once(work / f"verify-{size}", lambda folder: _place(folder, size, environment))
    files = [f"models/large/{number}.bin" for number in range(_FILES)]
    return Contest(
        title=f"{size / _GIB:g} GiB",
        folder=folder,
        commands={
            "fetcher verify": [FETCHER, "verify"],
            "openssl dgst -sha256": ["openssl", "dgst", "-sha256", *files],
            "b3sum": ["b3sum", *files],
            "fetcher verify --sha256": [FETCHER, "verify", "--sha256"],
        },
        environment=environment,
    )


def _place(folder: Path, size: int, environment: dict[str, str]) -> None:
    target = folder / "models/large"
    target.mkdir(parents=True)
    Path(environment["FETCHER_STORE"]).mkdir(exist_ok=True)  # where the chunk lists are kept
    files = [_write(target / f"{number}.bin", size // _FILES, number) for number in range(_FILES)]
    declare(folder, [model_of("large", files)])
    for command in ("verify", "sync"):  # chunk lists, and an index as every project has it
        subprocess.run([FETCHER, command, "-q"], cwd=folder, env=environment, check=True)


def _write(path: Path, size: int, number: int) -> LockedFile:
    sha256 = hashlib.sha256()
    block = memoryview(number.to_bytes(8, "little") + os.urandom(_BLOCK - 8))
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            piece = block[: size - start]
            file.write(piece)
            sha256.update(piece)
    path.chmod(0o444)  # as sync places them
    return LockedFile(path=RepoPath(path.name), sha256=Sha256(sha256.hexdigest()), size=size)


def goals(times: Times) -> list[Goal]:
    """What was to be reached, of what was measured."""
    ms = {name: statistics.median(runs) for name, runs in times.items()}
    return [
        Goal(
            says="the speed of `openssl dgst -sha256`",
            measured=ms["openssl dgst -sha256"] / ms["fetcher verify"],
            bound=2.5,
            is_least=True,
        ),
        Goal(says="the time of `b3sum`", measured=ms["fetcher verify"] / ms["b3sum"], bound=1.3),
    ]


if __name__ == "__main__":
    main()
