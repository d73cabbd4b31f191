"""The ladder of theories: error of each rung against the exact flow, and how long each holds.

`python benchmarks/figures/ladder.py` prints the errors of the linear model's rungs on the addition task and their
horizons over initial scales, writes the figure, and exits non-zero where a figure falls short; about 5 minutes on two
cores, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.ladder import HEADER, RUNGS, Ladder, ladder


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = ladder(args.size, progress=lambda line: print(line, flush=True))
    show_table(result)
    markdown(args.out / "ladder.md", HEADER, result.rows())
    draw(result, args.out / "ladder.png")
    finish("ladder of theories", result.checks())


def show_table(result: Ladder) -> None:
    show(f"relative error of the state, {result.vocab} tokens, {result.seeds} seeds, float64", HEADER, result.rows())


def draw(result: Ladder, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    errors_panel(left, result)
    horizon_panel(right, result)
    setting = result.setting
    caption = (
        f"addition, {setting.anchors} anchors, {setting.keys} keys ({result.vocab} tokens), linear model, width "
        f"{setting.width}, float64; left: init scale {setting.init_scale:g}, {result.seeds} init seeds (band: smallest "
        f"to largest), solver rtol {setting.rtol:g};\nright: {setting.horizon_seeds} init seeds, "
        f"rtol {setting.horizon_rtol:g}, window {setting.window:g} t1. "
    )
    save(figure, path, caption)


def errors_panel(axes: plt.Axes, result: Ladder) -> None:
    for number, (curve, errors) in enumerate(result.errors.items()):
        style = "-" if curve in RUNGS else "--"
        band(axes, result.times[1:], errors[:, 1:], curve, COLOURS[number % len(COLOURS)], style)
    axes.set(yscale="log", xlabel="flow time / t1", ylabel="relative error of the state (E and U)")
    axes.set_title(f"against the exact flow, t1 = ln(1/init) / S1 = {result.plateau:.0f}")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def horizon_panel(axes: plt.Axes, result: Ladder) -> None:
    for colour, (rung, found) in zip(COLOURS, result.horizons.items(), strict=False):
        scales = np.array(list(found))
        values = np.minimum(np.array(list(found.values())), result.setting.window).T
        band(axes, scales, values, rung, colour, "o-")
    axes.axhline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="initial scale", ylabel="horizon / t1 (skill < 0.9)", ylim=(0, None))
    axes.invert_xaxis()
    axes.set_title("until when each rung holds")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
