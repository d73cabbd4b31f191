"""The first steps of a language model beside the flow of its pair counts: skill over time, by the size of the blocks.

`python benchmarks/figures/early_flow.py` trains decoders on wikipedia_en (JAXEMBED_DATA names the folder that holds
pile/) by gradient descent and AdamW, prints the skill of each prediction and its controls, writes figure and tables,
and exits non-zero where a figure falls short; about 10 minutes on two cores, `--size tiny` half a minute.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.early_flow import CONTROLS, HEADER, OBSERVED, SIDES, EarlyFlow, early_flow

HORIZONS = ("blocks", "table", "skill below 0.9 (flow time)", "below 0.5")


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    if args.size == "normal" and "JAXEMBED_DATA" not in os.environ:
        raise SystemExit("early flow: set JAXEMBED_DATA to the folder that holds pile/, or use --size tiny")
    result = early_flow(args.size, progress=lambda line: print(line, flush=True))
    seeds = len(result.lines[0].horizon)
    show(f"skill of the Gram of the motion, {result.tokens:,} tokens, {seeds} seeds", HEADER, result.rows())
    show("until when the pair flow holds", HORIZONS, result.horizons())
    markdown(args.out / "early_flow.md", HEADER, result.rows())
    markdown(args.out / "early_flow_horizon.md", HORIZONS, result.horizons())
    draw(result, args.out / "early_flow.png")
    finish("early flow", result.checks())


def draw(result: EarlyFlow, path: Path) -> None:
    figure, panels = plt.subplots(2, 3, figsize=(16, 9), layout="constrained", sharey=True)
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    for row, side in zip(panels, SIDES, strict=True):
        for axes, observed in zip(row, OBSERVED, strict=False):
            flow_panel(axes, result, side, observed)
        adam_panel(row[2], result, side)
    panels[0, 0].set_ylim(-1, 1)
    setting, model = result.setting, result.setting.model
    caption = (
        f"{setting.subset}, {result.tokens:,} tokens, byte-level BPE of {setting.vocab}; decoder of width "
        f"{model.width}, {model.layers} layers; the {setting.frequent} most frequent tokens; gradient descent "
        f"at {setting.rate:g}, {setting.batch} x {setting.length} tokens a step; AdamW at {setting.adam_rate:g}, "
        f"{setting.adam_batch} x {setting.length};\nband: smallest to largest of {len(result.lines[0].horizon)} seeds "
        "(init and data order); dashed: the best control at the largest blocks. "
    )
    save(figure, path, caption)


def flow_panel(axes: plt.Axes, result: EarlyFlow, side: str, observed: str) -> None:
    times, scales = result.times["sgd"], result.setting.scales
    for number, scale in enumerate(scales):
        line = result.line("sgd", scale, side, observed, "pair flow")
        band(axes, times, line.skill, f"blocks x {scale:g}", COLOURS[number % len(COLOURS)])
    controls = [result.line("sgd", scales[-1], side, observed, name).skill for name in CONTROLS]
    axes.plot(times, np.max([skill.mean(axis=0) for skill in controls], axis=0), "k--", linewidth=1)
    axes.axhline(0.9, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="flow time (learning rate x step)", ylabel="skill (1: exact, 0: nothing moves)")
    axes.set_title(f"{side}: {OBSERVED[observed]}, gradient descent", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def adam_panel(axes: plt.Axes, result: EarlyFlow, side: str) -> None:
    for number, scale in enumerate(result.setting.adam_scales):
        for style, name in (("-", "sign flow"), ("--", "shuffled corpus")):
            line = result.line("adamw", scale, side, "whole", name)
            band(axes, result.times["adamw"], line.skill, f"{name}, blocks x {scale:g}", COLOURS[number], style)
    axes.set(xlabel="step of AdamW")
    axes.set_title(f"{side}: {OBSERVED['whole']}, AdamW", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
