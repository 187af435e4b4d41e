"""The same figures as a picture: one panel a scenario, a bar a client, the medians' wall time."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.run import Measured
from benchmarks.scenarios import LINES

_COLUMNS = 2
_OURS, _OTHERS, _WHISKER = "#1f6feb", "#b7bec8", "#57606a"


def draw(all_measured: Sequence[Measured], file: Path) -> None:
    """Write the picture to `file` (PNG)."""
    rows = -(-len(all_measured) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(12, 2.5 * rows), squeeze=False, layout="constrained")
    for measured, axis in zip(all_measured, axes.flat, strict=False):
        _panel(axis, measured)
    for axis in axes.flat[len(all_measured) :]:
        axis.set_visible(False)
    figure.suptitle("Wall time in seconds, median; whiskers: fastest and slowest run. Shorter is better.", fontsize=11)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def _panel(axis: Axes, measured: Measured) -> None:
    results = [result for result in measured.results if not result.failure]
    walls = [result.wall_s for result in results]
    low = [result.wall_s - min(cost.wall_s for cost in result.costs) for result in results]
    high = [max(cost.wall_s for cost in result.costs) - result.wall_s for result in results]
    names = [result.peer.name + (" *" if result.peer.checks_sha256 else "") for result in results]
    colours = [_OURS if result.peer.name == "fetcher" else _OTHERS for result in results]
    bars = axis.barh(names, walls, color=colours, xerr=(low, high), ecolor=_WHISKER, capsize=2)
    axis.bar_label(bars, [f"{wall:.2f}" for wall in walls], padding=6, fontsize=8)
    axis.invert_yaxis()
    axis.margins(x=0.14)
    axis.set_xlim(left=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    told = measured.scenario.connections
    note = f"\n({told} connections)" if told else ""
    title = f"{measured.data.spec.title}, {LINES[measured.scenario.line]}{note}"
    axis.set_title(title, fontsize=9, loc="left")
    axis.set_xlabel("* checks sha256 itself", fontsize=7, loc="right")
