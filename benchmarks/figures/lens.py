"""From the embedding to the next token: lenses of every layer, and single-token predictions, along training.

`python benchmarks/figures/lens.py --keep FOLDER` reads decoders trained on The Pile at every saved step (and trains
them first where FOLDER does not hold them: an hour and more on two cores) and writes the figure and the tables; about
ten minutes on one core once they are trained. Needs JAXEMBED_DATA. `--size tiny` trains its own on Python's
documentation, some ten seconds. A killed run goes on from FOLDER.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.language.lens import DIRECTIONS, STUDY, LensResult, layer_name
from jaxembed.studies.language.lens_early import SHUFFLED
from jaxembed.studies.language.lens_scores import REFERENCES


def draw(result: LensResult, figure: Figure) -> None:
    figure.set_size_inches(17, 9.5)
    axes = figure.subplots(2, 3).ravel()
    panels = (depth_panel, entropy_panel, layers_panel, loss_panel, reference_panel, motion_panel)
    for panel, axis in zip(panels, axes, strict=True):
        panel(axis, result)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    for axis in axes[2:]:
        axis.set_xscale("symlog", linthresh=float(result.words[1]))
        axis.set_xlim(left=0)
        axis.set_xlabel("words seen (0: untrained)")


def depth_panel(axes: Axes, result: LensResult) -> None:
    """KL to the final distribution by depth: trained and untrained, plain and learned, with nulls and theory."""
    layers = np.arange(result.layers("divergence").shape[2] - 1)  # the last is zero by definition
    for at, name, colour in ((-1, "trained", COLOURS[0]), (0, "untrained", COLOURS[1])):
        band(axes, layers, result.layers("divergence")[:, at, :-1], f"{name}, plain lens", colour)
        band(axes, layers, result.layers("divergence", learned=True)[:, at, :-1], f"{name}, learned lens", colour, "--")
        for null, style in (("unigram", "-."), ("uniform", ":")):
            level = result.layers(null)[:, at].mean()
            axes.axhline(level, color=colour, linewidth=0.8, linestyle=style, label=f"{name}, {null} distribution")
    axes.plot(layers, result.angle().mean(axis=0)[:-1], "x", color="black", label="untrained, by angle (R5)")
    axes.set(yscale="log", xlabel="read at", ylabel="KL(final || layer), nats", title="KL to the final distribution")
    axes.set_xticks(layers, [layer_name(int(layer)) for layer in layers])


def entropy_panel(axes: Axes, result: LensResult) -> None:
    """Entropy by depth, one line per saved step."""
    entropy = result.layers("entropy").mean(axis=0)
    colours = colormaps["viridis"](np.linspace(0, 0.95, len(result.steps)))
    for at, step in enumerate(result.steps):
        label = f"{step} updates" if at % 3 == 0 or at == len(result.steps) - 1 else None
        axes.plot(entropy[at], color=colours[at], label=label)
    axes.set(xlabel="read at", ylabel="entropy, nats", title="how sharp: entropy by depth, along training")
    axes.set_xticks(range(entropy.shape[1]), [layer_name(layer) for layer in range(entropy.shape[1])])


def layers_panel(axes: Axes, result: LensResult) -> None:
    """KL to the final distribution along training, one line per layer."""
    divergence = result.layers("divergence")
    for layer in range(divergence.shape[2] - 1):
        band(axes, result.words, divergence[:, :, layer], layer_name(layer), COLOURS[layer % len(COLOURS)])
    for null, style in (("unigram", "-."), ("uniform", ":")):
        axes.plot(result.words, result.layers(null).mean(axis=0), style, color="black", linewidth=1, label=null)
    axes.set(ylabel="KL(final || layer), nats", title="plain lens along training")


def loss_panel(axes: Axes, result: LensResult) -> None:
    """Held-out loss of the model, of its first layer and of the model reading one token, with the floors of counts."""
    loss = result.layers("loss")
    band(axes, result.words, loss[:, :, -1], "in context", COLOURS[0])
    band(axes, result.words, result.single("loss"), "reading one token", COLOURS[1])
    band(axes, result.words, loss[:, :, 0], "read at the embedding", COLOURS[2])
    for name, style in zip(result.counts["floors"], (":", "-.", "--", "-"), strict=True):
        axes.axhline(
            result.counts["floors"][name], color="black", linewidth=0.8, linestyle=style, label=f"{name} counts"
        )
    axes.set(ylabel="held-out loss, nats", title="held-out loss and the floors of counts")


def reference_panel(axes: Axes, result: LensResult) -> None:
    """How far single-token predictions are from each reference."""
    for name, colour in zip(REFERENCES, COLOURS, strict=False):
        band(axes, result.words, result.single("alone", name), f"{name}", colour)
    band(axes, result.words, result.single("context", "bigram"), "bigram, word in context", "black", "--")
    axes.axhline(result.counts["divergences"]["unigram"], color=COLOURS[2], linewidth=0.8, linestyle="-.",
                 label="KL(bigram || unigram)")  # fmt: skip
    axes.set(ylabel="KL(reference || model reading one word)", title="single-word predictions beside counts")


def motion_panel(axes: Axes, result: LensResult) -> None:
    """Correlation of the motion of single-token logits with what theory and counts say."""
    for name, colour in zip(DIRECTIONS, COLOURS, strict=False):
        band(axes, result.words[1:], result.single("motion", name)[:, 1:], name, colour)
        values = result.single("motion", name + SHUFFLED)[:, 1:].mean(axis=0)
        axes.plot(result.words[1:], values, ":", color=colour, linewidth=1)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(ylabel="correlation (dotted: shuffled corpus)", title="which way single-word logits have moved")


if __name__ == "__main__":
    main(STUDY, draw)
