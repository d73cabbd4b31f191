"""Does theory help training? Held-out loss from signatures and from the usual start, and the steps saved.

`python benchmarks/figures/signature_start.py` searches form, norm and learning rate, trains every start on
wikipedia_en (JAXEMBED_DATA names the folder that holds pile/), prints steps saved at equal held-out loss with their
spread over seeds, and writes figure and tables; about 45 minutes on two cores, `--size tiny` half a minute. With
`--keep FOLDER` a stopped script goes on where it was. All that is searched is chosen on short schedules of 60 steps,
by the held-out tokens that the gains are reported on; the tables say so.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.language.signature_start import RIVALS, STARTS, STUDY, ScheduleCurves, SignatureStart

COLOUR_OF = dict(zip(STARTS, (*COLOURS, "goldenrod", "deeppink", "darkcyan"), strict=True))


def draw(result: SignatureStart, figure: Figure) -> None:
    figure.set_size_inches(5 * len(result.curves), 8)
    panels = figure.subplots(2, len(result.curves), squeeze=False)
    for column, curves in zip(panels.T, result.curves.values(), strict=True):
        loss_panel(column[0], curves)
        gain_panel(column[1], curves)


def loss_panel(axes: Axes, curves: ScheduleCurves) -> None:
    for start, held in curves.held.items():
        band(axes, curves.steps, held, f"{start} ({len(held)} seeds)", COLOUR_OF[start])
    axes.set(xlabel="step", ylabel="held-out loss (nats per token)")
    axes.set_title(f"{curves.schedule.name}: {curves.tokens:,} tokens", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def gain_panel(axes: Axes, curves: ScheduleCurves) -> None:
    for start in curves.held:
        if start != "standard":
            rival = RIVALS.get(start, ("standard",))[0]
            label = start if rival == "standard" else f"{start}\n(against {rival})"
            band(axes, curves.steps, curves.gain(start, rival), label, COLOUR_OF[start])
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="step", ylabel="nats below the standard start (or that named)")
    axes.legend(fontsize=7, framealpha=0.5)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
