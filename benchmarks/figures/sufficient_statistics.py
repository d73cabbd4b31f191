"""Exchangeable items: sufficient statistics and posterior moments read from embeddings, own and shifted prior.

`python benchmarks/figures/sufficient_statistics.py` trains on five processes with conjugate priors, probes statistics
and moments with the probe refitted and kept under a shifted prior, measures how much of the embeddings the statistics
explain (Figures 2, 8, 9 and the parsimony table of zhang2024embed), writes tables and figures, and exits non-zero where
a figure falls short; about 15 minutes on one core for `--size normal` (sequences of 128), `--size tiny` seconds,
`--size full` the published sizes (sequences of 500, 5 seeds; hours). With `--keep FOLDER` a killed run goes on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, plt, save
from _generated import notes_on, stamped_markdown, study_arguments
from common import finish, show
from rich.markup import escape

from jaxembed.runs.presets.catalogue import find_setting
from jaxembed.studies.sequences.parsimony import SOURCES as EXPLAINED
from jaxembed.studies.sequences.sufficient_statistics import (
    COIN,
    GAUSS,
    HEADER,
    SQUARED,
    WAITING,
    SufficientStatistics,
    sufficient_statistics,
)

LOSSES = ("setting", "loss", "untrained", "exact inference", "excess [95 % interval over seeds]")


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    seeds = {"tiny": 2, "quick": 3, "full": 5}[args.study]
    result = sufficient_statistics(args.study, seeds, args.keep, progress=lambda line: print(line, flush=True))
    note = notes_on(args.study, seeds, {name: find_setting(name, args.study) for name in result.settings})
    tables = {
        "sufficient_statistics": (HEADER, result.rows()),
        "sufficient_statistics_losses": (LOSSES, result.loss_rows()),
        "sufficient_statistics_parsimony": (("setting", *EXPLAINED), result.explained_rows()),
    }
    for name, (header, rows) in tables.items():
        # Names like "E[tau]" are markup on the console.
        show(name.replace("_", " "), header, [[escape(cell) for cell in row] for row in rows], width=220)
        stamped_markdown(args.out / f"{name}{args.suffix}.md", header, rows, args.command, note)
    draw(result, args.out / f"sufficient_statistics{args.suffix}.png")
    draw_moments(result, args.out / f"sufficient_statistics_moments{args.suffix}.png")
    finish("sufficient statistics", result.checks())


def draw(result: SufficientStatistics, path: Path) -> None:
    """Statistics, and what explains the embeddings."""
    shown = [(GAUSS, 0), (GAUSS, 1), (SQUARED, 0), (SQUARED, 1), (COIN, 0), (WAITING, 0)]
    shown = [(name, column) for name, column in shown if name in result.settings]
    figure = plt.figure(figsize=(max(15, 3.1 * len(shown)), 9.5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    grid = figure.add_gridspec(3, len(shown))
    for i, (name, column) in enumerate(shown):
        for j, prior in enumerate(("own", "shifted")):
            sorted_panel(figure.add_subplot(grid[j, i]), result, name, prior, column)
    bars(figure.add_subplot(grid[2, :]), result)
    save(figure, path, _caption(result))


def draw_moments(result: SufficientStatistics, path: Path) -> None:
    """Posterior moments, the published 2 x 4 panels of each process."""
    shown = [name for name in (GAUSS, COIN, WAITING) if name in result.settings]
    figure, axes = plt.subplots(2 * len(shown), 4, figsize=(12, 5 * len(shown)), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    for i, name in enumerate(shown):
        for j, prior in enumerate(("own", "shifted")):
            for k in range(4):
                sorted_panel(axes[2 * i + j, k], result, name, prior, k - 4)
    save(figure, path, _caption(result))


def sorted_panel(axes: plt.Axes, result: SufficientStatistics, name: str, prior: str, column: int) -> None:
    """Targets in order of size as a line, what the probe reads as points."""
    readings = result.settings[name].readings[prior]
    truth, said = readings.truth[:, column], readings.said[:, column]
    order = np.argsort(truth)
    axes.plot(said[order], ".", color=COLOURS[0], markersize=3, label="probe")
    axes.plot(truth[order], color=COLOURS[1], linewidth=1.5, label="exact")
    r2 = 1 - np.sum((truth - said) ** 2) / np.sum((truth - truth.mean()) ** 2)
    axes.set_title(f"{name}\n{prior} prior: {readings.names[column]}, R2 {r2:.3f}", fontsize=8)
    axes.tick_params(labelsize=7)


def bars(axes: plt.Axes, result: SufficientStatistics) -> None:
    width = 0.8 / len(EXPLAINED)
    for i, (source, colour) in enumerate(zip(EXPLAINED, COLOURS, strict=True)):
        values = [found.explained[source] for found in result.settings.values()]
        where = np.arange(len(values)) + i * width
        means = np.array([v.mean() for v in values])
        ends = np.array([(v.mean() - v.min(), v.max() - v.mean()) for v in values]).T
        axes.bar(where, means, width, yerr=ends, color=colour, label=source, capsize=2)
    axes.axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
    axes.set_xticks(np.arange(len(result.settings)) + 0.8 / 2 - width / 2, list(result.settings))
    axes.set(
        ylabel="variance explained", title="share of the embeddings' variance that an MLP predicts, several n at once"
    )
    axes.legend(fontsize=8, ncols=len(EXPLAINED), loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _caption(result: SufficientStatistics) -> str:
    return (
        f"size {result.size}: points and lines are 200 held-out sequences of the first of {result.seeds} seeds, "
        "linear probe of the last layer, refitted under the shifted prior; bars: mean, smallest and largest seed. "
    )


if __name__ == "__main__":
    main()
