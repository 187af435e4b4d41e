"""The files that are downloaded: the same bytes on every machine, with their sha256.

Not in here: who serves them (server.py) and how they are listed (hub.py).  A set that is
already there with the right sizes is used again; what a client received is always
compared with the hashes that were taken when the set was made.
"""

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
LFS_FROM = 1 << 20  # bytes; from here on hubs keep a file outside git and redirect to it

_UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """How a set is made: `count` files of `size` bytes; sparse ones hold zeros and take no room."""

    name: str
    count: int
    size: int
    sparse: bool = False

    @property
    def title(self) -> str:
        """Such as `8 × 256 MiB`."""
        return f"{self.count:,} × {size_text(self.size)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file of a set; its name is flat and needs no escapes in a URL."""

    name: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A set on disk."""

    spec: Spec
    folder: Path
    files: tuple[DataFile, ...]

    @property
    def name(self) -> str:
        """The set's name, also that of its repository on the hub."""
        return self.spec.name

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def is_lfs(self) -> bool:
        """Whether hubs would keep these files outside git."""
        return self.spec.size >= LFS_FROM


FULL = (
    Spec(name="one", count=1, size=2 * GIB),
    Spec(name="eight", count=8, size=256 * MIB),
    Spec(name="many", count=2000, size=16 * KIB),
    Spec(name="limited", count=1, size=256 * MIB),
    Spec(name="long", count=1, size=GIB),
    Spec(name="huge", count=1, size=60 * GIB, sparse=True),
)
QUICK = (
    Spec(name="one", count=1, size=96 * MIB),
    Spec(name="eight", count=8, size=4 * MIB),
    Spec(name="many", count=100, size=16 * KIB),
    Spec(name="limited", count=1, size=16 * MIB),
    Spec(name="long", count=1, size=32 * MIB),
    Spec(name="huge", count=1, size=256 * MIB, sparse=True),
)
WARM = Spec(name="warm", count=2, size=4 * KIB)  # fetched once by every client before anything counts


def size_text(size: int) -> str:
    """Such as `16 KiB`; exact where that is possible."""
    for unit, factor in reversed(_UNITS.items()):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} B"


def parse_spec(text: str, known: Spec) -> Spec:
    """`8x256MiB` as the new count and size of a set.

    Raises:
        ValueError: It is not COUNTxSIZE.
    """
    match = re.fullmatch(r"(\d+)x(\d+)(KiB|MiB|GiB)", text)
    if not match or int(match[1]) < 1:
        raise ValueError(f"{text!r} is not a count and a size such as 8x256MiB")
    return Spec(name=known.name, count=int(match[1]), size=int(match[2]) * _UNITS[match[3]], sparse=known.sparse)


def ensure(spec: Spec, root: Path) -> DataSet:
    """The set below `root`, made if it is not there yet."""
    folder, listing = root / spec.name, root / f"{spec.name}.json"
    files = _known(spec, folder, listing)
    if files is None:
        shutil.rmtree(folder, ignore_errors=True)
        listing.unlink(missing_ok=True)
        folder.mkdir(parents=True, mode=0o755)
        files = tuple(_made(folder, name, spec) for name in _names(spec))
        rows = {file.name: [file.size, file.sha256] for file in files}
        listing.write_text(json.dumps(rows, indent=0), encoding="utf-8")
    return DataSet(spec=spec, folder=folder, files=files)


def read_all(data: DataSet) -> None:
    """Bring a set into the page cache, where it has room; a host may have taken parts of it back."""
    if data.spec.sparse:
        return
    buffer = bytearray(MIB)
    for file in data.files:
        with (data.folder / file.name).open("rb", buffering=0) as opened:
            while opened.readinto(buffer):
                pass


def _names(spec: Spec) -> Iterator[str]:
    for number in range(1, spec.count + 1):
        yield f"model-{number:05}-of-{spec.count:05}.safetensors"


def _known(spec: Spec, folder: Path, listing: Path) -> tuple[DataFile, ...] | None:
    """The files of an earlier run, None if they are not those of `spec`."""
    try:
        rows = json.loads(listing.read_text(encoding="utf-8"))
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
    except (OSError, ValueError):
        return None
    if sizes != dict.fromkeys(_names(spec), spec.size) or {name: row[0] for name, row in rows.items()} != sizes:
        return None
    return tuple(DataFile(name=name, size=size, sha256=sha256) for name, (size, sha256) in rows.items())


def _made(folder: Path, name: str, spec: Spec) -> DataFile:
    digest = hashlib.sha256()
    with (folder / name).open("wb") as stream:
        if spec.sparse:
            stream.truncate(spec.size)
        for piece in _pieces(name, spec):
            digest.update(piece)
            if not spec.sparse:
                stream.write(piece)
    return DataFile(name=name, size=spec.size, sha256=digest.hexdigest())


def _pieces(name: str, spec: Spec) -> Iterator[bytes]:
    dice = random.Random(f"{spec.name}/{name}")
    zeros = bytes(MIB)
    for start in range(0, spec.size, MIB):
        length = min(MIB, spec.size - start)
        yield zeros[:length] if spec.sparse else dice.randbytes(length)
