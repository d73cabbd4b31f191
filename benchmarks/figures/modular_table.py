"""The full table of modular addition on 7 symbols: initial weights name the frequency of each neuron.

`python benchmarks/figures/modular_table.py` trains the two-position model at the published setting, compares every
neuron's dominant frequency with the one that blows up first in the truncated flow, and draws phase error, spectra and
the agreement of the leading term with the true gradient; about a minute on one core, `--size tiny` seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.pairs.modular_table import STUDY, ModularTable


def draw(result: ModularTable, figure: Figure) -> None:
    figure.set_size_inches(18, 4.4)
    axes = figure.subplots(1, 4)
    named_panel(axes[0], result)
    phase_panel(axes[1], result)
    gradient_panel(axes[2], result)
    neurons_panel(axes[3], result)
    for panel in axes[:3]:
        panel.set(xscale="log", xlabel="step")
        panel.grid(alpha=0.3)
        panel.axvline(result.steps[result.judged], color="grey", linewidth=0.8, linestyle=":")


def named_panel(axes: Axes, result: ModularTable) -> None:
    saves = range(1, len(result.steps))
    curves = {
        "neurons that have developed one": [result.developed(save).mean(axis=1) for save in saves],
        "of these named by the truncated flow": [result.named(save) for save in saves],
        "named by the largest initial power": [result.named(save, guess=result.strongest) for save in saves],
    }
    for colour, (label, curve) in zip(COLOURS, curves.items(), strict=False):
        values = np.array(curve).T
        known = ~np.isnan(values).any(axis=0)
        band(axes, result.steps[1:][known], values[:, known], label, colour)
    axes.axhline(1 / result.frequencies, color="grey", linewidth=0.8)
    axes.set(ylim=(0, 1.02), ylabel="share of neurons", title="dominant frequency, from initial weights")
    axes.legend(fontsize=7)


def phase_panel(axes: Axes, result: ModularTable) -> None:
    band(axes, result.steps[1:], result.phase_error()[:, 1:], "median over neurons", COLOURS[0])
    axes.axhline(np.pi / 2, color="grey", linewidth=0.8)
    axes.set(ylim=(0, None), ylabel="|arg u + arg v - arg w|", title="phase error in the dominant frequency")


def gradient_panel(axes: Axes, result: ModularTable) -> None:
    band(axes, result.steps[1:], result.cosine[:, 1:], "cosine, F2 - decay with the true velocity", COLOURS[0])
    band(axes, result.steps[1:], result.cosine_undecayed[:, 1:], "cosine, without decay on either side", COLOURS[2])
    band(axes, result.steps[1:], result.accuracy[:, 1:], "accuracy", COLOURS[4], "--")
    axes.set(ylim=(-0.8, 1.02), title="leading term and true gradient")
    axes.axhline(0.9, color="grey", linewidth=0.8)
    errors = axes.twinx()
    band(errors, result.steps[1:], result.relative_error[:, 1:], "relative error", COLOURS[1], ":")
    errors.set(yscale="log", ylabel="relative error (dotted, log scale)")
    axes.legend(fontsize=7, loc="lower left")


def neurons_panel(axes: Axes, result: ModularTable) -> None:
    """Every neuron: how clear the prediction was, and how pure it became."""
    purity = np.max(result.shares[:, result.judged], axis=1)
    hit = result.dominant(result.judged) == result.predicted
    for right, colour, label in ((True, COLOURS[0], "named"), (False, COLOURS[1], "not named")):
        axes.plot(result.margin[hit == right], purity[hit == right], ".", color=colour, label=label, markersize=4)
    axes.axhline(result.setting.developed, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="blow-up time, second over first frequency", ylabel="share of power in the dominant")
    axes.set_title("neurons of all seeds")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
