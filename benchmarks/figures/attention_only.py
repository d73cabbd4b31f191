"""First steps of an attention-only transformer from zero weights against their closed forms, matrix by matrix.

`python benchmarks/figures/attention_only.py` trains on Markov corpora and on the words of Python's documentation,
prints relative errors and cosines of every matrix side by side and writes table and figure; some minutes on one core,
most of them for the text; `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.small.attention_only import MATRICES, STUDY, CorpusSteps, FirstSteps

NAMES = dict(zip(MATRICES, ("W_O", "V", "W", "P"), strict=True))


def draw(result: FirstSteps, figure: Figure) -> None:
    figure.set_size_inches(12, 4.5 * len(result.corpora))
    panels = figure.subplots(len(result.corpora), 2, squeeze=False)
    for (left, right), steps in zip(panels, result.corpora.values(), strict=True):
        error_panel(left, steps)
        cosine_panel(right, steps)


def title(steps: CorpusSteps) -> str:
    corpus = steps.corpus
    size = f"{corpus.vocab} tokens, {corpus.length} positions, {corpus.examples} sequences"
    return f"{corpus.kind}: {size}, {len(steps.start)} corpora"


def error_panel(axes: Axes, steps: CorpusSteps) -> None:
    for colour, matrix in zip(COLOURS, MATRICES, strict=False):
        band(axes, steps.times, steps.flow[matrix].max(axis=2), NAMES[matrix], colour, "o-")
        axes.plot(steps.times, steps.null[matrix].min(axis=(0, 2)), "--", color=colour, linewidth=0.8)
    axes.axhline(1e-3, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="flow time", ylabel="relative error", title=title(steps))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def cosine_panel(axes: Axes, steps: CorpusSteps) -> None:
    for colour, matrix in zip(COLOURS, MATRICES, strict=False):
        band(axes, steps.times, steps.cosine[matrix].min(axis=2), NAMES[matrix], colour, "o-")
        axes.plot(steps.times, steps.null_cosine[matrix].max(axis=(0, 2)), "--", color=colour, linewidth=0.8)
    axes.set(xscale="log", xlabel="flow time", ylabel="cosine", ylim=(None, 1.02))
    axes.set_title("the same, as a cosine: high long after sizes are wrong", fontsize=10)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
