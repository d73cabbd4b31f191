"""Lazy and rich side by side: over the initial scale, which expansion of the exact flow holds, and how long.

`python benchmarks/figures/lazy_rich.py` integrates the exact flow, its expansions around the origin and around the
initial parameters, and the linearised network, over initial scales, and writes figure and table; about 3 minutes on one
core, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.small.lazy_rich import ORIGIN, STUDY, THEORIES, LazyRich


def draw(result: LazyRich, figure: Figure) -> None:
    models = result.setting.models
    figure.set_size_inches(12, 4.5 * len(models) + 0.5)
    for model, (left, right) in zip(models, figure.subplots(len(models), 2, squeeze=False), strict=True):
        horizon_panel(left, result, model)
        skill_panel(right, result, model)


def horizon_panel(axes: Axes, result: LazyRich, model: str) -> None:
    draw_all(axes, result, {name: result.horizons[model][name] for name in THEORIES})
    crossing = result.crossover(model)
    if np.all(np.isfinite(crossing)):
        axes.axvspan(crossing.min(), crossing.max(), color="grey", alpha=0.3, linewidth=0)
    axes.axhline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set(yscale="log", ylabel="horizon / time the loss takes to halve", title=f"{model}: until when each holds")
    axes.legend(fontsize=8)


def skill_panel(axes: Axes, result: LazyRich, model: str) -> None:
    skills = {name: np.nan_to_num(result.skills[model][name], nan=-1, neginf=-1) for name in THEORIES}
    draw_all(axes, result, {name: np.maximum(found, -1) for name, found in skills.items()})
    axes.axhline(0.9, color="grey", linewidth=0.8, linestyle=":")
    axes.set(ylabel="skill when the loss has halved (from -1)", ylim=(-1.05, 1.05), title=f"{model}: how well, then")


def draw_all(axes: Axes, result: LazyRich, found: dict[str, np.ndarray]) -> None:
    scales = np.array(result.setting.init_scales)
    for (name, values), colour in zip(found.items(), COLOURS, strict=True):
        band(axes, scales, values.T, name, colour, "-" if name in ORIGIN else "--")
    axes.set(xscale="log", xlabel="initial scale")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
