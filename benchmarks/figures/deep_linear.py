"""Deep linear networks: modes in closed form against the flow, and levels of a tree learned one after the other.

`python benchmarks/figures/deep_linear.py` prints how networks of one to three layers learn a tree's levels and how well
theories of a random start do, writes the figure, and exits non-zero where a figure falls short; about 2 minutes on
two cores, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.small.deep_linear import DEEP, HEADER, SHALLOW, DeepLinearStudy, deep_linear


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = deep_linear(args.size, progress=lambda line: print(line, flush=True))
    starts = ("random start, error of the map", *(f"init {scale:g}" for scale in result.setting.init_scales))
    show("levels of a tree, random start", HEADER, result.rows())
    show("theories of a random start of two layers", starts, result.start_rows())
    markdown(args.out / "deep_linear.md", HEADER, result.rows())
    markdown(args.out / "deep_linear_starts.md", starts, result.start_rows())
    draw(result, args.out / "deep_linear.png")
    finish("deep linear networks", result.checks())


def draw(result: DeepLinearStudy, path: Path) -> None:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    levels_panel(left, result, DEEP)
    for level, series in enumerate(result.sigmoids.T):
        left.plot(
            result.levels[DEEP].times, series, ":", color="black", label="closed form, seed 1" if not level else None
        )
    left.legend(fontsize=8)
    levels_panel(middle, result, SHALLOW)
    middle.legend(fontsize=8)
    starts_panel(right, result)
    setting = result.setting
    caption = (
        f"tree {setting.branching}, flip {setting.flip:g}, features of the population, width {setting.width}, init "
        f"scale {setting.init_scale:g}, exact flow in float64;\nbands: smallest to largest over "
        f"{len(result.levels[DEEP].shares)} init seeds. "
    )
    save(figure, path, caption)


def levels_panel(axes: plt.Axes, result: DeepLinearStudy, name: str) -> None:
    run = result.levels[name]
    for level, colour in zip(range(run.shares.shape[2]), COLOURS, strict=False):
        band(axes, run.times, run.shares[:, :, level], f"level {level}" if level else "root", colour)
    overlap = run.overlap
    axes.set(xlabel="flow time", ylabel="learned share of the level", xlim=(0, run.times[-1]))
    axes.set_title(f"{name}: next level {overlap.min():.2f} .. {overlap.max():.2f} learned at a half-time", fontsize=10)
    axes.grid(alpha=0.3)


def starts_panel(axes: plt.Axes, result: DeepLinearStudy) -> None:
    for (name, row), colour in zip(result.starts.items(), COLOURS, strict=False):
        band(axes, np.array(list(row)), np.array(list(row.values())).T, name, colour, "o-")
    axes.set(xscale="log", yscale="log", xlabel="initial scale", ylabel="largest error of the map / its final size")
    axes.invert_xaxis()
    axes.set_title("theories of a random start, two layers", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
