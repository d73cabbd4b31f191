"""Soft labels: concepts of the support learned in steps at 1 / sigma, and contexts of one support collapsing.

`python benchmarks/figures/soft_label.py` prints step times over the size of the start, runs squared error and
cross-entropy beside each other, writes the figure, and exits non-zero where a figure falls short; about a minute on two
cores, `--size tiny` half of that.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish
from rich.console import Console
from rich.table import Table

from jaxembed.studies.small.soft_label import LOSSES, SoftLabelStudy, soft_label
from jaxembed.theory import soft_label as theory


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = soft_label(args.size, progress=lambda line: print(line, flush=True))
    header = ("delta", *(f"level {i + 1}: sigma = {s:.3f}" for i, s in enumerate(result.strengths)))
    table = Table(title="sigma x step time / delta, by the flow (closed form); 1 in the limit")
    for column in header:
        table.add_column(column)
    for row in result.rows():
        table.add_row(*row)
    Console(width=160).print(table)
    markdown(args.out / "soft_label.md", header, result.rows())
    draw(result, args.out / "soft_label.png")
    finish("soft labels", result.checks())


def draw(result: SoftLabelStudy, path: Path) -> None:
    figure, axes = plt.subplots(1, 4, figsize=(20, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    steps_panel(axes[0], result)
    for panel, loss in zip(axes[1:3], LOSSES, strict=True):
        for level, colour in zip(range(len(result.strengths)), COLOURS, strict=False):
            band(panel, result.times[1:], result.levels[loss][:, 1:, level], f"level {level + 1}", colour)
        panel.set(xscale="log", xlabel="flow time", ylabel="logits along the level's concepts / sigma", title=loss)
    for loss, colour in zip(LOSSES, COLOURS, strict=False):
        band(axes[3], result.times[1:], result.same[loss][:, 1:], f"{loss}: one support", colour)
        band(axes[3], result.times[1:], result.other[loss][:, 1:], f"{loss}: other supports", colour, "--")
    axes[3].axhline(result.label_cosine, color="grey", linestyle=":", label="one support, labels alone")
    axes[3].set(xscale="log", xlabel="flow time", ylabel="mean cosine of context vectors", title="contexts collapse")
    for panel in axes:
        panel.legend(fontsize=8)
        panel.grid(alpha=0.3)
    setting = result.setting
    caption = (
        f"contexts on the nodes of tree {setting.branching}, {setting.repeats} each, Dirichlet "
        f"{setting.concentration:g}, width {setting.width}, float64; panels 2 to 4: init scale {setting.init_scale:g}, "
        f"weight decay of cross-entropy {setting.decays[-1]:g},\nbands: smallest to largest over "
        f"{len(result.same[LOSSES[0]])} init seeds. "
    )
    save(figure, path, caption)


def steps_panel(axes: plt.Axes, result: SoftLabelStudy) -> None:
    grid = np.linspace(0.0, 2.0 / result.strengths[-1], 400)
    for delta, style in zip(result.setting.deltas, (":", "-.", "--", (0, (5, 1)), "-"), strict=False):
        for sigma, colour in zip(result.strengths, COLOURS, strict=False):
            axes.plot(grid, theory.share(delta * grid, sigma, delta), linestyle=style, color=colour)
        axes.plot([], [], linestyle=style, color="grey", label=f"delta = {delta:g}")
    for sigma, colour in zip(result.strengths, COLOURS, strict=False):
        axes.axvline(1 / sigma, color=colour, linewidth=0.8, alpha=0.6)
    axes.set(xlabel="flow time / delta", ylabel="learned share a of the concept", title="steps at 1 / sigma (vertical)")


if __name__ == "__main__":
    main()
