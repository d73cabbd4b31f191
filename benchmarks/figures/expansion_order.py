"""Order of the expansion: how the error of each truncated flow falls with the distance from the base point.

`python benchmarks/figures/expansion_order.py` expands linear, feedforward, attention-only models around the origin, a
decoder around its initial parameters, prints slopes beside the next degree of the flow, writes figure and table, and
exits non-zero where a slope is off by more than 0.1; about 1 minute on two idle cores, `--size tiny` a quarter.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.small.expansion_order import STUDY, ExpansionOrder, Slopes

COLUMNS = 4


def draw(result: ExpansionOrder, figure: Figure) -> None:
    figure.set_size_inches(16, 8)
    grid = figure.subplots(-(-len(result.cases) // COLUMNS), COLUMNS)
    for axes, (name, found) in zip(grid.ravel(), result.cases.items(), strict=False):
        panel(axes, name, found)
    grid.ravel()[0].legend(fontsize=7)


def panel(axes: Axes, name: str, found: Slopes) -> None:
    for colour, (order, errors) in zip(COLOURS, found.errors.items(), strict=False):
        band(axes, found.scales, errors, f"order {order}", colour, "o-")
        axes.lines[-1].set_markersize(3)
        power = (found.scales / found.scales[0]) ** found.next_degree(order)
        axes.plot(found.scales, errors[:, 0].mean() * power, ":", color=colour, linewidth=1)
        slope = found.slopes(order).mean()
        end = (found.scales[-1], errors[:, -1].mean())
        axes.annotate(f"{slope:.2f}", end, (0, 6), textcoords="offset points", fontsize=7, color=colour)
    band(axes, found.scales, found.null, "highest order, shuffled labels", "grey", "--")
    axes.set(xscale="log", yscale="log", xlabel="displacement")
    axes.set_xticks([0.003, 0.01, 0.03], ["0.003", "0.01", "0.03"])
    axes.minorticks_off()
    axes.set_title(name, fontsize=8)
    axes.grid(alpha=0.3)
    axes.set_xlim(found.scales.min() / 1.3, found.scales.max() * 1.3)
    axes.set_ylim(max(1e-18, np.min(list(found.errors.values())) / 3), None)


if __name__ == "__main__":
    main(STUDY, draw)
