"""`python -m benchmarks`: fetcher beside other downloaders, on this machine.

Prints Markdown tables on stdout and one line a run on stderr.  RESULTS.md and its plot
are written by `--write` only, and only from a run of all scenarios at full size, so
nothing in them was ever put together from different runs.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import data, machine, peers, report, scenarios
from benchmarks.data import DataSet, Spec
from benchmarks.run import Bench, Measured, now_utc
from benchmarks.scenarios import Scenario
from benchmarks.server import serving

_HERE = Path(__file__).parent
_LEAST_ROUNDS = 5  # for figures that are written down
_WRITES = 2.5  # times a set's size: a store and a target at most, and some air
_FETCHER_WRITES = 1.05  # what only fetcher downloads is once on the disk


def main() -> None:
    """Measure and tell."""
    options = _options()
    _refuse_untrue_results(options)
    peers.require_programs()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped
    work = Path(options.work).resolve()
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    chosen_scenarios = _scenarios(options)
    sets = _sets(options, chosen_scenarios, work)
    all_measured = _measured(options, chosen_scenarios, sets, work)
    if options.write:
        _write(all_measured, work, options.rounds)
    if any(result.failure for measured in all_measured for result in measured.results):
        sys.exit(1)


def _options() -> argparse.Namespace:
    default = Path(tempfile.gettempdir()) / f"fetcher-bench-{os.getuid()}"
    names = [scenario.name for scenario in scenarios.SCENARIOS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="fetcher beside other downloaders")
    add = parser.add_argument
    add("--work", default=default, metavar="DIR", help="where data and downloads go (default: %(default)s)")
    add("--rounds", type=int, metavar="N", help=f"runs of each client (default: {_LEAST_ROUNDS}; 1 with --quick)")
    add("--quick", action="store_true", help="small files, to see that everything works")
    add("--set", action="append", default=[], metavar="NAME=COUNTxSIZE", help="another size, such as one=1x64MiB")
    add("--scenario", action="append", choices=names, help="only this one; may be repeated")
    add("--peer", action="append", choices=scenarios.EVERYBODY, help="only this client; may be repeated")
    add("--huge", action="store_true", help="also 60 GiB through fetcher alone, to see that memory stays flat")
    add("--timeout", type=int, default=900, metavar="S", help="seconds after which a run has failed")
    add("--write", action="store_true", help="write RESULTS.md and its plot")
    add("--plot", metavar="FILE", help="draw a plot of whatever was measured")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else _LEAST_ROUNDS)
    return options


def _refuse_untrue_results(options: argparse.Namespace) -> None:
    partial = options.quick or options.set or options.scenario or options.peer or options.rounds < _LEAST_ROUNDS
    if options.write and partial:
        raise SystemExit(f"--write needs all scenarios and clients at full size, {_LEAST_ROUNDS} rounds or more.")
    if (options.write or options.plot) and find_spec("matplotlib") is None:
        raise SystemExit("A plot is drawn by matplotlib, which is not installed: make .venv/.bench")


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    chosen = [one for one in scenarios.SCENARIOS if not options.scenario or one.name in options.scenario]
    return [*chosen, *([scenarios.HUGE] if options.huge else [])]


def _sets(options: argparse.Namespace, chosen: Sequence[Scenario], work: Path) -> dict[str, DataSet]:
    """The data of all chosen scenarios, made now if need be."""
    specs = {spec.name: spec for spec in (data.QUICK if options.quick else data.FULL)}
    for text in options.set:
        name, _, size = text.partition("=")
        if name not in specs:
            raise SystemExit(f"There is no set {name!r}; there are {', '.join(specs)}.")
        try:
            specs[name] = data.parse_spec(size, specs[name])
        except ValueError as error:
            raise SystemExit(f"--set {text}: {error}") from None
    wanted = [specs[name] for name in dict.fromkeys(one.data for one in chosen)]
    _require_room(wanted, work)
    print("preparing the files …", file=sys.stderr, flush=True)
    return {spec.name: data.ensure(spec, work / "data") for spec in [data.WARM, *wanted]}


def _require_room(specs: Sequence[Spec], work: Path) -> None:
    """Stop before anything is written if it would not fit."""
    kept = sum(spec.count * spec.size for spec in specs if not spec.sparse)
    written = max((_times_written(spec) * spec.count * spec.size for spec in specs), default=0)
    needed, free = int(kept + written), shutil.disk_usage(work).free
    if free < needed:
        raise SystemExit(
            f"Not enough room in {work}.\n  needed: {needed >> 20} MiB\n  free: {free >> 20} MiB\n"
            "  fix: name another folder with --work"
        )


def _times_written(spec: Spec) -> float:
    return _FETCHER_WRITES if spec.name == scenarios.HUGE.data else _WRITES


def _measured(
    options: argparse.Namespace, chosen: Sequence[Scenario], sets: dict[str, DataSet], work: Path
) -> list[Measured]:
    clients = [peer for peer in peers.ALL if not options.peer or peer.name in options.peer]
    all_measured: list[Measured] = []
    with serving(list(sets.values()), work) as servers:
        bench = Bench(servers=servers, work=work, timeout_s=options.timeout)
        try:
            bench.warm(sets[data.WARM.name], clients)
            for scenario in chosen:
                measured = bench.measure(scenario, sets[scenario.data], rounds=options.rounds, chosen=clients)
                all_measured.append(measured)
                print(report.table(measured), flush=True)
        finally:
            bench.clear()
    if not (options.quick or options.set):  # the goals are for the full sizes
        print(report.goals(all_measured))
    if options.plot:
        _draw(all_measured, Path(options.plot))
    return all_measured


def _write(all_measured: Sequence[Measured], work: Path, rounds: int) -> None:
    _draw(all_measured, _HERE / "results.png")
    text = report.page(
        all_measured, machine.describe(work, peers.ALL), date=now_utc(), rounds=rounds, plot="results.png"
    )
    (_HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    print(f"written: {_HERE.name}/RESULTS.md and results.png", file=sys.stderr)


def _draw(all_measured: Sequence[Measured], file: Path) -> None:
    from benchmarks.plot import draw  # only here: it takes a second and 60 MB

    draw(all_measured, file)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
