"""Networks of several topic models, each read on the documents of all: only its own topics are there to be read.

`python benchmarks/figures/cross_probing.py` trains five networks on five topic models of 200 words, reads each on the
documents of all five, with its own probe and with a probe retrained there (about 4 minutes on one core), and writes
table and figure; `--size tiny` takes seconds, `--size published` the published sizes (hours). `--masks 64` trains
networks that fill in so many masked words of a document in place of those that predict the next.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import main
from matplotlib.figure import Figure

from jaxembed.studies.sequences.cross_probing import READINGS, SHOWN, STUDY, CrossProbing


def draw(result: CrossProbing, figure: Figure) -> None:
    figure.set_size_inches(14, 8.5)
    axes = figure.subplots(len(SHOWN), len(READINGS))
    for row, metric in zip(axes, SHOWN, strict=True):
        values = [result.scores[reading][metric] for reading in READINGS]
        low, high = min(x.min() for x in values), max(x.max() for x in values)
        for panel, reading, matrix in zip(row, READINGS, values, strict=True):
            image = panel.imshow(matrix, vmin=low, vmax=high, cmap="viridis" if metric == "accuracy" else "viridis_r")
            for i, cells in enumerate(matrix):
                for j, value in enumerate(cells):
                    shown = f"{value:.2f}" if metric == "accuracy" else f"{value:.3f}"
                    panel.text(j, i, shown, ha="center", va="center", color="white", fontsize=8)
            places = range(len(matrix))
            panel.set(
                xticks=places, yticks=places, xticklabels=[j + 1 for j in places], yticklabels=[i + 1 for i in places]
            )
            panel.set(xlabel="documents of process", ylabel="network", title=f"{reading}: {metric}")
            figure.colorbar(image, ax=panel, shrink=0.7)


if __name__ == "__main__":
    main(
        STUDY, draw, masks={"type": int, "help": "words of a document to fill in; unless given, the next is predicted"}
    )
