"""Five word models on twelve domains of The Pile, from half a million words to all: scores, and the published order.

`JAXEMBED_DATA=... python benchmarks/figures/word_models.py --keep FOLDER` prints the table, every relation of the
published order with its paired interval, and the evidence. About half an hour on two cores; what is kept in FOLDER is
not made again. `--seeds 1` trains once, `--words 500000 1000000` takes these sizes only. `--size tiny` takes ten
seconds. Rows called svd(..), as published, are eigenpairs of largest value; negative eigenvalues are dropped.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from jaxembed.studies.words.text_vectors import FACTORISED, NULLS, TRAINED
from jaxembed.studies.words.word_models import EQUAL, ORDER, STUDY, WordModels
from jaxembed.studies.words.word_scores import ANALOGIES

SHADES = {"as published": COLOURS[2], "open": "#dddddd", "reversed": COLOURS[1]}
WORDS = {"type": int, "nargs": "+", "help": "sizes of the text, instead of the setting's"}


def draw(result: WordModels, figure: Figure) -> None:
    measures = [measure for measure in (ANALOGIES, "MEN", "WS-353", "SimLex") if measure in result.measures]
    measures += [measure for measure in result.measures if measure not in (*measures, "RW")]
    figure.set_size_inches(5 * len(measures) + 6, 5.4)
    axes = figure.subplots(1, len(measures) + 1)
    for panel, measure in zip(axes, measures, strict=False):
        score_panel(panel, result, measure)
    axes[0].legend(fontsize=8)
    order_panel(axes[-1], result)


def score_panel(axes: Axes, result: WordModels, measure: str) -> None:
    """One measure by size of the text, every model beside the others so that bars do not cover each other."""
    names = (*TRAINED, *FACTORISED, *NULLS)
    words = np.array([part.words for part in result.texts])
    for place, name in enumerate(names):
        found = [part.scores[measure, name] for part in result.texts]
        mean = np.array([score.mean for score in found])
        reach = np.abs(np.array([score.interval for score in found]).T - mean[None, :])
        colour = (*COLOURS, "#b8860b")[place] if name not in NULLS else "#bbbbbb"
        style = "-o" if name in TRAINED else "--s" if name not in NULLS else ":x"
        x = words * 1.02 ** (place - len(names) / 2)
        axes.errorbar(x, mean, reach, fmt=style, color=colour, label=name, markersize=4, linewidth=1.2, elinewidth=0.8)
    axes.set(xscale="log", xlabel="words of text", title=measure)
    axes.set_xticks(words, [f"{count / 1e6:.2g} M" for count in words])
    axes.minorticks_off()
    axes.set_ylabel("questions right" if measure == ANALOGIES else "Spearman")
    axes.grid(alpha=0.3)


def order_panel(axes: Axes, result: WordModels) -> None:
    """Every relation of the published order on analogies, by size."""
    relations = [*ORDER, EQUAL]
    for column, part in enumerate(result.texts):
        for row, relation in enumerate(relations):
            found = part.difference(ANALOGIES, *relation)
            shade = SHADES[part.standing(ANALOGIES, *relation)] if relation != EQUAL else "white"
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=shade, edgecolor="white"))
            low, high = found.interval
            text = f"{100 * found.mean:+.1f}\n[{100 * low:.1f}, {100 * high:.1f}]"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5)
    labels = [f"{better} {'~' if (better, worse) == EQUAL else '>'} {worse}" for better, worse in relations]
    short = [label.replace(", smoothing 1e-25", "") for label in labels]
    axes.set_yticks(np.arange(len(labels)) + 0.5, short, fontsize=7)
    axes.set_xticks(np.arange(len(result.texts)) + 0.5, [f"{part.words / 1e6:.2g} M" for part in result.texts])
    axes.set(xlim=(0, len(result.texts)), ylim=(len(labels), 0), xlabel="words of text")
    axes.set_title(
        "published order, analogies: points of difference\ngreen as published, orange reversed, grey open", fontsize=9
    )


if __name__ == "__main__":
    main(STUDY, draw, words=WORDS)
