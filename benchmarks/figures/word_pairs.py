"""Quadratic word embeddings: sigmoids from four starts against the exact flow, and how gaps between modes matter.

`python benchmarks/figures/word_pairs.py` prints errors and draws modes, starts and spectra; about a minute on one core,
`--size tiny` ten seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.words.word_pairs import QR, STUDY, WordPairsResult
from jaxembed.theory.word_pairs import STARTS


def draw(result: WordPairsResult, figure: Figure) -> None:
    figure.set_size_inches(16, 5)
    panels = figure.subplots(1, 3)
    modes_panel(panels[0], result)
    starts_panel(panels[1], result)
    decay_panel(panels[2], result)


def modes_panel(axes: Axes, result: WordPairsResult) -> None:
    for k, strength in enumerate(result.strengths):
        first = k == 0
        axes.plot(result.times, result.flow[:, k] / strength, color=COLOURS[0], label="exact flow" if first else None)
        for name, colour, style in ((QR, COLOURS[1], "--"), ("svd of W(0)", COLOURS[4], ":")):
            label = f"sigmoid, {name}" if first else None
            axes.plot(result.times, result.predicted[name][:, k] / strength, style, color=colour, label=label)
    axes.set(xlabel="flow time", ylabel="s_k^2 / lam_k", title="modes come one by one")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def starts_panel(axes: Axes, result: WordPairsResult) -> None:
    scales = np.array(list(result.errors))
    for colour, name in zip(COLOURS, (*STARTS, "other pairs"), strict=True):
        values = np.array([errors[name] for errors in result.errors.values()])
        axes.plot(scales, np.median(values, axis=1), "-", color=colour, label=name)
        axes.plot(scales, values, ".", color=colour, alpha=0.5, markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="init scale", ylabel="RMSE of s_k / sqrt(lam_1)")
    axes.axhline(1e-4, color="grey", linewidth=0.8, linestyle=":")
    axes.invert_xaxis()
    axes.set_title("where the sigmoids are started")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def decay_panel(axes: Axes, result: WordPairsResult) -> None:
    decays, values = np.array(list(result.by_decay)), np.array(list(result.by_decay.values()))
    axes.plot(decays, np.median(values, axis=1), "-", color=COLOURS[3], label="median")
    axes.plot(decays, values, ".", color=COLOURS[3], alpha=0.6)
    axes.axhline(1e-4, color="grey", linewidth=0.8, linestyle=":")
    axes.set(yscale="log", xlabel="ratio of successive strengths", ylabel="RMSE of s_k / sqrt(lam_1), QR diagonal")
    axes.set_title("close eigenvalues spoil the sigmoids")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
