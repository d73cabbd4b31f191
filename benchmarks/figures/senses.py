"""Ambiguous words in their sentences: can their senses be told by layer, against all nulls, and what does attention do.

`python benchmarks/figures/senses.py --keep FOLDER` reads six words of CoarseWSD-20 and a pseudo-word from decoders
trained on The Pile and from untrained ones, and writes the figure and the tables; about ten minutes on a busy core.
Decoders that FOLDER does not hold are trained first, an hour and more on two cores. Needs JAXEMBED_DATA. `--size tiny`
merges two words of Python's documentation and trains its own decoders, about fifteen seconds. A killed run goes on from
FOLDER.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.analysis.senses.probes import balanced_mean
from jaxembed.analysis.senses.result import WordResult
from jaxembed.studies.language.senses import GAINS, STUDY, SensesResult


def draw(result: SensesResult, figure: Figure) -> None:
    columns = min(4, len(result.words) + 1)
    rows = -(-(len(result.words) + 1) // columns)
    figure.set_size_inches(4.2 * columns, 3.9 * rows)
    flat = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, word in zip(flat, result.words, strict=False):
        depth_panel(place, word)
    flat[0].legend(fontsize=7, loc="best")
    gain_panel(flat[len(result.words)], result)
    for place in flat[len(result.words) + 1 :]:
        place.axis("off")


def depth_panel(axes: Axes, word: WordResult) -> None:
    lines = (("trained", "word", "-", COLOURS[0]), ("trained", "end", "-", COLOURS[2]),
             ("untrained", "word", "--", COLOURS[4]))  # fmt: skip
    for stage, where, style, colour in lines:
        values = word.accuracy(stage, where)
        at = "at the word" if where == "word" else "at the end"
        band(axes, np.arange(values.shape[1]), values, f"{stage}, {at}", colour, style)
    nulls = (("counts of left words", word.bags["left"][None], COLOURS[1]),
             ("mean embedding of left words", word.mean_hits("left"), COLOURS[3]))  # fmt: skip
    for name, hits, colour in nulls:
        axes.axhline(balanced_mean(hits, word.senses).mean(), color=colour, linewidth=1, linestyle="-.", label=name)
    axes.axhline(word.task.chance, color="black", linewidth=0.8, linestyle=":", label="static: 1 / senses")
    depths = word.accuracy("trained").shape[1]
    axes.set_xticks(range(depths), ["emb", *map(str, range(1, depths - 1)), "norm"])
    axes.set(ylim=(min(0.25, word.task.chance - 0.05), 1.02), xlabel="depth", ylabel="balanced accuracy")
    axes.set_title(f"{word.task.word} ({word.task.counts(word.task.test)} test sentences)", fontsize=9)
    axes.grid(alpha=0.3)


def gain_panel(axes: Axes, result: SensesResult) -> None:
    names = [word.task.word for word in result.words]
    for shift, (over, colour) in enumerate(zip(GAINS, COLOURS, strict=False)):
        means = result.gains(over).mean(axis=1)
        ends = np.array([word.interval(over) for word in result.words]).T
        sides = np.maximum(np.abs(ends - means), 0)
        axes.errorbar(means, np.arange(len(names)) + 0.2 * (1 - shift), xerr=sides, fmt="o", ms=4, capsize=2,
                      color=colour, label=f"over {over}")  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="gain in balanced accuracy", title="best depth at the word")
    axes.legend(fontsize=7, loc="upper right")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
