"""Exchangeable items: sufficient statistics and posterior moments read from embeddings, own and shifted prior.

`python benchmarks/figures/sufficient_statistics.py` trains on five processes with conjugate priors, probes statistics
and moments with the probe refitted and kept under a shifted prior, measures how much of the embeddings the statistics
explain (Figures 2, 8, 9 and the parsimony table of zhang2024embed), and writes tables and figures; about 15 minutes on
one core (sequences of 128), `--size tiny` seconds, `--size published` the published sizes (sequences of 500, 5 seeds;
hours). With `--keep FOLDER` a killed run goes on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.sequences.parsimony import SOURCES as EXPLAINED
from jaxembed.studies.sequences.sufficient_statistics import (
    COIN,
    GAUSS,
    SQUARED,
    STUDY,
    WAITING,
    SufficientStatistics,
)


def draw(result: SufficientStatistics, figure: Figure) -> None:
    """Statistics, and what explains the embeddings."""
    shown = [(GAUSS, 0), (GAUSS, 1), (SQUARED, 0), (SQUARED, 1), (COIN, 0), (WAITING, 0)]
    shown = [(name, column) for name, column in shown if name in result.processes]
    figure.set_size_inches(max(15, 3.1 * len(shown)), 9.5)
    grid = figure.add_gridspec(3, len(shown))
    for i, (name, column) in enumerate(shown):
        for j, prior in enumerate(("own", "shifted")):
            sorted_panel(figure.add_subplot(grid[j, i]), result, name, prior, column)
    bars(figure.add_subplot(grid[2, :]), result)


def draw_moments(result: SufficientStatistics, figure: Figure) -> None:
    """Posterior moments, the published 2 x 4 panels of each process."""
    shown = [name for name in (GAUSS, COIN, WAITING) if name in result.processes]
    figure.set_size_inches(12, 5 * len(shown))
    axes = figure.subplots(2 * len(shown), 4, squeeze=False)
    for i, name in enumerate(shown):
        for j, prior in enumerate(("own", "shifted")):
            for k in range(4):
                sorted_panel(axes[2 * i + j, k], result, name, prior, k - 4)


def sorted_panel(axes: Axes, result: SufficientStatistics, name: str, prior: str, column: int) -> None:
    """Targets in order of size as a line, what the probe reads as points."""
    readings = result.processes[name].readings[prior]
    truth, answers = readings.truth[:, column], readings.answers[:, column]
    order = np.argsort(truth)
    axes.plot(answers[order], ".", color=COLOURS[0], markersize=3, label="probe")
    axes.plot(truth[order], color=COLOURS[1], linewidth=1.5, label="exact")
    r2 = 1 - np.sum((truth - answers) ** 2) / np.sum((truth - truth.mean()) ** 2)
    axes.set_title(f"{name}\n{prior} prior: {readings.names[column]}, R2 {r2:.3f}", fontsize=8)
    axes.tick_params(labelsize=7)


def bars(axes: Axes, result: SufficientStatistics) -> None:
    width = 0.8 / len(EXPLAINED)
    for i, (source, colour) in enumerate(zip(EXPLAINED, COLOURS, strict=True)):
        values = [process.explained[source] for process in result.processes.values()]
        where = np.arange(len(values)) + i * width
        means = np.array([v.mean() for v in values])
        ends = np.array([(v.mean() - v.min(), v.max() - v.mean()) for v in values]).T
        axes.bar(where, means, width, yerr=ends, color=colour, label=source, capsize=2)
    axes.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xticks(np.arange(len(result.processes)) + 0.8 / 2 - width / 2, list(result.processes))
    axes.set(
        ylabel="variance explained", title="share of the embeddings' variance that an MLP predicts, several n at once"
    )
    axes.legend(fontsize=8, ncols=len(EXPLAINED), loc="upper center", bbox_to_anchor=(0.5, -0.1))


if __name__ == "__main__":
    main(STUDY, draw, draw_moments)
