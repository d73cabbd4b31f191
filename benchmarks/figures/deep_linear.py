"""Deep linear networks: modes in closed form against the flow, and levels of a tree learned one after the other.

`python benchmarks/figures/deep_linear.py` prints how networks of one to three layers learn a tree's levels and how well
theories of a random start do, and writes tables and figure; about 2 minutes on two cores, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.small.deep_linear import DEEP, SHALLOW, STUDY, DeepLinearResult


def draw(result: DeepLinearResult, figure: Figure) -> None:
    figure.set_size_inches(16, 5)
    left, middle, right = figure.subplots(1, 3)
    levels_panel(left, result, DEEP)
    for level, series in enumerate(result.sigmoids.T):
        label = None if level else "closed form, seed 1"
        left.plot(result.levels[DEEP].times, series, ":", color="black", label=label)
    left.legend(fontsize=8)
    levels_panel(middle, result, SHALLOW)
    middle.legend(fontsize=8)
    starts_panel(right, result)


def levels_panel(axes: Axes, result: DeepLinearResult, name: str) -> None:
    run = result.levels[name]
    for level, colour in zip(range(run.shares.shape[2]), COLOURS, strict=False):
        band(axes, run.times, run.shares[:, :, level], f"level {level}" if level else "root", colour)
    overlap = run.measures()["overlap"]
    axes.set(xlabel="flow time", ylabel="learned share of the level", xlim=(0, run.times[-1]))
    axes.set_title(f"{name}: next level {overlap.min():.2f} .. {overlap.max():.2f} learned at a half-time", fontsize=10)
    axes.grid(alpha=0.3)


def starts_panel(axes: Axes, result: DeepLinearResult) -> None:
    for (name, row), colour in zip(result.starts.items(), COLOURS, strict=False):
        band(axes, np.array(list(row)), np.array(list(row.values())).T, name, colour, "o-")
    axes.set(xscale="log", yscale="log", xlabel="initial scale", ylabel="largest error of the map / its final size")
    axes.invert_xaxis()
    axes.set_title("theories of a random start, two layers", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
