"""The ladder of theories: error of each rung against the exact flow, and how long each holds.

`python benchmarks/figures/ladder.py` prints the errors of the linear model's rungs on the addition task and their
horizons over initial scales, and writes table and figure; about 5 minutes on two cores, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.small.ladder import RUNGS, STUDY, Ladder


def draw(result: Ladder, figure: Figure) -> None:
    figure.set_size_inches(12, 5)
    left, right = figure.subplots(1, 2)
    errors_panel(left, result)
    horizon_panel(right, result)


def errors_panel(axes: Axes, result: Ladder) -> None:
    for number, (curve, errors) in enumerate(result.errors.items()):
        style = "-" if curve in RUNGS else "--"
        band(axes, result.times[1:], errors[:, 1:], curve, COLOURS[number % len(COLOURS)], style)
    axes.set(yscale="log", xlabel="flow time / t1", ylabel="relative error of the state (E and U)")
    axes.set_title(f"against the exact flow, t1 = ln(1/init) / S1 = {result.plateau:.0f}")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def horizon_panel(axes: Axes, result: Ladder) -> None:
    for colour, (rung, found) in zip(COLOURS, result.horizons.items(), strict=False):
        scales = np.array(list(found))
        values = np.minimum(np.array(list(found.values())), result.setting.window).T
        band(axes, scales, values, rung, colour, "o-")
    axes.axhline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="initial scale", ylabel="horizon / t1 (skill < 0.9)", ylim=(0, None))
    axes.invert_xaxis()
    axes.set_title("until when each rung holds")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
