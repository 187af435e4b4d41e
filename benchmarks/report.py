"""What was measured, as Markdown.  Every figure comes from the runs; nothing is typed in."""

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.data import GIB, MIB
from benchmarks.run import Measured, Result
from benchmarks.scenarios import GOALS, LINES, MOST_MEMORY, Goal

_WORTH_A_RATE = 128 * MIB  # below, the start of the program is most of it
_HOW = """\
Whole processes, from start to end, taking turns (A B C A B C …); medians, with the fastest and the slowest run.
Each starts with a new home, new caches and no files; the server's files were read just before, so that they are in
the page cache. Server and client share the machine. After each run every file's sha256 was compared, outside of the
time; "checks" says which clients compare it themselves, within theirs. hf runs without xet. The bare loop is no
downloader: it is the least that Python can do for a file (benchmarks/bare.py), and shows what this machine allows. CPU
is user and system time of the client alone, peak memory its largest resident set in any run (below about 10 MiB
cannot be seen)."""


def table(measured: Measured) -> str:
    """One scenario as a table."""
    told = measured.scenario.connections
    note = f", told {told} connections" if told else ""
    head = f"### {measured.data.spec.title}, {LINES[measured.scenario.line]}{note}\n\n"
    head += "| client | checks sha256 | wall s | min to max | × curl | fetcher is | CPU s | CPU s/GiB | peak MB |\n"
    head += "|---|---|---:|---:|---:|---:|---:|---:|---:|\n"
    rows = "".join(f"{_row(measured, result)}\n" for result in measured.results)
    if measured.disk_s is not None:
        rows += f"\nThe same files from one loop that only writes, just before: {measured.disk_s:.2f} s.\n"
    return head + rows


def goals(all_measured: Sequence[Measured]) -> str:
    """What was to be reached, and what was."""
    rows = [*_goal_rows(all_measured), _memory_row(all_measured)]
    return "| scenario | fetcher is to be | measured | reached |\n|---|---|---:|---|\n" + "".join(rows)


def page(all_measured: Sequence[Measured], facts: Mapping[str, str], *, date: str, rounds: int, plot: str) -> str:
    """The whole of RESULTS.md."""
    machine = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    loads = ", ".join(f"{measured.load:.1f}" for measured in all_measured)
    parts = [
        "# Results\n\nWritten by `make bench BENCH='--write'`; do not edit.\n",
        f"- Date: {date}\n- Runs: {rounds} of each\n{machine}- Load before each scenario: {loads}\n",
        _HOW + "\n",
        f"![Wall time of each client in each scenario]({plot})\n",
        "## Goals\n",
        goals(all_measured),
        "## Scenarios\n",
        *(table(measured) for measured in all_measured),
    ]
    return "\n".join(parts)


def _row(measured: Measured, result: Result) -> str:
    name = result.peer.name
    checks = "yes" if result.peer.checks_sha256 else "no"
    if result.failure:
        return f"| {name} | {checks} | failed: {result.failure.replace('|', '/')} | | | | | | |"
    walls = [cost.wall_s for cost in result.costs]
    cells = [
        name,
        checks,
        f"{result.wall_s:.2f}",
        f"{min(walls):.2f} to {max(walls):.2f}",
        _times(measured.share(name, "curl")),
        "" if name == "fetcher" else _faster(measured.share("fetcher", name)),
        f"{result.cpu_s:.2f}",
        f"{result.cpu_s / measured.data.size * GIB:.2f}" if measured.data.size >= _WORTH_A_RATE else "",
        f"{result.peak / 1e6:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _times(share: float | None) -> str:
    return f"{share:.2f}" if share else ""


def _faster(share: float | None) -> str:
    return f"{1 / share:.2f} × as fast" if share else ""


def _goal_rows(all_measured: Sequence[Measured]) -> Iterator[str]:
    by_name = {measured.scenario.name: measured for measured in all_measured}
    for goal in GOALS:
        if measured := by_name.get(goal.scenario):
            yield _goal_row(goal, measured)


def _goal_row(goal: Goal, measured: Measured) -> str:
    share = measured.share(goal.client, goal.peer, goal.measure)
    what = f"{measured.data.spec.title}, {LINES[measured.scenario.line]}"
    if share is None:
        return f"| {what} | {goal.text()} | – | not measured |\n"
    return f"| {what} | {goal.text()} | {goal.reached(share)} | {'yes' if share <= goal.share else 'NO'} |\n"


def _memory_row(all_measured: Sequence[Measured]) -> str:
    found = [result for measured in all_measured if (result := measured.result("fetcher"))]
    limit = f"| all | ≤ {MOST_MEMORY / 1e6:.0f} MB peak memory |"
    if not found:
        return f"{limit} – | not measured |\n"
    peak = max(result.peak for result in found)
    return f"{limit} {peak / 1e6:.0f} MB | {'yes' if peak <= MOST_MEMORY else 'NO'} |\n"
