"""Words made of attributes: analogies by eigendecomposition and along the training of word embeddings.

`python benchmarks/figures/attributes.py` prints the decompositions and draws training beside theory; about half a
minute on one core, `--size tiny` ten seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.words.attributes import RUNS, STUDY, AttributesResult


def draw(result: AttributesResult, figure: Figure) -> None:
    figure.set_size_inches(13, 5)
    left, right = figure.subplots(1, 2)
    accuracy_panel(left, result)
    modes_panel(right, result)


def accuracy_panel(axes: Axes, result: AttributesResult) -> None:
    for run, colour in zip(RUNS, COLOURS, strict=False):
        band(axes, result.times, result.accuracy[run], run, colour)
    axes.axhline(result.ceiling, color="black", linewidth=0.8, linestyle="--", label="M*, d eigenvectors")
    axes.axhline(result.chance, color="grey", linewidth=0.8, linestyle=":", label="chance")
    for time in result.half_times:
        axes.axvline(time, color="grey", linewidth=0.6, alpha=0.6)
    axes.set(xlabel="flow time (lines: half-times of the modes)", ylabel="analogies right", ylim=(0, 1.03))
    axes.set_title("analogies along training")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def modes_panel(axes: Axes, result: AttributesResult) -> None:
    for k in range(result.count):
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(result.times, result.power[0, :, k], color=colour, label=f"mode {k + 1}")
        axes.plot(result.times, result.predicted[0, :, k], "--", color="black", linewidth=0.8)
    axes.set(xlabel="flow time", ylabel="s_k^2 (dashes: sigmoids)", title="modes along training, first seed")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
