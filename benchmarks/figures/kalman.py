"""Linear-Gaussian states: R2 of the Kalman mean read from embeddings, trained by likelihood and by squared error.

`python benchmarks/figures/kalman.py` trains both heads, probes them on own and shifted data, and writes figure and
tables; about 4 minutes on two cores, `--size tiny` under half a minute, `--size published` hours on a GPU. With `--keep
FOLDER` a killed run goes on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.decoding import CEILING, MODEL, NULLS, UNTRAINED
from jaxembed.studies.sequences.kalman import DATA, MEAN, STUDY, Kalman


def draw(result: Kalman, figure: Figure) -> None:
    figure.set_size_inches(18, 5.5)
    axes = figure.subplots(1, 3)
    data_panel(axes[0], result)
    for head, colour in zip(result.results, COLOURS, strict=False):
        along = result.depths[head]
        places = along.places(MEAN)
        steps = sorted({place[2] or 0 for place in places})
        layers = sorted({place[1] or 0 for place in places})
        by_step = np.array([along.values(MEAN, "R2", step=step) for step in steps])
        by_layer = np.array([along.values(MEAN, "R2", layer=layer, step=steps[-1]) for layer in layers])
        before = np.array([along.values(MEAN, "R2", UNTRAINED, layer=layer) for layer in layers])
        band(axes[1], np.array(steps), by_step.T, head, colour)
        band(axes[1], np.array(steps), np.array([before[-1]] * len(steps)).T, f"{head}, untrained", colour, ":")
        band(axes[2], np.array(layers), by_layer.T, head, colour)
        band(axes[2], np.array(layers), before.T, f"{head}, untrained", colour, ":")
    axes[1].set(xlabel="step", ylabel="R2 of the Kalman mean", title="along training", xscale="log")
    axes[2].set(xlabel="layer (0: embedding)", ylabel="R2 of the Kalman mean", title="by layer")
    for panel in axes:
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize=8, loc="upper center", ncols=3)
    for panel in axes[1:]:
        panel.legend(fontsize=8)


def data_panel(panel: Axes, result: Kalman) -> None:
    """The Kalman mean by head and data, beside the best null; the ceiling is 1."""
    places = np.arange(len(DATA))
    for i, (head, colour) in enumerate(zip(result.results, COLOURS, strict=False)):
        values = np.array([result.on(head, data).values(MEAN, "R2", MODEL) for data in DATA])
        means = values.mean(axis=1)
        spread = [means - values.min(axis=1), values.max(axis=1) - means]
        panel.bar(places + 0.3 * (i - 0.5), means, 0.3, yerr=spread, color=colour, label=head, capsize=2)
    nulls = [result.on("likelihood", data).null(MEAN, "R2")[0].mean() for data in DATA]
    panel.scatter(places, nulls, marker="_", s=2000, color="black", zorder=3, label=f"best of {len(NULLS)} nulls")
    panel.set_xticks(places, [data.replace(", ", ",\n") for data in DATA])
    panel.set(ylabel="R2 of the Kalman mean", title=f"what is read ({CEILING} 1)", ylim=(0, 1.15))


if __name__ == "__main__":
    main(STUDY, draw)
