"""Topics of documents in the states of decoders: probes to LDA mixtures beside their nulls, by layer and along a post.

`python benchmarks/figures/natural_topics.py` trains small decoders on 20 Newsgroups (JAXEMBED_DATA names the folder
that holds `newsgroups20/`), and writes tables and figure; about 5 minutes on one core, `--size tiny` (made-up text, no
data needed) ten seconds. With `--keep FOLDER` finished parts are kept, and a second call carries on. The published size
is of pretrained models: `jaxembed topics FOLDER` reads one.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.analysis.topics.result import ROWS, TopicScores
from jaxembed.studies.language.natural_topics import STUDY, NaturalTopics


def draw(result: NaturalTopics, figure: Figure) -> None:
    figure.set_size_inches(18, 5.5)
    panels = (accuracy_panel, layer_panel, place_panel)
    for axes, panel in zip(figure.subplots(1, 3), panels, strict=True):
        panel(axes, result.scores)
        axes.grid(alpha=0.3)


def accuracy_panel(axes: Axes, result: TopicScores) -> None:
    """Top-topic accuracy of every row, one bar for each number of topics."""
    height = 0.8 / len(result.sizes.topics)
    for k, (size, colour) in enumerate(zip(result.sizes.topics, COLOURS, strict=False)):
        cells = [result.accuracy(size, name) for name in ROWS]
        means = np.array([cell.mean() for cell in cells])
        reach = np.array([[m - cell.min(), cell.max() - m] for m, cell in zip(means, cells, strict=True)]).T
        axes.barh(np.arange(len(ROWS)) + k * height, means, height, xerr=reach, color=colour, label=f"K = {size}")
    axes.set_yticks(np.arange(len(ROWS)) + 0.4 - height / 2, ROWS, fontsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="top-topic accuracy (LDA's own inference: 1)", title="what is read, and what needs no training")
    axes.legend(fontsize=8)


def layer_panel(axes: Axes, result: TopicScores) -> None:
    depths = np.arange(len(result.depths))
    for state, group, style in (("trained", result.trained, "o-"), ("untrained", result.untrained, "s--")):
        for pooling, colour in zip(("average", "last"), COLOURS, strict=False):
            values = group[f"layers {pooling}"][:, :, 0]
            axes.plot(depths, values.mean(axis=0), style, color=colour, label=f"{state}, {pooling} token")
            axes.fill_between(depths, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
    axes.set_xticks(depths, result.depths, rotation=20, fontsize=8)
    axes.set(ylabel="top-topic accuracy", title=f"decodability by layer, K = {result.sizes.topics[0]}")
    axes.legend(fontsize=8)


def place_panel(axes: Axes, result: TopicScores) -> None:
    """Accuracy along the document on the left axis, loss of what follows on the right one."""
    right, prefix = result.trained["right"].mean(axis=2), result.references["prefix"]
    shares = np.arange(1, len(prefix) + 1) / len(prefix)
    axes.plot(shares, right.mean(axis=0), "o-", color=COLOURS[0], label="accuracy of the state there")
    axes.plot(shares, prefix, "^:", color=COLOURS[0], label="of LDA's own inference so far")
    axes.set(xlabel="share of the document read", ylabel="top-topic accuracy", ylim=(0, 1.02))
    other = axes.twinx()
    losses = np.nanmean(result.trained["losses"][:, :-1], axis=2).mean(axis=0)
    other.plot(shares[:-1], losses, "s--", color=COLOURS[1], label="loss of the tokens up to the next place (right)")
    # Room for the legend below the lowest loss.
    room = float(np.ptp(losses)) or 1.0
    other.set(ylabel="nats per token", ylim=(losses.min() - 0.45 * room, losses.max() + 0.05 * room))
    link = result.links[0]
    axes.set_title(
        f"loss per step to a right topic: {link.coefficient:.3f} [{link.low:.3f}, {link.high:.3f}] nats (seed 0)"
    )
    (lines, labels), (others, names) = axes.get_legend_handles_labels(), other.get_legend_handles_labels()
    axes.legend([*lines, *others], [*labels, *names], fontsize=8, loc="lower right")


if __name__ == "__main__":
    main(STUDY, draw)
