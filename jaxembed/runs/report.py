"""A Result as a table on the terminal, a figure, an animation and markdown. The only file that imports matplotlib."""

import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from rich.table import Table
from scipy import stats

from .results import Against, Agreement, Decoding, Panel, Result

COLOURS = ("#1b6ca8", "#c8553d", "#4a7c59", "#7a4e9d")
DASHES = ("--", ":", "-.")
"""Of theories, the best first; the exact flow is a full line."""


def tables(result: Result) -> list[Table]:
    """Comparison, agreement and facts as rich tables; every number with its spread over seeds and its null."""
    return [table for table in (_comparison_table(result), _agreement_table(result)) if table is not None]


def markdown(result: Result) -> str:
    """The same tables for a file."""
    parts = [f"# {result.title}\n\n{result.caption}\n"]
    for table in tables(result):
        heads = [str(column.header) for column in table.columns]
        rows = zip(*(list(column.cells) for column in table.columns), strict=True)
        lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
        parts += [f"## {table.title}\n", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads), *lines, ""]
    parts += ["## Facts\n", *(f"- {name}: {value}" for name, value in result.facts.items()), ""]
    return "\n".join(parts)


def figure(result: Result, path: Path, dpi: int = 130) -> None:
    """Cosine curves over the cosine matrices of signature, theory and training at four times, as a PNG."""
    drawn, _ = _draw(result, None)
    drawn.savefig(path, dpi=dpi)
    plt.close(drawn)


def animate(result: Result, path: Path) -> None:
    """The same figure with the time running, as a GIF."""
    times = range(len(_ts(result)))
    drawn, update = _draw(result, 0)
    FuncAnimation(drawn, lambda i: update(i), frames=times).save(path, writer=PillowWriter(fps=8), dpi=80)
    plt.close(drawn)


# --- tables ----------------------------------------------------------------------------------------------------------


def _comparison_table(result: Result) -> Table | None:
    if not result.comparisons:
        return None
    table = Table(title=f"{result.title}: theory, exact flow and training on one clock")
    for head in ("what is predicted", "by", "of", "error / size at end", "skill at end", "horizon"):
        table.add_column(head)
    for row in result.comparisons:
        numbers = row.comparison
        table.add_row(
            row.reference,
            row.prediction + (" (control)" if row.control else ""),
            row.observable,
            _spread(np.asarray(numbers.relative_error)[:, -1]),
            _spread(np.asarray(numbers.skill)[:, -1]),
            _horizon(row, result.plateau),
        )
    return table


def _agreement_table(result: Result) -> Table:
    table = Table(title=f"{result.title}: trained weights and the data's signatures")
    for head in ("measure", "trained", result.null, "Mantel p (largest over seeds)"):
        table.add_column(head)
    for row in result.agreements:
        p_value = "" if row.p_values is None else _worst_p(row)
        table.add_row(row.name, _spread(row.values), _spread(row.null), p_value)
    return table


def _worst_p(row: Agreement) -> str:
    assert row.p_values is not None
    return "undefined" if np.isnan(row.p_values).any() else f"{row.p_values.max():.3g}"


def _spread(values: np.ndarray) -> str:
    """Mean and 95 % interval of the mean over init seeds."""
    if np.isnan(values).any():
        return "undefined"
    if not np.isfinite(values).all():
        return "not finite"
    if len(values) == 1:
        return f"{values[0]:.3g} (1 seed)"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.3g} ± {half:.2g}"


def _horizon(row: Against, plateau: float | None) -> str:
    horizons = np.asarray(row.comparison.horizon)
    if np.isnan(horizons).any():
        return "undefined"
    if np.isinf(horizons).all():
        return "beyond the end"
    if np.isinf(horizons).any():
        return f"{np.isfinite(horizons).sum()} of {len(horizons)} seeds before the end"
    if (horizons <= np.asarray(row.comparison.ts)[:, 1]).all():
        return "at the first save"
    unit = f" = {horizons.mean() / plateau:.2f} t1" if plateau else ""
    return _spread(horizons) + unit


# --- figure ----------------------------------------------------------------------------------------------------------


def _ts(result: Result) -> np.ndarray:
    return np.asarray(result.trajectories["training"].ts[0])


def _cosines(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = rows / norms
    return unit @ np.swapaxes(unit, -1, -2)


def _best_theory(result: Result) -> str | None:
    """The highest rung that is no control, or else the exact flow, or None where training has its own clock."""
    names = _theories(result)
    return names[-1] if names else None


def _draw(result: Result, moment: int | None):
    """The figure, and a function that moves it to another saved time; `moment` None shows four times."""
    ts = _ts(result)
    shown = _four_times(ts, result.plateau) if moment is None else [moment]
    theory = _best_theory(result)
    rows = ["training"] if theory is None else [theory, "training"]
    drawn = plt.figure(figsize=(11.5, 9), layout="constrained")
    halves = drawn.add_gridspec(2, 1, height_ratios=(1.05, 1))
    top, bottom = drawn.add_subfigure(halves[0]), drawn.add_subfigure(halves[1])
    axes = top.subplots()
    _curves(axes, result, ts)
    cursor = [axes.axvline(ts[i], color="0.75", lw=0.8, zorder=0) for i in shown]
    grid = bottom.subplots(len(rows), 1 + len(shown), squeeze=False)
    for i in range(1, len(rows)):
        grid[i, 0].axis("off")
    image = _matrix(grid[0, 0], _cosines(result.signature[1]), result.tokens, result.signature[0])
    images = {}
    for r, name in enumerate(rows):
        matrices = _cosines(np.asarray(result.trajectories[name].ys["embed"][0]))
        for c, i in enumerate(shown, start=1):
            image = _matrix(grid[r, c], matrices[i], result.tokens, f"{name}\nt = {ts[i]:.3g}")
            images[r, c] = (image, grid[r, c], matrices)
    bottom.colorbar(image, ax=grid, shrink=0.7, label="cosine (first seed)")
    drawn.suptitle(f"{result.title}: what theory predicts and what training finds", fontsize=13)
    drawn.supxlabel(result.caption, fontsize=8)

    def update(i: int) -> None:
        for line in cursor:
            line.set_xdata([ts[i], ts[i]])
        for (r, _), (image, axes, matrices) in images.items():
            image.set_data(matrices[i])
            axes.set_title(f"{rows[r]}\nt = {ts[i]:.3g}", fontsize=9)

    return drawn, update


def _theories(result: Result) -> list[str]:
    """The drawn predictions that are no control: the exact flow, if there is one, and theories, the best last."""
    return [name for name in result.trajectories if name != "training" and name not in result.controls]


def _styles(result: Result) -> dict[str, str]:
    theories = [name for name in _theories(result) if name != "exact flow"]
    return {"exact flow": "-"} | {name: DASHES[i % len(DASHES)] for i, name in enumerate(reversed(theories))}


def _curves(axes: Axes, result: Result, ts: np.ndarray) -> None:
    styles = _styles(result)
    for colour, (i, j) in zip(COLOURS, result.pairs, strict=False):
        label = f"cos({result.tokens[i]}, {result.tokens[j]})"
        for name, line in result.trajectories.items():
            rows = np.asarray(line.ys["embed"][:, :, np.array([i, j])])
            values = _cosines(rows)[..., 0, 1]
            if name == "training":
                low, high = values.min(axis=0), values.max(axis=0)
                axes.fill_between(ts, low, high, color=colour, alpha=0.18, lw=0)
                axes.plot(ts, values[0], "o", color=colour, ms=3, label=f"{label}, training")
            elif name in styles:
                axes.plot(ts, values[0], styles[name], color=colour, lw=1.5)
    for name in _theories(result):
        axes.plot([], [], styles[name], color="0.3", label=name)
    axes.fill_between([], [], [], color="0.6", alpha=0.4, label="range over seeds (training)")
    _mark_horizon(axes, result)
    unit = "flow time (learning rate x step)" if result.trajectories["training"].clock == "flow" else "step"
    axes.set(xlabel=unit, ylabel="cosine of two embeddings", xlim=(ts[0], ts[-1]))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


def _mark_horizon(axes: Axes, result: Result) -> None:
    best = _best_theory(result)
    for row in result.comparisons:
        horizon = float(np.asarray(row.comparison.horizon)[0])
        if row.prediction == best and row.observable == "cosines" and np.isfinite(horizon):
            axes.axvline(horizon, color="k", lw=1, ls=(0, (4, 3)), label=f"horizon of {best} (skill 0.9)")
    if result.plateau is not None:
        axes.axvline(result.plateau, color="0.5", lw=1, ls=(0, (1, 2)), label="t1, plateau time predicted")


def _four_times(ts: np.ndarray, plateau: float | None) -> list[int]:
    end = ts[-1]
    wanted = (
        np.array([0.0, 0.35, 0.65, 1.0]) * end if plateau is None else np.array([0.0, 0.25 * plateau, plateau, end])
    )
    return [int(np.argmin(np.abs(ts - t))) for t in wanted]


def _matrix(axes: Axes, values: np.ndarray, names: tuple[str, ...], title: str):
    image = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
    axes.set_title(title, fontsize=9)
    every = max(1, len(names) // 10)
    places = range(0, len(names), every)
    axes.set_xticks(places, [names[i] for i in places], rotation=90, fontsize=6)
    axes.set_yticks(places, [names[i] for i in places], fontsize=6)
    return image


# --- decoding --------------------------------------------------------------------------------------------------------


def decoding_table(found: Decoding) -> Table:
    """Every target and metric beside its best null and its ceiling; `decoding_markdown` has all nulls and places."""
    header, *rows = found.brief
    table = Table(*header, title=found.title)
    for row in rows:
        table.add_row(*row)
    return table


def decoding_markdown(found: Decoding) -> str:
    """The same for a file."""
    lines = ["| " + " | ".join(row) + " |" for row in (found.header, ["---"] * len(found.header), *found.rows)]
    return "\n".join(
        [f"# {found.title}", "", found.caption, "", *(f"- {line}" for line in found.lines), "", *lines, ""]
    )


def decoding_figure(found: Decoding, path: Path, dpi: int = 130) -> None:
    """The loss along training over its floor, and for every score a row of seeds for each source, as a PNG."""
    columns = min(3, len(found.panels) + 1)
    rows = -(-(len(found.panels) + 1) // columns)
    drawn, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 2.9 * rows), layout="constrained", squeeze=False)
    _loss_curve(axes.flat[0], found)
    for each, panel in zip(axes.flat[1:], found.panels, strict=False):
        _sources(each, panel)
    for each in axes.flat[len(found.panels) + 1 :]:
        each.axis("off")
    drawn.suptitle(found.title)
    drawn.supxlabel("\n".join(textwrap.wrap(found.caption, 52 * columns)), fontsize=7)
    drawn.savefig(path, dpi=dpi)
    plt.close(drawn)


def _loss_curve(axes: Axes, found: Decoding) -> None:
    steps, losses = found.curve
    known = np.isfinite(found.floor).all()
    for line, floor in zip(losses, found.floor, strict=True):
        # Every seed has a world of its own, so that losses are shown above the floor of that world.
        axes.plot(steps, line - (floor if known else 0.0), color=COLOURS[0], lw=1)
    axes.set(xlabel="step", ylabel="loss less the floor of the test draws" if known else "loss")
    if known:
        axes.set_yscale("symlog", linthresh=1e-2)
        axes.axhline(0.0, color="k", lw=0.8, ls="--")
    axes.set_title(f"training, {len(losses)} seeds", fontsize=9)


def _sources(axes: Axes, panel: Panel) -> None:
    names = list(panel.sources)
    for i, name in enumerate(names):
        values = panel.sources[name]
        colour = {0: COLOURS[0], len(names) - 1: COLOURS[2]}.get(i, "0.5")
        axes.plot(values, np.full(len(values), i), "o", color=colour, ms=5, alpha=0.8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", color="0.92")
    axes.set_title(f"{panel.metric} of {panel.target}; share of the gap {_spread(panel.share)}", fontsize=9)
