"""What is measured, and what fetcher is to reach in it.  Values only.

A scenario is a data set over a line; a goal is fetcher's wall time as a share of another
client's in the same run, because absolute figures drift on a shared machine and ratios
in one run hold.
"""

from dataclasses import dataclass

EVERYBODY = ("fetcher", "curl", "aria2c", "wget", "modelscope", "hf")
QUICK_ONES = ("fetcher", "curl", "aria2c")
MOST_MEMORY = 120_000_000  # bytes; fetcher's peak, whatever the size


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One comparison.

    Attributes:
        data: Name of the set.
        line: plain, tls, delay (50 ms) or limited (50 ms, 20 MB/s a connection).
        connections: Told to every client that can be told; None: their defaults.
    """

    name: str
    data: str
    line: str
    peers: tuple[str, ...] = EVERYBODY
    connections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """fetcher's wall time is to be at most `share` of `peer`'s."""

    scenario: str
    peer: str
    share: float

    def text(self) -> str:
        """Such as `≤ 0.8 × curl's time`, or from twice as fast on `≥ 3 × as fast as hf`."""
        if self.share < 0.6:
            return f"≥ {1 / self.share:.3g} × as fast as {self.peer}"
        return f"≤ {self.share:.3g} × {self.peer}'s time"

    def reached(self, share: float) -> str:
        """A measured share in the same words."""
        return f"{1 / share:.2f} × as fast" if self.share < 0.6 else f"{share:.2f} ×"


SCENARIOS = (
    Scenario(name="one-plain", data="one", line="plain"),
    Scenario(name="one-tls", data="one", line="tls"),
    Scenario(name="eight-plain", data="eight", line="plain"),
    Scenario(name="eight-tls", data="eight", line="tls"),
    Scenario(name="many-plain", data="many", line="plain"),
    Scenario(name="many-tls", data="many", line="tls"),
    # One request after the other, as the others work, would take minutes here.
    Scenario(name="many-delay", data="many", line="delay", peers=QUICK_ONES, connections=64),
    Scenario(name="limited", data="limited", line="limited", connections=16),
)
HUGE = Scenario(name="huge", data="huge", line="plain", peers=("fetcher",))

GOALS = (
    Goal(scenario="one-plain", peer="curl", share=0.8),
    Goal(scenario="one-plain", peer="hf", share=1 / 3),
    Goal(scenario="one-tls", peer="curl", share=1.0),
    Goal(scenario="one-tls", peer="aria2c", share=0.9),
    Goal(scenario="one-tls", peer="wget", share=0.9),
    Goal(scenario="one-tls", peer="modelscope", share=1 / 3),
    Goal(scenario="one-tls", peer="hf", share=1 / 3),
    Goal(scenario="eight-plain", peer="curl", share=0.75),
    Goal(scenario="eight-tls", peer="modelscope", share=1 / 4),
    Goal(scenario="eight-tls", peer="hf", share=1 / 2),
    Goal(scenario="many-plain", peer="aria2c", share=1 / 1.3),
    Goal(scenario="many-plain", peer="modelscope", share=1 / 20),
    Goal(scenario="many-plain", peer="hf", share=1 / 30),
    Goal(scenario="many-delay", peer="curl", share=1.2),
    Goal(scenario="limited", peer="curl", share=1 / 10),
    Goal(scenario="limited", peer="aria2c", share=1 / 1.7),
)

LINES = {
    "plain": "plain HTTP",
    "tls": "TLS",
    "delay": "plain HTTP, 50 ms round trip",
    "limited": "plain HTTP, 20 MB/s a connection, 50 ms round trip",
}
