"""Documents of topics: the mixture read from networks that predict words, beside the exact posterior mean.

`python benchmarks/figures/topics.py` trains autoregressive networks at alpha 0.5, 0.8 and 1, and masked ones with as
many predictions, on 200 words (3 seeds; about 4 minutes on one core), and writes table and figure; `--size tiny` takes
seconds, `--size published` the published sizes (hours).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.figure import Figure

from jaxembed.studies.sequences.topics import STUDY, TopicsResult

STYLES = {
    "ceiling": ("#000000", "ceiling: posterior mean, topics known"),
    "autoregressive": (COLOURS[0], "autoregressive, last word"),
    "masked": (COLOURS[1], "masked, average over words"),
    "word frequencies": (COLOURS[2], "softmax regression on word frequencies"),
    "masked, untrained": ("#f0b49a", "masked, untrained, average"),
    "untrained": (COLOURS[3], "autoregressive, untrained"),
    "last item": (COLOURS[4], "last word alone"),
    "shuffled targets": ("#999999", "shuffled targets"),
    "constant": ("#cccccc", "constant"),
}


def draw(result: TopicsResult, figure: Figure) -> None:
    figure.set_size_inches(14, 5)
    axes, every = figure.subplots(1, 2), result.setting.alphas
    for panel, metric in zip(axes, ("accuracy", "L2"), strict=True):
        for place, (source, (colour, label)) in enumerate(STYLES.items()):
            alphas = [alpha for alpha in every if source in result.sources(alpha)]
            at = [every.index(alpha) + (place - 4) * 0.09 for alpha in alphas]
            values = [result.values(alpha, source, metric) for alpha in alphas]
            panel.bar(at, [np.mean(one) for one in values], 0.085, color=colour, label=label)
            for x, one in zip(at, values, strict=True):
                panel.plot([x] * len(one), one, ".", color="black", markersize=3)
        panel.set(xticks=range(len(every)), xticklabels=[f"{alpha:g}" for alpha in every])
        panel.set(xlabel="alpha of the mixtures", title=f"{metric} against the generating mixture")
        panel.grid(alpha=0.3, axis="y")
    axes[1].legend(fontsize=8, loc="upper right")


if __name__ == "__main__":
    main(STUDY, draw)
