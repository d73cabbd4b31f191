"""Task vectors of analogy families: signal-to-noise against width, spectrum beside theory, and what orders accuracy.

`JAXEMBED_DATA=FOLDER python benchmarks/figures/task_vectors.py` counts the twelve domains of The Pile, factorises M*
and reads Google's families; about five minutes on one core, `--size tiny` (made words, no data needed) five seconds.
With `--keep FOLDER` text and eigenvectors are kept, and a second call takes seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax.numpy as jnp
import numpy as np
from common import COLOURS, main
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.words.task_vectors import ORDERS, STUDY, Family, TaskVectorsResult, order_text
from jaxembed.theory import task_vectors as theory


def draw(result: TaskVectorsResult, figure: Figure) -> None:
    figure.set_size_inches(17, 5.2)
    panels = left, middle, right = figure.subplots(1, 3)
    width_panel(left, result)
    spectrum_panel(middle, max(result.families, key=lambda family: np.nan_to_num(family.score.accuracy)))
    order_panel(right, result)
    for panel in panels:
        panel.grid(alpha=0.3)


def width_panel(axes: Axes, result: TaskVectorsResult) -> None:
    best = sorted(result.families, key=lambda family: -np.nan_to_num(family.score.accuracy))
    colours = colormaps["viridis"](np.linspace(0, 0.95, len(best)))
    for family, colour in zip(best, colours, strict=True):
        widths = result.setting.widths[: len(family.snr)]
        label = f"{family.score.name}, {family.score.accuracy:.0%}"
        axes.plot(widths, family.snr, color=colour, linewidth=1.3, label=label)
        axes.plot(widths[int(np.argmax(family.snr))], max(family.snr), "o", color=colour, markersize=4)
    shuffled = np.mean([family.snr_shuffled for family in best], axis=0)
    axes.plot(result.setting.widths[: len(shuffled)], shuffled, "--", color="grey", label="shuffled partners")
    axes.set(xscale="log", xlabel="width d of the vectors", ylabel="signal-to-noise of the task vector")
    axes.set_title("SNR against width (family, accuracy)")
    axes.legend(fontsize=6.5)


def spectrum_panel(axes: Axes, family: Family) -> None:
    low, high = (float(edge) for edge in theory.bulk_edges(family.ratio))
    at = np.linspace(max(low, 1e-3), high, 400)
    bulk = np.array([value for value in family.bulk if value > 1e-9])  # more pairs than columns leave zeros
    bins = np.linspace(0, 1.15 * max(high, bulk[0]), 30).tolist()
    axes.hist(bulk, bins=bins, density=True, color=COLOURS[0], alpha=0.5, label="offsets less their mean")
    density = theory.bulk_density(jnp.asarray(at), family.ratio) * max(1, family.ratio)
    axes.plot(at, density, color="black", label="bulk of theory")
    spike = float(theory.spike(family.vectors.strength, family.ratio))
    axes.axvline(spike, color="black", linestyle="--", label=f"spike of theory, {spike:.1f}")
    label = f"largest eigenvalue, {family.spectrum[0]:.1f}"
    axes.plot(family.spectrum[0], 0.05, "v", color=COLOURS[1], markersize=9, label=label)
    axes.set(xscale="symlog", xlabel="eigenvalue of the Gram matrix, in units of the noise", ylabel="density")
    covered = family.offsets.covered
    title = f"{family.score.name}: {covered} pairs, {covered / family.ratio:.0f} effective dimensions"
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=7)


def order_panel(axes: Axes, result: TaskVectorsResult) -> None:
    x, y = (result.column(read) for read in (ORDERS["largest SNR"], lambda family: family.score.accuracy))
    ends = np.array([(family.score.low, family.score.high) for family in result.families])
    axes.errorbar(x, y, yerr=np.abs(ends.T - y[None, :]), fmt="o", color=COLOURS[0], markersize=4, linewidth=0.8)
    for family, across, up in zip(result.families, x, y, strict=True):
        axes.annotate(family.score.name, (across, up), fontsize=6.5, xytext=(4, 3), textcoords="offset points")
    order = " ".join(dict.fromkeys(order_text(*result.order("largest SNR"))))
    axes.set(xlabel="largest SNR over widths", ylabel="analogies right (of the covered ones)")
    axes.set_title(f"largest SNR orders accuracy: Spearman {order}", fontsize=10)


if __name__ == "__main__":
    main(STUDY, draw)
