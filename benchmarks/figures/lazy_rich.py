"""Lazy and rich side by side: over the initial scale, which expansion of the exact flow holds, and how long.

`python benchmarks/figures/lazy_rich.py` integrates the exact flow, its expansions around the origin and around the
initial parameters, and the linearised network, over initial scales, writes figure and table, and exits non-zero where
the regimes do not separate; about 3 minutes on one core, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish

from jaxembed.studies.small.lazy_rich import HEADER, ORIGIN, THEORIES, LazyRich, lazy_rich


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = lazy_rich(args.size, progress=lambda line: print(line, flush=True))
    for row in (HEADER, *result.rows()):
        print(" | ".join(row))
    markdown(args.out / "lazy_rich.md", HEADER, result.rows())
    draw(result, args.out / "lazy_rich.png")
    finish("lazy and rich", result.checks())


def draw(result: LazyRich, path: Path) -> None:
    models, setting = result.setting.models, result.setting
    figure, panels = plt.subplots(
        len(models), 2, figsize=(12, 4.5 * len(models) + 0.5), layout="constrained", squeeze=False
    )
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    for model, (left, right) in zip(models, panels, strict=True):
        horizon_panel(left, result, model)
        skill_panel(right, result, model)
    seeds = len(result.crossover(models[0]))
    caption = (
        f"addition, {setting.anchors} anchors, {setting.keys} keys, width {setting.width}, {seeds} init seeds (band: "
        f"smallest to largest), float64, rtol {setting.rtol:g};\nskill of all weights; expansions around the origin "
        f"solid, around the init dashed. "
    )
    save(figure, path, caption)


def horizon_panel(axes: plt.Axes, result: LazyRich, model: str) -> None:
    draw_all(axes, result, {name: result.horizons[model][name] for name in THEORIES})
    crossing = result.crossover(model)
    if np.all(np.isfinite(crossing)):
        axes.axvspan(crossing.min(), crossing.max(), color="grey", alpha=0.3, linewidth=0)
    axes.axhline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set(yscale="log", ylabel="horizon / time the loss takes to halve", title=f"{model}: until when each holds")
    axes.legend(fontsize=8)


def skill_panel(axes: plt.Axes, result: LazyRich, model: str) -> None:
    skills = {name: np.nan_to_num(result.skills[model][name], nan=-1, neginf=-1) for name in THEORIES}
    draw_all(axes, result, {name: np.maximum(found, -1) for name, found in skills.items()})
    axes.axhline(0.9, color="grey", linewidth=0.8, linestyle=":")
    axes.set(ylabel="skill when the loss has halved (from -1)", ylim=(-1.05, 1.05), title=f"{model}: how well, then")


def draw_all(axes: plt.Axes, result: LazyRich, found: dict[str, np.ndarray]) -> None:
    scales = np.array(result.setting.init_scales)
    for (name, values), colour in zip(found.items(), COLOURS, strict=True):
        band(axes, scales, values.T, name, colour, "-" if name in ORIGIN else "--")
    axes.set(xscale="log", xlabel="initial scale")
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
