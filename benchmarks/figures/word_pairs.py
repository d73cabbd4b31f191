"""Quadratic word embeddings: sigmoids from four starts against the exact flow, and how gaps between modes matter.

`python benchmarks/figures/word_pairs.py` prints errors, the end of training and half-rise times, writes the figure and
the table, and exits non-zero where a figure falls short; about a minute on one core, `--size tiny` ten seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.words.word_pairs import HEADER, QR, WordPairsResult, word_pairs_study
from jaxembed.theory.word_pairs import STARTS


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = word_pairs_study(args.size, progress=lambda line: print(line, flush=True))
    show_table(result)
    markdown(args.out / "word_pairs.md", HEADER, result.rows())
    draw(result, args.out / "word_pairs.png")
    finish("quadratic word embeddings", result.checks())


def show_table(result: WordPairsResult) -> None:
    title = f"RMSE of singular values / sqrt(lam_1), {result.setting.words} words, {result.seeds} seeds, float64"
    show(title, HEADER, result.rows())


def draw(result: WordPairsResult, path: Path) -> None:
    figure, panels = plt.subplots(1, 3, figsize=(16, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    modes_panel(panels[0], result)
    starts_panel(panels[1], result)
    decay_panel(panels[2], result)
    setting = result.setting
    caption = (
        f"RandomPairs of {setting.words} words, width {setting.width}, eigenvalues falling by {setting.decay:g}, "
        f"float64; {result.seeds} seeds of pairs and start (points: each, lines: median), times up to "
        f"{setting.window:g} half-times of the slowest mode;\nleft: first seed, init scale {setting.asked_scale:g}; "
        f"right: init scale {setting.asked_scale:g}, against the exact solution. "
    )
    save(figure, path, caption)


def modes_panel(axes: plt.Axes, result: WordPairsResult) -> None:
    for k, strength in enumerate(result.strengths):
        first = k == 0
        axes.plot(result.times, result.flow[:, k] / strength, color=COLOURS[0], label="exact flow" if first else None)
        for name, colour, style in ((QR, COLOURS[1], "--"), ("svd of W(0)", COLOURS[4], ":")):
            label = f"sigmoid, {name}" if first else None
            axes.plot(result.times, result.predicted[name][:, k] / strength, style, color=colour, label=label)
    axes.set(xlabel="flow time", ylabel="s_k^2 / lam_k", title="modes come one by one")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def starts_panel(axes: plt.Axes, result: WordPairsResult) -> None:
    scales = np.array(list(result.errors))
    for colour, name in zip(COLOURS, (*STARTS, "other pairs"), strict=True):
        values = np.array([found[name] for found in result.errors.values()])
        axes.plot(scales, np.median(values, axis=1), "-", color=colour, label=name)
        axes.plot(scales, values, ".", color=colour, alpha=0.5, markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="init scale", ylabel="RMSE of s_k / sqrt(lam_1)")
    axes.axhline(1e-4, color="grey", linewidth=0.8, linestyle=":")
    axes.invert_xaxis()
    axes.set_title("where the sigmoids are started")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def decay_panel(axes: plt.Axes, result: WordPairsResult) -> None:
    decays, values = np.array(list(result.by_decay)), np.array(list(result.by_decay.values()))
    axes.plot(decays, np.median(values, axis=1), "-", color=COLOURS[3], label="median")
    axes.plot(decays, values, ".", color=COLOURS[3], alpha=0.6)
    axes.axhline(1e-4, color="grey", linewidth=0.8, linestyle=":")
    axes.set(yscale="log", xlabel="ratio of successive strengths", ylabel="RMSE of s_k / sqrt(lam_1), QR diagonal")
    axes.set_title("close eigenvalues spoil the sigmoids")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
