"""Soft labels: concepts of the support learned in steps at 1 / sigma, and contexts of one support collapsing.

`python benchmarks/figures/soft_label.py` prints step times over the size of the start, runs squared error and
cross-entropy beside each other, and writes table and figure; about a minute on two cores, `--size tiny` half of that.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.small.soft_label import LOSSES, STUDY, SoftLabel
from jaxembed.theory import soft_label as theory


def draw(result: SoftLabel, figure: Figure) -> None:
    figure.set_size_inches(20, 5)
    axes = figure.subplots(1, 4)
    steps_panel(axes[0], result)
    for panel, loss in zip(axes[1:3], LOSSES, strict=True):
        for level, colour in zip(range(len(result.strengths)), COLOURS, strict=False):
            band(panel, result.times[1:], result.levels[loss][:, 1:, level], f"level {level + 1}", colour)
        panel.set(xscale="log", xlabel="flow time", ylabel="logits along the level's concepts / sigma", title=loss)
    for loss, colour in zip(LOSSES, COLOURS, strict=False):
        band(axes[3], result.times[1:], result.same[loss][:, 1:], f"{loss}: one support", colour)
        band(axes[3], result.times[1:], result.other[loss][:, 1:], f"{loss}: other supports", colour, "--")
    axes[3].axhline(result.label_cosine, color="grey", linestyle=":", label="one support, labels alone")
    axes[3].set(xscale="log", xlabel="flow time", ylabel="mean cosine of context vectors", title="contexts collapse")
    for panel in axes:
        panel.legend(fontsize=8)
        panel.grid(alpha=0.3)


def steps_panel(axes: Axes, result: SoftLabel) -> None:
    grid = np.linspace(0.0, 2.0 / result.strengths[-1], 400)
    for delta, style in zip(result.setting.deltas, (":", "-.", "--", (0, (5, 1)), "-"), strict=False):
        for sigma, colour in zip(result.strengths, COLOURS, strict=False):
            axes.plot(grid, theory.share(delta * grid, sigma, delta), linestyle=style, color=colour)
        axes.plot([], [], linestyle=style, color="grey", label=f"delta = {delta:g}")
    for sigma, colour in zip(result.strengths, COLOURS, strict=False):
        axes.axvline(1 / sigma, color=colour, linewidth=0.8, alpha=0.6)
    axes.set(xlabel="flow time / delta", ylabel="learned share a of the concept", title="steps at 1 / sigma (vertical)")


if __name__ == "__main__":
    main(STUDY, draw)
