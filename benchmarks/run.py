"""Carries out a scenario: the clients take turns, and every result is checked.

A round is each client once, in the same order (A B C A B C …), so that a slow minute of
the machine meets all of them.  What is measured is the whole process, from its start to
its end; before it all written data is flushed, after it every file's sha256 is compared,
both outside of the time.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from statistics import median

from benchmarks import peers
from benchmarks.data import DataSet, read_all
from benchmarks.peers import Order, Peer
from benchmarks.scenarios import Scenario
from benchmarks.server import Servers

# Removing thousands of files makes later creates on ext4 slower for minutes: wait with it.
_MANY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float  # user and system
    peak: int  # bytes, resident


@dataclass(slots=True, kw_only=True)
class Result:
    """All runs of one client in one scenario; a failure ends them."""

    peer: Peer
    costs: list[Cost] = field(default_factory=list)
    failure: str = ""

    @property
    def wall_s(self) -> float:
        """The median."""
        return median(cost.wall_s for cost in self.costs)

    @property
    def cpu_s(self) -> float:
        """The median."""
        return median(cost.cpu_s for cost in self.costs)

    @property
    def peak(self) -> int:
        """The highest of all runs."""
        return max(cost.peak for cost in self.costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A scenario and what came out.

    Attributes:
        load: The machine's, before it began.
        disk_s: What writing as many small files took just before; None for few files.
    """

    scenario: Scenario
    data: DataSet
    load: float
    disk_s: float | None
    results: tuple[Result, ...]

    def result(self, name: str) -> Result | None:
        """A client's result, None if it has none that counts."""
        found = [result for result in self.results if result.peer.name == name and not result.failure]
        return found[0] if found else None

    def share(self, name: str, of: str, measure: str = "wall") -> float | None:
        """A client's wall time, or CPU time, as a share of another's."""
        one, other = self.result(name), self.result(of)
        if not (one and other):
            return None
        return one.cpu_s / other.cpu_s if measure == "cpu" else one.wall_s / other.wall_s


class Bench:
    """Runs clients against servers, in the work folder.

    Args:
        servers: Where the files are.
        work: Gets `runs/` and `projects/`; both are removed by `clear`.
        timeout_s: After which a run is ended and counted as failed.
    """

    def __init__(self, *, servers: Servers, work: Path, timeout_s: int) -> None:
        self._servers = servers
        self._runs, self._projects = work / "runs", work / "projects"
        self._caches = work / "python"
        self._timeout_s = timeout_s
        self._count = 0
        self.clear()

    def clear(self) -> None:
        """Remove what the runs wrote."""
        for folder in (self._runs, self._projects):
            shutil.rmtree(folder, ignore_errors=True)

    def warm(self, data: DataSet, chosen: Sequence[Peer]) -> None:
        """Let each client run once, so that programs and compiled modules are in memory.

        Raises:
            SystemExit: One of them does not work here.
        """
        for peer in chosen:
            for line in ("plain", "tls"):
                outcome = self._once(peer, Scenario(name="warm", data=data.name, line=line), data)
                if isinstance(outcome, str):
                    raise SystemExit(f"{peer.name} cannot be measured here ({line}).\n{outcome}")

    def measure(self, scenario: Scenario, data: DataSet, *, rounds: int, chosen: Sequence[Peer]) -> Measured:
        """All rounds of one scenario."""
        load, disk_s = os.getloadavg()[0], self._disk_s(data)
        results = tuple(Result(peer=peer) for peer in chosen if peer.name in scenario.peers)
        for number in range(1, rounds + 1):
            for result in results:
                if not result.failure:
                    self._add(result, scenario, data, f"{number}/{rounds}")
        return Measured(scenario=scenario, data=data, load=load, disk_s=disk_s, results=results)

    def _disk_s(self, data: DataSet) -> float | None:
        """Seconds for the same files from one loop: creates can be ten times slower on a disk that others use."""
        if len(data.files) <= _MANY:
            return None
        self._count += 1
        folder = self._runs / f"{self._count:05}"
        folder.mkdir(parents=True)
        os.sync()
        begin_s = time.perf_counter()
        for file in data.files:
            (folder / file.name).write_bytes(bytes(file.size))
        return time.perf_counter() - begin_s

    def _add(self, result: Result, scenario: Scenario, data: DataSet, turn: str) -> None:
        outcome = self._once(result.peer, scenario, data)
        if isinstance(outcome, Cost):
            result.costs.append(outcome)
            said = f"{outcome.wall_s:8.2f} s wall  {outcome.cpu_s:7.2f} s CPU  {outcome.peak / 1e6:6.0f} MB"
        else:
            result.failure = outcome
            said = f"FAILED: {outcome}"
        print(f"{scenario.name:<12} {turn:>5}  {result.peer.name:<11}{said}", file=sys.stderr, flush=True)

    def _once(self, peer: Peer, scenario: Scenario, data: DataSet) -> Cost | str:
        """One run: its cost, or why it does not count."""
        self._count += 1
        folder = self._runs / f"{self._count:05}"
        folder.mkdir(parents=True)
        order = Order(
            data=data,
            url=self._servers.urls[scenario.line],
            authority=self._servers.authority,
            connections=scenario.connections,
            folder=folder,
            project=self._project(data),
        )
        outcome = self._timed(peer, order)
        if isinstance(outcome, Cost):
            outcome = _wrong(order) or outcome
        if len(data.files) <= _MANY:
            shutil.rmtree(folder)
        return outcome

    def _timed(self, peer: Peer, order: Order) -> Cost | str:
        surroundings = peers.environment(order, self._caches)
        start = peer.start(order)
        report, log = order.folder / "cost.json", order.folder / "log.txt"
        starter = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
        read_all(order.data)
        os.sync()
        with log.open("wb") as said:
            _run(
                [*starter, str(report), str(self._timeout_s), *start.command],
                environment={**surroundings, **start.environment},
                output=said.fileno(),
                timeout_s=self._timeout_s + 60,
            )
        if not report.exists():
            return f"it could not be started: {_last_words(log)}"
        cost = json.loads(report.read_text(encoding="utf-8"))
        if cost["exit"] != 0:
            return f"exit {cost['exit']}: {_last_words(log)}"
        return Cost(wall_s=cost["wall_s"], cpu_s=cost["cpu_s"], peak=cost["peak"])

    def _project(self, data: DataSet) -> Path:
        """A project of fetcher with the set locked; made once."""
        project = self._projects / data.name
        if not project.exists():
            peers.write_manifest(project, data)
            surroundings = {**os.environ, "MODELSCOPE_ENDPOINT": self._servers.urls["plain"]}
            done = subprocess.run(
                peers.lock_command(project), env=surroundings, check=False, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"fetcher could not lock the set {data.name}.\n{done.stderr}")
        return project


def _run(command: Sequence[str], *, environment: dict[str, str], output: int, timeout_s: float) -> None:
    """Run to the end, or end it and all that it started."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    try:
        process.wait(timeout_s)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wrong(order: Order) -> str:
    """What is wrong with the files that a client left, "" if nothing is."""
    for file in order.data.files:
        try:
            with (order.target / file.name).open("rb") as stream:
                if file_digest(stream, "sha256").hexdigest() != file.sha256:
                    return f"wrong bytes in {file.name}"
        except FileNotFoundError:
            return f"{file.name} is missing"
    return ""


def _last_words(log: Path) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(encoding="utf-8", errors="replace"))
    return " / ".join(line.strip() for line in text.strip().splitlines()[-3:])[-400:]


def now_utc() -> str:
    """The date of the run."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
