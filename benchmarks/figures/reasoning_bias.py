"""Reasoning bias: what is learned first, from large and from small initial weights.

`python benchmarks/figures/reasoning_bias.py` prints the losses of reasoning and memory anchors where reasoning is
learned and writes table and figure; about 10 minutes on two cores, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import COLOURS, band, cosine_panel, main
from matplotlib.figure import Figure

from jaxembed.studies.small.reasoning_bias import PARTS, STUDY, ReasoningBias


def draw(result: ReasoningBias, figure: Figure) -> None:
    columns = len(result.runs) + 1
    figure.set_size_inches(3.6 * columns, 7.4)
    panels = figure.subplots(2, columns)
    named = [(f"gamma {gamma:g}", run, result.at_half_fall(gamma)) for gamma, run in result.runs.items()]
    control_title = f"gamma {result.small:g}, shuffled labels"
    named.append((control_title, result.control, result.at_half_fall(result.small)))
    first = int(result.setting.task.memory_anchor_tokens[0])
    for (title, run, steps), (upper, lower) in zip(named, panels.T, strict=True):
        for part, colour in zip(PARTS, COLOURS, strict=False):
            band(upper, run.steps, run.values[part], part, colour)
        upper.axhline(result.setting.target, color="grey", linewidth=0.8, linestyle=":")
        upper.set(title=title, xlabel="step", ylim=(0, None))
        image = cosine_panel(lower, run.cosines_at(steps), f"step {steps.mean():.0f}: reasoning loss halved", first)
        lower.set_xlabel("anchor token (memory, then reasoning)", fontsize=8)
    panels[1, -1].set_title(f"step {steps.mean():.0f}", fontsize=9)
    panels[0, 0].set_ylabel("population loss (nats)")
    panels[0, 0].legend(fontsize=8)
    figure.colorbar(image, ax=panels[1, :], label="cosine, mean over seeds", shrink=0.8)


if __name__ == "__main__":
    main(STUDY, draw)
