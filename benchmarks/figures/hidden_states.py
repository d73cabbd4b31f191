"""Hidden Markov models: which belief over the hidden state embeddings hold, before and after a token.

`python benchmarks/figures/hidden_states.py` trains transformers and recurrent networks on chains with emissions of both
concentrations, probes every target from both embeddings beside nulls and ceilings, and writes the figure and tables;
about 8 minutes on two cores, `--size tiny` under half a minute, `--size published` the published sizes (hours on a
GPU). With `--keep FOLDER` a killed run goes on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.decoding import CEILING, MODEL, UNTRAINED
from jaxembed.studies.sequences.hidden_state_scores import EMBEDDINGS, STATISTIC, TARGETS
from jaxembed.studies.sequences.hidden_states import MAIN, NETWORKS, STUDY, HiddenStates

KL = "KL to the exact belief, nats"


def draw(result: HiddenStates, figure: Figure) -> None:
    figure.set_size_inches(15, 10)
    axes = figure.subplots(2, 2)
    emission = result.setting.emissions[0]
    for panel, embedding in zip(axes[0], EMBEDDINGS, strict=True):
        grid_panel(panel, result, emission, embedding)
    along_panel(axes[1, 0], result)
    depth_panel(axes[1, 1], result)
    for panel in axes.flat:
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, ncols=3 if panel in axes[0] else 1)


def grid_panel(panel: Axes, result: HiddenStates, emission: float, embedding: str) -> None:
    """Accuracy of every target from one embedding: network, ceiling, best null."""
    places = np.arange(len(TARGETS))
    sources = [(network, result.of(emission, network), MODEL) for network in result.setting.recipes]
    sources += [(name, result.of(emission), name) for name in (STATISTIC, CEILING)]
    for i, ((label, scores, source), colour) in enumerate(zip(sources, COLOURS, strict=False)):
        values = np.array([scores.values(f"{embedding}: {target}", "accuracy", source) for target in TARGETS])
        means = values.mean(axis=1)
        spread = [means - values.min(axis=1), values.max(axis=1) - means]
        panel.bar(places + 0.2 * (i - 1.5), means, 0.2, yerr=spread, color=colour, label=label, capsize=2)
    nulls = [result.of(emission).null(f"{embedding}: {target}", "accuracy")[0].mean() for target in TARGETS]
    panel.scatter(places, nulls, marker="_", s=1200, color="black", zorder=3, label="best null")
    panel.set_xticks(places, [target.replace(", ", ",\n") for target in TARGETS])
    panel.set(ylabel="agreement of the argmax", title=f"{embedding}, emission {emission:g}", ylim=(0, 1.25))


def along_panel(panel: Axes, result: HiddenStates) -> None:
    """KL of the belief along training, dotted before it."""
    for (emission, network), run in result.runs.items():
        steps = sorted({place[2] or 0 for place in run.depths.places("belief")})
        if len(steps) > 1:
            found = np.array([run.depths.values("belief", "KL", step=step) for step in steps])
            label = f"{network}, emission {emission:g}"
            colour = COLOURS[2 * result.setting.emissions.index(emission) + NETWORKS.index(network)]
            band(panel, np.array(steps), found.T, label, colour)
            before = np.array([run.depths.values("belief", "KL", UNTRAINED)] * len(steps))
            band(panel, np.array(steps), before.T, f"{label}, untrained", colour, ":")
    panel.set(xscale="log", yscale="log", xlabel="step", ylabel=KL, title=f"{MAIN}, along training")


def depth_panel(panel: Axes, result: HiddenStates) -> None:
    """KL of the belief by layer, at the end of training and, dotted, before it."""
    for (emission, network), run in result.runs.items():
        places = run.depths.places("belief")
        last = max(place[2] or 0 for place in places)
        layers = [place[1] for place in places if place[2] == last]
        found = np.array([run.depths.values("belief", "KL", layer=layer, step=last) for layer in layers])
        untrained = np.array([run.depths.values("belief", "KL", UNTRAINED, layer=layer) for layer in layers])
        colour = COLOURS[2 * result.setting.emissions.index(emission) + NETWORKS.index(network)]
        label = f"{network}, emission {emission:g}"
        band(panel, np.array(layers), found.T, label, colour)
        band(panel, np.array(layers), untrained.T, f"{label}, untrained", colour, ":")
    panel.set(yscale="log", xlabel="layer (0: embedding)", ylabel=KL, title=f"{MAIN}, by layer")


if __name__ == "__main__":
    main(STUDY, draw)
