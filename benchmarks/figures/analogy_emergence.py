"""Analogies as they emerge: trained word vectors and the modes of the pair counts on one clock; a figure and a film.

`JAXEMBED_DATA=FOLDER python benchmarks/figures/analogy_emergence.py` trains 5,000 words of twelve domains of The Pile
from five starts (some 25 minutes on one core, a gigabyte below `--keep`; a killed run goes on), prints the evidence and
writes figure, film and tables. `--size tiny` (made words): ten seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib import colormaps
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.words.analogy_emergence import STUDY, Emergence

PALETTE = colormaps["tab10"].colors  # pyright: ignore[reportAttributeAccessIssue]
FRAMES = 60
SECOND = 1000
"""Milliseconds."""


def draw(result: Emergence, figure: Figure) -> None:
    figure.set_size_inches(14, 10)
    axes = figure.subplots(2, 2)
    modes_panel(axes[0, 0], result)
    accuracy_panel(axes[0, 1], result)
    moments_panel(axes[1, 0], result)
    rest_panel(axes[1, 1], result)


def modes_panel(axes: Axes, result: Emergence) -> None:
    for k in range(result.setting.timed):
        colour = PALETTE[k % len(PALETTE)]
        height = result.strengths[k]
        band(axes, result.times, result.trained["power"][:, :, k] / height, f"mode {k + 1}", colour)
        axes.plot(result.times, result.predicted["power"][0, :, k] / height, "--", color="black", linewidth=0.7)
    axes.set(xlabel="flow time", ylabel="share of its final power", title="modes rise one by one (dashes: closed form)")
    axes.set_xlim(0, 1.3 * result.predicted["half_rises"][:, : result.setting.timed].max())
    axes.legend(fontsize=7, ncol=2)
    axes.grid(alpha=0.3)


def accuracy_panel(axes: Axes, result: Emergence) -> None:
    for f, name in enumerate(result.families.names):
        if not result.solvable[f]:
            continue
        colour = PALETTE[f % len(PALETTE)]
        band(axes, result.times, result.trained["accuracy"][:, :, f], name, colour)
        axes.plot(*alone(result, "accuracy", f), "--", color=colour, linewidth=1)
    axes.set(xlabel="flow time", ylabel="analogies right")
    axes.set_title("families become solvable (dashes: modes alone)")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def alone(result: Emergence, name: str, which: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of the modes alone, from the half-rise of the first: before it they leave out what decides."""
    return result.times[result.begun :], result.predicted[name][:, result.begun :, which].mean(axis=0)


def moments_panel(axes: Axes, result: Emergence) -> None:
    observed = result.observed.mean(axis=0)
    ways = (("half-rise of the family's mode", result.arrival, "o"), ("modes alone reach half", result.alone, "s"))
    for (label, times, marker), colour in zip(ways, COLOURS, strict=False):
        axes.plot(times.mean(axis=0)[result.solvable], observed[result.solvable], marker, color=colour, label=label)
    null = result.mixed_arrival.mean(axis=0)[result.solvable]
    axes.plot(null, observed[result.solvable], "x", color="grey", label="null: modes in random order")
    for f in np.flatnonzero(result.solvable):
        text = f" {result.families.names[f]} (mode {result.mode[f]:.0f})"
        axes.annotate(text, (result.arrival[:, f].mean(), observed[f]), fontsize=7)
    largest = 1.1 * max(observed[result.solvable].max(), null.max(), result.arrival[:, result.solvable].max())
    axes.plot([0, largest], [0, largest], color="black", linewidth=0.7)
    axes.set(xlabel="predicted flow time", ylabel="training reaches half of the family's maximum")
    axes.set_title("when a family becomes solvable")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def rest_panel(axes: Axes, result: Emergence) -> None:
    files = list(result.families.language.similarity)
    for i, name in enumerate(files):
        band(axes, result.times, result.trained["rho"][:, :, i], f"{name}: rank correlation", COLOURS[i])
        axes.plot(*alone(result, "rho", i), "--", color=COLOURS[i], linewidth=1)
    axes.plot(result.times, result.control["rho"][:, 0], color="grey", label=f"{files[0]}, shuffled text")
    for key, label, colour in (("offsets", "offset consistency", COLOURS[2]), ("offsets_null", "its null", COLOURS[4])):
        kept = result.trained[key][:, :, result.solvable].mean(axis=2)
        band(axes, result.times, kept, f"{label}, mean of families", colour, ":" if "null" in key else "-")
    axes.set(xlabel="flow time", title="similarity and offsets (dashes: modes alone)")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def film(result: Emergence, figure: Figure) -> FuncAnimation:
    """Word pairs of one family moving in a fixed plane, beside modes that have arrived and the family's accuracy."""
    figure.set_size_inches(11, 5)
    words, clock = figure.subplots(1, 2)
    language = result.families.language
    pairs = [(language.words[a], language.words[b]) for a, b in language.word_pairs[result.setting.shown]]
    places, half = result.trained["shown"][0], len(pairs)
    frames = np.unique(np.linspace(0, len(result.times) - 1, FRAMES).round().astype(int))
    f, wide = result.families.names.index(result.setting.shown), 1.15 * np.abs(places).max(axis=(0, 1))
    accuracy, up = result.trained["accuracy"][0, :, f], result.trained["power"][0] >= result.strengths[None] / 2

    def update(i: int) -> None:
        words.clear()
        clock.clear()
        for k, (a, b) in enumerate(pairs):
            first, second = places[i, k], places[i, half + k]
            words.annotate("", second, first, arrowprops={"arrowstyle": "->", "color": "silver"})
            for word, at, colour in ((a, first, COLOURS[0]), (b, second, COLOURS[1])):
                words.text(*at, word, color=colour, fontsize=9, ha="center")
        words.set(xlim=(-wide[0], wide[0]), ylim=(-wide[1], wide[1]), xticks=[], yticks=[])
        words.set_xlabel("along the family's mean offset at the end")
        words.set_title(f'"{result.setting.shown}": {np.sum(up[i])} of {len(result.strengths)} modes have arrived')
        clock.plot(result.times, accuracy, color="lightgrey")
        clock.plot(result.times[: i + 1], accuracy[: i + 1], color=COLOURS[0], label="its analogies right, trained")
        clock.plot(*alone(result, "accuracy", f), "--", color="black", linewidth=0.8, label="theory")
        clock.plot(result.times[: i + 1], up[: i + 1].mean(axis=1), color=COLOURS[2], label="share of modes arrived")
        clock.axvline(result.arrival[0, f], color="grey", linewidth=0.7, linestyle=":", label="half-rise of its mode")
        clock.set(xlabel="flow time", ylim=(0, 1.03), title=f"time {result.times[i]:.3f}")
        clock.legend(fontsize=8, loc="upper left")

    still = np.append(frames, np.repeat(frames[-1], 12))
    return FuncAnimation(figure, update, frames=still.tolist(), interval=SECOND / 8)


if __name__ == "__main__":
    main(STUDY, draw, film=film)
