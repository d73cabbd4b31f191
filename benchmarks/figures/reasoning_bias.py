"""Reasoning bias: what is learned first, from large and from small initial weights.

`python benchmarks/figures/reasoning_bias.py` prints the losses of reasoning and memory anchors where reasoning is
learned, writes the figure, and exits non-zero where a figure falls short; about 10 minutes on two cores, `--size tiny`
half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import COLOURS, band, cosine_panel, markdown, plt, save
from common import arguments, finish

from jaxembed.studies.measured import Measured, spread
from jaxembed.studies.small.reasoning_bias import PARTS, ReasoningBias, reasoning_bias

HEADER = ("gamma", "step", *(f"{part} loss" for part in PARTS), "memory cosine, order", "reasoning cosine, order")


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = reasoning_bias(args.size, progress=lambda line: print(line, flush=True))
    markdown(args.out / "reasoning_bias.md", HEADER, rows(result))
    draw(result, args.out / "reasoning_bias.png")
    finish("reasoning bias", result.checks())


def rows(result: ReasoningBias) -> list[tuple[str, ...]]:
    """Mean ± sd over seeds where the reasoning loss has fallen to half, and where it reaches the target."""
    table = []
    for gamma, run in result.runs.items():
        for steps in (result.at_half_fall(gamma), result.at_target(gamma)):
            names = (*PARTS, "memory cosine", "memory order", "reasoning cosine", "reasoning order")
            found = {name: run.at(name, steps) for name in names}
            text = {name: spread(one.mean, one.sd) for name, one in ((n, Measured(v, v)) for n, v in found.items())}
            anchors = [f"{text[f'{kind} cosine']}, {text[f'{kind} order']}" for kind in ("memory", "reasoning")]
            table.append((f"{gamma:g}", f"{steps.mean():.0f}", *(text[part] for part in PARTS), *anchors))
    return table


def draw(result: ReasoningBias, path: Path) -> None:
    columns = len(result.runs) + 1
    figure, panels = plt.subplots(2, columns, figsize=(3.6 * columns, 7.4), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
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
    save(figure, path, caption(result))


def caption(result: ReasoningBias) -> str:
    setting = result.setting
    return (
        f"Feedforward, width {setting.width}, hidden {setting.hidden}, weights of standard deviation d_in^-gamma; "
        f"AdamW {setting.learning_rate:g}, batch {setting.batch}, float32; {result.seeds} seeds (init and data order), "
        "band: smallest to largest.\n"
    )


if __name__ == "__main__":
    main()
