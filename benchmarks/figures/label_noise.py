"""Label noise and zero divisors: early slopes measured in training against those predicted from collision counts.

`python benchmarks/figures/label_noise.py` trains a two-position model on tables with 0.1 to 0.9 label noise and on
multiplication modulo 59, 60, 61, and draws predicted and measured slopes; about 2 minutes on one core, `--size tiny`
half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.pairs.label_noise import STUDY, LabelNoise
from jaxembed.tables import extremes


def draw(result: LabelNoise, figure: Figure) -> None:
    figure.set_size_inches(15, 5)
    left, middle, right = figure.subplots(1, 3)
    scatter_panel(left, result)
    noise_panel(middle, result)
    curves_panel(right, result)


def scatter_panel(axes: Axes, result: LabelNoise) -> None:
    for colour, part in zip(COLOURS, ("clean", "corrupted", "all"), strict=False):
        slopes = result.of(part)
        measured = np.array([slope.measured for slope in slopes])
        bars(axes, np.array([slope.predicted for slope in slopes]), measured, colour, "o", part)
    measured, null = (np.array([getattr(slope, name) for slope in result.noisy]) for name in ("measured", "null"))
    bars(axes, null, measured, "#bbbbbb", "x", "null: parts dealt at random")
    ends = [slope.predicted for slope in result.slopes]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="slope predicted", ylabel="slope measured")
    all_parts, dealt = result.correlation(), result.correlation(result.noisy, "null")
    axes.set_title(f"Pearson {extremes(all_parts, '.4f')}; null, noisy parts {extremes(dealt, '.2f')}")
    axes.legend(fontsize=8)


def bars(axes: Axes, x: np.ndarray, values: np.ndarray, colour: str, marker: str, label: str) -> None:
    """Mean over seeds `[part, seed]` with a bar from the smallest to the largest."""
    mean = values.mean(axis=1)
    reach = np.abs(np.stack([values.min(axis=1), values.max(axis=1)]) - mean)
    axes.errorbar(x, mean, reach, fmt=marker, color=colour, markersize=5, linewidth=1, label=label)


def noise_panel(axes: Axes, result: LabelNoise) -> None:
    for colour, part in zip(COLOURS, ("clean", "corrupted"), strict=False):
        slopes = result.of(part)
        noises = np.array([slope.noise for slope in slopes])
        bars(axes, noises, np.array([slope.measured for slope in slopes]), colour, "o", f"{part}, measured")
        axes.plot(noises, [slope.predicted for slope in slopes], "--", color=colour, label=f"{part}, predicted")
    axes.set(xlabel="label noise", ylabel="slope -dl/dt at the start", ylim=(0, None))
    axes.set_title("corrupted examples fall faster")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def curves_panel(axes: Axes, result: LabelNoise) -> None:
    lines = [(table, times, *line) for table, (times, parts) in result.curves.items() for line in parts.items()]
    for number, (table, times, part, losses) in enumerate(lines):
        label = table if part == "all" else f"{table}, {part}"
        band(axes, times, losses / losses[:, :1], label, COLOURS[number % len(COLOURS)])
    axes.set(xlabel="flow time", ylabel="mean loss / its start")
    axes.set_title("further on")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
