"""The first steps of a language model beside the flow of its pair counts: skill over time, by the size of the blocks.

`python benchmarks/figures/early_flow.py` trains decoders on wikipedia_en (JAXEMBED_DATA names the folder that holds
pile/) by gradient descent and AdamW, prints the skill of each prediction and its controls, writes figure and tables,
and exits non-zero where a figure falls short; about 15 minutes on one core (2 seeds), `--size tiny` half a minute.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.language.early_flow import (
    CONTROLS,
    EFFECTIVE,
    HEADER,
    HORIZONS,
    OBSERVED,
    SIDES,
    EarlyFlow,
    early_flow,
)


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    if args.size == "normal" and "JAXEMBED_DATA" not in os.environ:
        raise SystemExit("early flow: set JAXEMBED_DATA to the folder that holds pile/, or use --size tiny")
    result = early_flow(args.size, progress=lambda line: print(line, flush=True))
    seeds = len(result.lines[0].horizon)
    show(f"skill of the Gram of the motion, {result.tokens:,} tokens, {seeds} seeds", HEADER, result.rows())
    show("until when each prediction holds", HORIZONS, result.horizons())
    show("tokens that the Gram of the motion is about", EFFECTIVE, result.effective_rows())
    markdown(args.out / "early_flow.md", HEADER, result.rows())
    markdown(args.out / "early_flow_horizon.md", HORIZONS, result.horizons())
    markdown(args.out / "early_flow_tokens.md", EFFECTIVE, result.effective_rows())
    draw(result, args.out / "early_flow.png")
    finish("early flow", result.checks())


def draw(result: EarlyFlow, path: Path) -> None:
    figure, panels = plt.subplots(2, 4, figsize=(20, 9), layout="constrained", sharey=True)
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    for row, side in zip(panels, SIDES, strict=True):
        for axes, observed in zip(row, OBSERVED, strict=False):
            flow_panel(axes, result, side, observed)
        adam_panel(row[-1], result, side)
    panels[0, 0].set_ylim(-1, 1)
    setting, model = result.setting, result.setting.model
    caption = (
        f"{setting.subset}, {result.tokens:,} tokens, byte-level BPE of {setting.vocab}; decoder of width "
        f"{model.width}, {model.layers} layers; the {setting.frequent} most frequent tokens; gradient descent "
        f"at {setting.rate:g}, {setting.batch} x {setting.length} tokens a step; AdamW at {setting.adam_rate:g}, "
        f"{setting.adam_batch} x {setting.length};\nband: smallest to largest of {len(result.lines[0].horizon)} seeds "
        "(init and data order); solid: pair flow, dotted: rung 0; "
        "dashed black: the best control at the usual start; below -1: cut off. "
    )
    save(figure, path, caption)


def flow_panel(axes: plt.Axes, result: EarlyFlow, side: str, observed: str) -> None:
    times, scales = result.times["sgd"], result.setting.scales
    for number, scale in enumerate(scales):
        colour, label = COLOURS[number % len(COLOURS)], f"blocks x {scale:g}" if scale else "self-test (no blocks)"
        band(axes, times, result.line("sgd", scale, side, observed, "pair flow").skill, label, colour)
        rung0 = result.line("sgd", scale, side, observed, "rung 0").skill
        axes.plot(times, rung0.mean(axis=0), ":", color=colour, linewidth=1.5)
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
