"""Token memorisation: the first ten items read from the embedding of the tenth, beside what sufficiency allows.

`python benchmarks/figures/memorisation.py` trains on Gaussian items by likelihood and by squared error, fits a line
from the embedding after the tenth item to each of the ten (Figure 4 of zhang2024embed), and writes tables and figure;
about 8 minutes on one core, a minute with the `--keep FOLDER` of `sufficient_statistics.py` (they share networks),
`--size tiny` seconds, `--size published` hours.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.figure import Figure

from jaxembed.studies.sequences.memorisation import ITEMS, NOISES, STUDY, Memorisation


def draw(result: Memorisation, figure: Figure) -> None:
    figure.set_size_inches(13, 5.5)
    left, right = figure.subplots(1, 2)
    items = np.arange(1, ITEMS + 1)
    for name, colour in zip(result.trained, COLOURS, strict=False):
        band(left, items, result.items(name), name, colour, "o-")
        band(left, items, result.items(name, trained=False), f"{name}, untrained", colour, ":")
        for r2, label, style in ((result.trained, name, "o-"), (result.untrained, f"{name}, untrained", ":")):
            band(right, np.arange(len(NOISES)), r2[name][:, :, :-1].mean(axis=2), label, colour, style)
    for axes in (left, right):
        axes.axhline(result.sufficient[0], color="black", linestyle="--", label="exact: the mean of ten and x_10")
        axes.axhline(result.last_item[0], color="grey", linestyle="-.", label="exact: x_10 alone")
        axes.set(ylabel="R2 of a linear probe", ylim=(0, 1.05))
    left.set(xlabel="item", xticks=items, title="items in the embedding after the tenth")
    right.set_xticks(np.arange(len(NOISES)), [f"{noise:g}" for noise in NOISES])
    right.set(xlabel="noise on the embedding, standard deviations", title="mean over x_1 .. x_9")
    left.legend(fontsize=8, loc="lower center")


if __name__ == "__main__":
    main(STUDY, draw)
