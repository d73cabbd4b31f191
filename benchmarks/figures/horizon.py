"""Until when truncated theories hold: the horizon predicted from theory alone against the observed one.

`python benchmarks/figures/horizon.py` predicts and observes the horizon of every theory of a grid of tasks, models,
initial scales and orders, writes the figure and a table of the misses with their causes, and exits non-zero where too
few cells are predicted; about 10 minutes on one core, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, markdown, plt, save
from common import arguments, finish

from jaxembed.studies.small.horizon import SETTINGS, horizons
from jaxembed.studies.small.horizon_cells import FACTOR, HEADER, SHARP, Cell, Horizons, within

MARKERS = {1: "o", 2: "s", 3: "^", 4: "D"}


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = horizons(args.size, progress=lambda line: print(line, flush=True))
    show(result)
    markdown(args.out / "horizon.md", HEADER, [*result.rows(), *([reason, *[""] * 7] for reason in result.left_out)])
    draw(result, args.out / "horizon.png")
    finish("predicted and observed horizon", result.checks())


def show(result: Horizons) -> None:
    """How far the prediction is better than what is easy to guess."""
    predictors = {"predicted": result.ratios(), "constant": result.constant(), "shuffled": result.shuffled()}
    for name, ratios in predictors.items():
        shares = [f"within {factor:g}: {within(ratios, factor).mean():.0%}" for factor in (FACTOR, SHARP)]
        print(f"{name}: {', '.join(shares)} of {len(result.cells)} cells, mean over {result.seeds} seeds")
    print(f"error in e-folds: median {np.nanmedian(np.abs(result.efold_errors())):.2f}")


def draw(result: Horizons, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    models = list(dict.fromkeys(cell.model for cell in result.cells))
    colours = dict(zip(models, COLOURS, strict=False))
    for cell in result.cells:
        time_panel(left, cell, colours[cell.model])
        efold_panel(right, cell, colours[cell.model])
    finish_times(left)
    finish_efolds(right)
    legend(left, colours, sorted({cell.order for cell in result.cells}))
    tasks = ", ".join(dict.fromkeys(cell.task for cell in result.cells))
    setting = SETTINGS[result.size]
    caption = (
        f"{len(result.cells)} cells x {result.seeds} init seeds: {tasks}; init scales {min(setting.init_scales):g} to "
        f"{max(setting.init_scales):g}; width {setting.width}, float64, rtol {setting.rtol:g};\nobserved: skill of all "
        f"weights against the exact flow below 0.9; window: plateau + {result.efolds:g} e-folds. "
    )
    save(figure, path, caption)


def time_panel(axes: plt.Axes, cell: Cell, colour: str) -> None:
    axes.plot(cell.observed, cell.predicted, MARKERS[cell.order], color=colour, markersize=4, alpha=0.6, linewidth=0)


def efold_panel(axes: plt.Axes, cell: Cell, colour: str) -> None:
    observed, predicted = ((x - cell.plateau) / cell.efold for x in (cell.observed, cell.predicted))
    axes.plot(observed, predicted, MARKERS[cell.order], color=colour, markersize=4, alpha=0.6, linewidth=0)


def finish_times(axes: plt.Axes) -> None:
    axes.set(xscale="log", yscale="log", xlabel="observed horizon, flow time", ylabel="predicted horizon, flow time")
    ends = np.array(axes.get_xlim())
    axes.fill_between(ends, ends / FACTOR, ends * FACTOR, color="grey", alpha=0.25, linewidth=0)
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    axes.set_title(f"times (band: factor {FACTOR:g})")
    axes.grid(alpha=0.3)


def finish_efolds(axes: plt.Axes) -> None:
    # Where nothing grows exponentially an e-fold is a tiny part of the plateau: those cells lie far to the left.
    axes.set_xscale("symlog", linthresh=10)
    axes.set_yscale("symlog", linthresh=10)
    ends = np.array(axes.get_xlim())
    axes.plot(ends, ends, color="grey", linewidth=0.8)
    axes.set(xlabel="observed - plateau's end, e-folds", ylabel="predicted - plateau's end, e-folds")
    axes.set_title("the same on the clock of growth: e-folds of the leading theory")
    axes.grid(alpha=0.3)


def legend(axes: plt.Axes, colours: dict[str, str], orders: list[int]) -> None:
    for model, colour in colours.items():
        axes.plot([], [], "o", color=colour, label=model)
    for order in orders:
        axes.plot([], [], MARKERS[order], color="black", label=f"order {order}")
    axes.legend(fontsize=8, loc="upper left")


if __name__ == "__main__":
    main()
