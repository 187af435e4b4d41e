"""What a run knows of a host."""

from fetcher.core.connections import Connections
from fetcher.transfer.links import Link


def _drive(link: Link, *, lump_s: float, waits: bool) -> None:
    """Ten seconds of one connection, whose bytes come in lumps and are then taken, or come meanwhile."""
    now = 0.0
    link.at_work = link.flowing = 1
    while now < 10:
        link.came(int(60e6 * lump_s * link.allowed))
        if waits:
            link.keep_waiting(now)
        for _ in range(round(lump_s / 0.05)):
            now += 0.05
            link.look(now, is_wanted=True, is_many=False)
        if waits:
            link.let_go(now)
        link.at_work = link.flowing = link.allowed


def test_a_wait_for_the_disk_counts_while_it_lasts() -> None:
    """A disk that takes a second for each lump would look idle else, and get more to do."""
    pays, held = Link(Connections(most=16)), Link(Connections(most=16))
    _drive(pays, lump_s=0.05, waits=False)
    _drive(held, lump_s=1.0, waits=True)
    assert pays.allowed > 4
    assert held.allowed == 1
