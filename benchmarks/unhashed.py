"""`fetcher` with hashers that do nothing: `python -m benchmarks.unhashed sync …`.

Only to see what hashing costs; what it fetched is compared by the benchmark afterwards.
"""

from dataclasses import dataclass, replace

from fetcher import road
from fetcher.core.digest import Sha256
from fetcher.disk.hashing import Hashing
from fetcher.transfer import TransferSettings


@dataclass(frozen=True, slots=True)
class _Nothing:
    """Says what it was told to say."""

    digest: str

    def update(self, data: memoryview, /) -> None:
        """Look away."""

    def hexdigest(self) -> str:
        """What was expected."""
        return self.digest

    def copy(self) -> "_Nothing":
        """One in the same state."""
        return self


def _whole(locked: Sha256) -> _Nothing:
    return _Nothing(locked)


def _piece() -> _Nothing:
    return _Nothing("0" * 64)


def main() -> None:
    """Run the command line."""
    from fetcher.__main__ import main as run

    usual = road.transfer_settings

    def settings(*given: object, **named: object) -> TransferSettings:
        return replace(usual(*given, **named), hashing=Hashing(whole=_whole, piece=_piece))  # type: ignore[arg-type]

    road.transfer_settings = settings  # the one seam that a user does not have
    run()


if __name__ == "__main__":
    main()
