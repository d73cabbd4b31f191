"""Topics amid grammar: how well the mixture of a document is read, by the share of semantic words.

`python benchmarks/figures/semantic_share.py` trains on documents whose words come from topics or from three classes of
a hidden Markov chain (200 words, 3 seeds; about 8 minutes on one core), and writes table and figure; `--size tiny`
takes seconds, `--size published` the published length (hours).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.figure import Figure

from jaxembed.studies.sequences.semantic_share import PUBLISHED, STUDY, SemanticShare

CURVES = {
    "ceiling": ("black", "ceiling: posterior mean, parameters known"),
    "model": (COLOURS[0], "network"),
    "untrained": (COLOURS[3], "untrained network"),
    "last item": (COLOURS[4], "last word alone"),
    "shuffled targets": ("#999999", "shuffled targets"),
    "constant": ("#cccccc", "constant"),
}


def draw(result: SemanticShare, figure: Figure) -> None:
    figure.set_size_inches(12, 5)
    axes, shares = figure.subplots(1, 2), sorted(result.decoded)
    for panel, metric in zip(axes, ("accuracy", "L2"), strict=True):
        for source, (colour, label) in CURVES.items():
            values = np.array([result.values(share, source, metric) for share in shares])
            panel.plot(shares, values.mean(axis=1), "o-", color=colour, label=label, linewidth=1.5, markersize=4)
            panel.fill_between(shares, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2, linewidth=0)
        panel.axvline(PUBLISHED, color="grey", linestyle=":", label="recoverable from here on, as published")
        panel.set(xlabel="share of semantic words", title=f"{metric} against the generating mixture")
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize=8)


if __name__ == "__main__":
    main(STUDY, draw)
