"""Until when truncated theories hold: the horizon predicted from theory alone against the observed one.

`python benchmarks/figures/horizon.py` predicts and observes the horizon of every theory of a grid of tasks, models,
initial scales and orders, and writes the figure, a table of the misses with their causes and one of easier predictors;
about 10 minutes on one core, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.small.horizon import STUDY, Horizons
from jaxembed.studies.small.horizon_errors import FACTOR, TheoryHorizon

MARKERS = {1: "o", 2: "s", 3: "^", 4: "D"}


def draw(result: Horizons, figure: Figure) -> None:
    figure.set_size_inches(12, 5.5)
    left, right = figure.subplots(1, 2)
    models = list(dict.fromkeys(theory.model for theory in result.theories))
    colours = dict(zip(models, COLOURS, strict=False))
    for theory in result.theories:
        points(left, theory, colours[theory.model], theory.observed, theory.predicted)
        efolds = ((x - theory.plateau) / theory.efold for x in (theory.observed, theory.predicted))
        points(right, theory, colours[theory.model], *efolds)
    finish_times(left)
    finish_efolds(right)
    legend(left, colours, sorted({theory.order for theory in result.theories}))


def points(axes: Axes, theory: TheoryHorizon, colour: str, observed: np.ndarray, predicted: np.ndarray) -> None:
    axes.plot(observed, predicted, MARKERS[theory.order], color=colour, markersize=4, alpha=0.6, linewidth=0)


def finish_times(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log", xlabel="observed horizon, flow time", ylabel="predicted horizon, flow time")
    ends = np.array(axes.get_xlim())
    axes.fill_between(ends, ends / FACTOR, ends * FACTOR, color="grey", alpha=0.25, linewidth=0)
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    axes.set_title(f"times (band: factor {FACTOR:g})")
    axes.grid(alpha=0.3)


def finish_efolds(axes: Axes) -> None:
    # Where nothing grows exponentially an e-fold is a tiny part of the plateau: those theories lie far to the left.
    axes.set_xscale("symlog", linthresh=10)
    axes.set_yscale("symlog", linthresh=10)
    ends = np.array(axes.get_xlim())
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    axes.set(xlabel="observed - plateau's end, e-folds", ylabel="predicted - plateau's end, e-folds")
    axes.set_title("the same on the clock of growth: e-folds of the leading theory")
    axes.grid(alpha=0.3)


def legend(axes: Axes, colours: dict[str, str], orders: list[int]) -> None:
    for model, colour in colours.items():
        axes.plot([], [], "o", color=colour, label=model)
    for order in orders:
        axes.plot([], [], MARKERS[order], color="black", label=f"order {order}")
    axes.legend(fontsize=8, loc="upper left")


if __name__ == "__main__":
    main(STUDY, draw)
