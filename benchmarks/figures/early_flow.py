"""The first steps of a language model beside the flow of its pair counts: skill over time, by the size of the blocks.

`python benchmarks/figures/early_flow.py` trains decoders on wikipedia_en (JAXEMBED_DATA names the folder that holds
pile/) by gradient descent and AdamW, prints the skill of each prediction and its controls, and writes figure and
tables; about 15 minutes on one core (2 seeds), `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.language.early_flow import CONTROLS, OBSERVED, SIDES, STUDY, EarlyFlow


def draw(result: EarlyFlow, figure: Figure) -> None:
    figure.set_size_inches(20, 9)
    panels = figure.subplots(2, 4, sharey=True)
    for row, side in zip(panels, SIDES, strict=True):
        for axes, observed in zip(row, OBSERVED, strict=False):
            flow_panel(axes, result, side, observed)
        adam_panel(row[-1], result, side)
    panels[0, 0].set_ylim(-1, 1)


def flow_panel(axes: Axes, result: EarlyFlow, side: str, observed: str) -> None:
    times, scales = result.times["sgd"], result.setting.scales[0]
    for number, scale in enumerate(scales):
        colour, label = COLOURS[number % len(COLOURS)], f"blocks x {scale:g}" if scale else "self-test (no blocks)"
        band(axes, times, result.skill(scale, side, "pair flow", observed), label, colour)
        rung0 = result.skill(scale, side, "rung 0", observed)
        axes.plot(times, rung0.mean(axis=0), ":", color=colour, linewidth=1.5)
    controls = [result.skill(scales[-1], side, name, observed) for name in CONTROLS]
    axes.plot(times, np.max([skill.mean(axis=0) for skill in controls], axis=0), "k--", linewidth=1)
    axes.axhline(0.9, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="flow time (learning rate x step)", ylabel="skill (1: exact, 0: nothing moves)")
    axes.set_title(f"{side}: {OBSERVED[observed]}, gradient descent", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def adam_panel(axes: Axes, result: EarlyFlow, side: str) -> None:
    for number, scale in enumerate(result.setting.scales[1]):
        for style, name in (("-", "sign flow"), ("--", "shuffled corpus")):
            skill = result.skills["adamw", scale, side, "whole", name].skill
            band(axes, result.times["adamw"], skill, f"{name}, blocks x {scale:g}", COLOURS[number], style)
    axes.set(xlabel="step of AdamW")
    axes.set_title(f"{side}: {OBSERVED['whole']}, AdamW", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
