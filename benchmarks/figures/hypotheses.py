"""Discrete hypotheses: the posterior over rectangles and over number concepts, read from networks that predict items.

`python benchmarks/figures/hypotheses.py` trains networks on rectangles (easy and hard edges by squared error, easy ones
by a density too) and on the number game, 3 seeds each, scores a softmax probe beside its nulls and the exact posterior,
and writes tables and figure; about a quarter of an hour on one core. `--size tiny` takes half a minute, `--size
published` the published sizes (half an hour for each network on a core). With `--keep FOLDER` a killed run goes on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.sequences.hypotheses import STUDY, Hypotheses
from jaxembed.studies.sequences.hypothesis_scores import CEILING, MODEL, SOURCES, UNTRAINED

COLOUR_OF = dict(zip(SOURCES, (*COLOURS, "black"), strict=True))


def draw(result: Hypotheses, figure: Figure) -> None:
    figure.set_size_inches(18, 9)
    panels = figure.subplot_mosaic([["scores"] * len(result.curves), list(result.curves)])
    score_panel(panels["scores"], result)
    for name, found in result.curves.items():
        panel, numbers = panels[name], np.arange(1, len(found["exact"]) + 1)
        panel.bar(numbers, found["exact"], width=1.0, color="#cccccc", label="exact posterior")
        for source, colour in ((MODEL, COLOURS[0]), (UNTRAINED, COLOURS[1])):
            panel.plot(
                numbers, found[source].mean(axis=0), color=colour, linewidth=1.2, label=f"read from the {source}"
            )
        panel.set(ylim=(-0.1, 1.1), xlabel="number", title=f"seen: {name}")
        panel.grid(alpha=0.3)
    first = panels[next(iter(result.curves))]
    first.set_ylabel("probability that it belongs")
    first.legend(fontsize=8)


def score_panel(axes: Axes, result: Hypotheses) -> None:
    """Agreement with the posterior's argmax, filled, and with the generating hypothesis, its outline."""
    places = [(run, n) for run in result.decoded for n in result.places(run)]
    for offset, source in enumerate(SOURCES):
        at = np.arange(len(places)) + (offset - 2.5) * 0.14
        agreed = [result.values(run, n, source, "agreement") for run, n in places]
        right = [result.values(run, n, source, "generating").mean() for run, n in places]
        if source != CEILING:
            axes.bar(at, [values.mean() for values in agreed], 0.13, color=COLOUR_OF[source], label=source)
            for x, values in zip(at, agreed, strict=True):
                axes.plot([x] * len(values), values, ".", color="black", markersize=3)
        axes.bar(at, right, 0.13, fill=False, edgecolor="black", linewidth=0.8)
    axes.bar([0], [0], fill=False, edgecolor="black", label="outline: of the generating one; alone: exact posterior")
    axes.set_xticks(range(len(places)), [f"{run}\nafter {n + 1}" for run, n in places], fontsize=8)
    axes.set(ylim=(0, 1.05), title="share of sequences whose likeliest hypothesis is named")
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=8, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.12))


if __name__ == "__main__":
    main(STUDY, draw)
