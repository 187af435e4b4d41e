"""What is measured, and what fetcher is to reach in it.  Values only.

A scenario is a data set over a line; a goal is fetcher's wall time as a share of another
client's in the same run, because absolute figures drift on a shared machine and ratios
in one run hold.
"""

from dataclasses import dataclass

BARE = ("bare loop", "bare loop, no hash")  # the least that Python can do; for one file
EVERYBODY = ("fetcher", "no hash", *BARE, "curl", "aria2c", "wget", "modelscope", "hf")
QUICK_ONES = ("fetcher", "curl", "aria2c")
LONG_ONES = ("fetcher", "no hash", "curl")
HASHING_ONES = ("fetcher", "curl", "aria2c", "wget", "modelscope", "hf")
LIMITED_ONES = ("fetcher", "no hash", "curl", "aria2c")  # the others have one connection, as curl has
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
    """A client's wall time, or CPU time, is to be at most `share` of `peer`'s."""

    scenario: str
    peer: str
    share: float
    client: str = "fetcher"
    measure: str = "wall"

    def text(self) -> str:
        """Such as `≤ 0.8 × curl's time`, or from twice as fast on `≥ 3 × as fast as hf`."""
        if self.measure == "cpu":
            return f"≤ {self.share:.3g} × {self.peer}'s CPU time{self._who}"
        if self.share < 0.6 and not self._who:
            return f"≥ {1 / self.share:.3g} × as fast as {self.peer}"
        return f"≤ {self.share:.3g} × {self.peer}'s time{self._who}"

    @property
    def _who(self) -> str:
        return "" if self.client == "fetcher" else f" ({self.client})"

    def reached(self, share: float) -> str:
        """A measured share in the same words."""
        is_speed = self.share < 0.6 and not self._who and self.measure == "wall"
        return f"{1 / share:.2f} × as fast" if is_speed else f"{share:.2f} ×"


SCENARIOS = (
    Scenario(name="one-plain", data="one", line="plain"),
    Scenario(name="one-tls", data="one", line="tls"),
    Scenario(name="eight-plain", data="eight", line="plain", peers=HASHING_ONES),
    Scenario(name="eight-tls", data="eight", line="tls", peers=HASHING_ONES),
    Scenario(name="many-plain", data="many", line="plain", peers=HASHING_ONES),
    # One request after the other, as the others work, would take minutes here.
    Scenario(name="many-delay", data="many", line="delay", peers=QUICK_ONES, connections=64),
    Scenario(name="limited", data="limited", line="limited", peers=LIMITED_ONES, connections=16),
    Scenario(name="limited-long", data="long", line="limited", peers=LONG_ONES, connections=16),
)
HUGE = Scenario(name="huge", data="huge", line="plain", peers=("fetcher",))

GOALS = (
    Goal(scenario="one-plain", peer="curl", share=0.8),
    Goal(scenario="one-plain", peer="hf", share=1 / 3),
    Goal(scenario="one-plain", peer="curl", share=0.5, client="no hash"),
    Goal(scenario="one-plain", peer="curl", share=0.5, client="no hash", measure="cpu"),
    Goal(scenario="one-tls", peer="curl", share=0.7, client="no hash"),
    Goal(scenario="one-tls", peer="curl", share=0.7, client="no hash", measure="cpu"),
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
    Goal(scenario="limited-long", peer="curl", share=1 / 10),
    Goal(scenario="limited-long", peer="no hash", share=1.02),
)

LINES = {
    "plain": "plain HTTP",
    "tls": "TLS",
    "delay": "plain HTTP, 50 ms round trip",
    "limited": "plain HTTP, 20 MB/s a connection, 50 ms round trip",
}
