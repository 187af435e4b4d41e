"""What is wanted, what is left over, and which leftover becomes which wanted file.  Pure.

A model that got another name or target, and a file that got another path upstream, are
the same bytes at another spot: a rename, whether or not the store still has them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from fetcher.core.digest import Sha256
from fetcher.core.paths import RepoPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A file of the lock and the spot where it belongs.

    Attributes:
        spot: Path with `/`: relative to the project, or absolute.
        size: Bytes.
        inner: Folders between the target and `path` with `/`, in a library's cache.
        text: What a name that leads to a snapshot says; None for a file of the lock.
        is_link: Whether such a name is a symlink; else it is a file.
    """

    model: str
    path: RepoPath
    spot: str
    sha256: Sha256
    size: int
    inner: str = ""
    text: str | None = None
    is_link: bool = False

    @property
    def is_name(self) -> bool:
        """Whether fetcher writes it itself, to lead to a snapshot."""
        return self.text is not None

    @property
    def below_target(self) -> str:
        """The part of `spot` that is below the target."""
        return f"{self.inner}/{self.path}" if self.inner else self.path

    @property
    def base(self) -> str:
        """The target, as it stands in `spot`: with `/` at its end, or empty."""
        return self.spot.removesuffix(self.below_target)

    @property
    def label(self) -> str:
        """How messages call it: `gpt2/config.json`."""
        return f"{self.model}/{self.path}"


class State(Enum):
    """What stands at a spot."""

    ABSENT = "absent"  # nothing
    RIGHT = "right"  # a regular file with the locked content
    OURS = "ours"  # fetcher wrote it, unchanged since, other content than locked now
    DAMAGED = "damaged"  # fetcher wrote it, nobody touched it, and its bytes have changed
    FOREIGN = "foreign"  # anything else: only the user may decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A file that the index knows and that no longer is wanted; `reason` says why it may have to stay.

    Attributes:
        sha256: Of its bytes, where fetcher wrote them.
    """

    model: str
    spot: str
    state: State
    reason: str = ""
    sha256: Sha256 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """fetcher's own file that is wanted at another spot now; `origin` is where it is."""

    wanted: Wanted
    origin: str


def pair_moves(wanted: Iterable[Wanted], leftovers: Iterable[Leftover]) -> tuple[Move, ...]:
    """Give each wanted file whose spot is free a leftover with its bytes, each leftover once."""
    spare: dict[Sha256, list[str]] = {}
    for leftover in leftovers:
        if leftover.sha256 is not None:
            spare.setdefault(leftover.sha256, []).append(leftover.spot)
    found = []
    for item in wanted:
        origins = spare.get(item.sha256)
        if origins:
            found.append(Move(wanted=item, origin=origins.pop(0)))
    return tuple(found)
