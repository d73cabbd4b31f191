"""Hidden Markov models: which belief over the hidden state embeddings hold, before and after a token.

`python benchmarks/figures/hidden_states.py` trains transformers and recurrent networks on chains with emissions of both
concentrations, probes every target from both embeddings beside nulls and ceilings, and writes the figure and tables;
about 8 minutes on two cores, `--size tiny` under half a minute, `--size full` the published sizes (hours on a GPU).
With `--keep FOLDER` a killed run goes on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, plt, save
from _generated import stamped_markdown, study_arguments
from common import finish, show

from jaxembed.decoding.scores import CEILING, MODEL, UNTRAINED
from jaxembed.studies.measured import mean_and_interval
from jaxembed.studies.sequences.hidden_state_cells import EMBEDDINGS, OWN_PRIOR, STATISTIC, TARGETS, TRANSFER
from jaxembed.studies.sequences.hidden_states import HEADER, MAIN, METRICS, NETWORKS, HiddenStates, hidden_states

LOSS_HEADER = ("emission", "network", "trained", "untrained", "exact", "excess, nats a token")
SHIFTED_HEADER = ("emission", "network", "belief of", "metric", "probe fitted anew", TRANSFER, OWN_PRIOR, "best null")
SEEDS = {"tiny": 1, "quick": 3, "full": 10}
KL = "KL to the exact belief, nats"


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    result = hidden_states(args.study, SEEDS[args.study], args.keep, lambda line: print(line, flush=True))
    show("what a linear probe reads, 95 % intervals over seeds", HEADER, result.rows(), width=220)
    note = note_on(result)
    stamped_markdown(args.out / "hidden_states.md", HEADER, result.rows(), args.command, note)
    stamped_markdown(args.out / "hidden_states_losses.md", LOSS_HEADER, result.loss_rows(), args.command, note)
    stamped_markdown(args.out / "hidden_states_shifted.md", SHIFTED_HEADER, shifted_rows(result), args.command, note)
    draw(result, args.out / "hidden_states.png", note)
    finish("hidden states", result.checks())


def note_on(result: HiddenStates) -> str:
    """Sizes, and where the probes read."""
    recipe, process = result.setting.recipes[NETWORKS[0]], result.setting.process
    return (
        f"{result.size}, {len(result.seeds)} seeds (network, world, draws), {process.states} states, {process.vocab} "
        f"tokens, lingering {process.linger:g}, {recipe.steps} steps of {recipe.batch} sequences of {recipe.length}, "
        f"{recipe.model}; read after item {result.setting.position} and the next"
    )


def shifted_rows(result: HiddenStates) -> list[tuple[str, ...]]:
    """Out of distribution: the probe fitted anew beside the one carried over."""
    rows = []
    for (emission, network), run in result.runs.items():
        for prior in ("own", "shifted"):
            name = f"shifted data: belief of the {prior} prior"
            for metric in METRICS:
                found = [run.cells.values(name, metric, source) for source in (MODEL, TRANSFER, OWN_PRIOR)]
                null, source = run.cells.null(name, metric)
                texts = [*(mean_and_interval(values, 4) for values in found), f"{null.mean():.4f} ({source})"]
                rows.append((f"{emission:g}", network, f"the {prior} prior", metric, *texts))
    return rows


def draw(result: HiddenStates, path: Path, note: str) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(15, 10), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    emission = result.setting.emissions[0]
    for panel, embedding in zip(axes[0], EMBEDDINGS, strict=True):
        grid_panel(panel, result, emission, embedding)
    along_panel(axes[1, 0], result)
    depth_panel(axes[1, 1], result)
    for panel in axes.flat:
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8, ncols=3 if panel in axes[0] else 1)
    save(figure, path, f"{note}. Bars and bands: smallest to largest over seeds.")


def grid_panel(panel: plt.Axes, result: HiddenStates, emission: float, embedding: str) -> None:
    """Accuracy of every target from one embedding: network, ceiling, best null."""
    places = np.arange(len(TARGETS))
    sources = [(network, result.of(emission, network), MODEL) for network in result.setting.recipes]
    sources += [(name, result.of(emission), name) for name in (STATISTIC, CEILING)]
    for i, ((label, cells, source), colour) in enumerate(zip(sources, COLOURS, strict=False)):
        values = np.array([cells.values(f"{embedding}: {target}", "accuracy", source) for target in TARGETS])
        means = values.mean(axis=1)
        spread = [means - values.min(axis=1), values.max(axis=1) - means]
        panel.bar(places + 0.2 * (i - 1.5), means, 0.2, yerr=spread, color=colour, label=label, capsize=2)
    nulls = [result.of(emission).null(f"{embedding}: {target}", "accuracy")[0].mean() for target in TARGETS]
    panel.scatter(places, nulls, marker="_", s=1200, color="black", zorder=3, label="best null")
    panel.set_xticks(places, [target.replace(", ", ",\n") for target in TARGETS])
    panel.set(ylabel="agreement of the argmax", title=f"{embedding}, emission {emission:g}", ylim=(0, 1.25))


def along_panel(panel: plt.Axes, result: HiddenStates) -> None:
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


def depth_panel(panel: plt.Axes, result: HiddenStates) -> None:
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
    main()
