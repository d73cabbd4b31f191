"""What an experiment gives: trajectories, comparisons, agreement with signatures; as tables, arrays and a figure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import keep
from ..base import State, Trajectory
from ..compare import Comparison, above, compare, frozen
from ..tables import Table, margin, number
from ..text import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Pair = tuple[str, str, str]
"""What happened, what was predicted, and the observable, by their names."""
_OF_COMPARISON = ("ts", "error", "relative_error", "displacement", "skill", "horizon")


@dataclass(frozen=True)
class Agreement:
    """One number about the trained weights, seed by seed, beside its null.

    Attributes:
        name: what was measured, for example "R_cos(embed, label - 1/v)".
        values: `[seed]`, at the end of training; NaN is undefined.
        null: `[seed]`, the same number of the control that `ExperimentResult.null` names.
        p_values: `[seed]`, Mantel permutation p-values, or None where there is no such test.
        course: `[seed, time]`, along training.
    """

    name: str
    values: np.ndarray
    null: np.ndarray
    p_values: np.ndarray | None
    course: np.ndarray

    def row(self) -> tuple[str, ...]:
        """Under "measure", "trained", the null's name and "Mantel p"."""
        p_value = "" if self.p_values is None else number(np.max(self.p_values))
        return self.name, margin(self.values), margin(self.null), p_value


@dataclass(frozen=True)
class ExperimentResult:
    """Everything that tables, figure and run folder show.

    Attributes:
        title: one line that says what ran.
        caption: settings that belong to every figure: dtype, seeds, sizes, clock.
        tokens: names of the drawn tokens.
        pairs: index pairs into `tokens` whose cosines are drawn as curves.
        trajectories: by name; `ys["embed"]` `[seed, time, token, width]` for the drawn tokens, and every observable of
            the user's.
        comparisons: theory, flow and training against each other, every array with a leading `[seed]` axis.
        controls: names of predictions that should fail.
        agreements: R_cos and order with nulls.
        signature: title and `[token, width]` rows of the signature that is drawn, for the drawn tokens.
        plateau: t1, the time at which rung 0 leaves the plateau, or None.
        facts: scalars worth recording (accuracy, chance, coverage, solver steps, seconds).
        null: what the null of an agreement is.
    """

    title: str
    caption: str
    tokens: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    trajectories: dict[str, Trajectory]
    comparisons: dict[Pair, Comparison]
    controls: tuple[str, ...]
    agreements: tuple[Agreement, ...]
    signature: tuple[str, np.ndarray]
    plateau: float | None
    facts: dict[str, Any] = field(default_factory=dict)
    null: str = "after shuffled labels"
    arrays_file: str = "trajectories.npz"

    def tables(self) -> tuple[Table, ...]:
        """Comparison and agreement; every number with its spread over seeds and its null."""
        head = (
            *("prediction", "of", "error / size at end", "skill at end", "horizon"),
            *("above control at end", "horizon above control"),
        )
        compared = [self._comparison_row(*item) for item in self.comparisons.items()]
        measured = [row.row() for row in self.agreements]
        return (
            *(
                [Table(f"{self.title}: theory, exact flow and training on one clock", head, compared)]
                if compared
                else []
            ),
            Table(
                f"{self.title}: trained weights and the data's signatures",
                ("measure", "trained", self.null, "Mantel p (largest over seeds)"),
                measured,
            ),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The drawn signature, and times and observables of every trajectory."""
        arrays = {"signature": self.signature[1]}
        for name, line in self.trajectories.items():
            arrays |= {f"{name}/ts": line.ts[0]} | {f"{name}/{leaf}": values for leaf, values in line.ys.items()}
        return {name: np.asarray(values) for name, values in arrays.items()}

    def record(self) -> dict[str, Any]:
        """All other numbers."""
        return {
            "title": self.title,
            "caption": self.caption,
            "tokens": self.tokens,
            "pairs": self.pairs,
            "signature": self.signature[0],
            "plateau": self.plateau,
            "null": self.null,
            "controls": self.controls,
            "facts": self.facts,
            "clocks": {name: line.clock for name, line in self.trajectories.items()},
            "comparisons": [
                dict(zip(("reference", "prediction", "observable"), pair, strict=True))
                | {"control": pair[1] in self.controls, "threshold": numbers.threshold, "clock": numbers.clock}
                | {name: getattr(numbers, name) for name in _OF_COMPARISON}
                for pair, numbers in self.comparisons.items()
            ],
            "agreements": [vars(row) for row in self.agreements],
        }

    @classmethod
    def read(cls, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "ExperimentResult":
        """The result that left this record and these arrays."""
        compared = {(row["reference"], row["prediction"], row["observable"]): row for row in record["comparisons"]}
        measured = [{name: _array(value) for name, value in row.items()} for row in record["agreements"]]
        return cls(
            record["title"],
            record["caption"],
            tuple(keep.to_json(record["tokens"])),  # a word of a text may read like a number
            tuple(map(tuple, record["pairs"])),
            {name: _line(name, clock, arrays) for name, clock in record["clocks"].items()},
            {pair: _comparison(row) for pair, row in compared.items()},
            tuple(record["controls"]),
            tuple(Agreement(**row) for row in measured),
            (record["signature"], arrays["signature"]),
            record["plateau"],
            record["facts"],
            record["null"],
        )

    def figure(self, path: Path, dpi: int = 130) -> None:
        """Cosine curves over the cosine matrices of signature, theory and training at four times, as a PNG."""
        _draw(self, None)[0].savefig(path, dpi=dpi)

    def animate(self, path: Path) -> None:
        """The same figure with the time running, as a GIF."""
        from matplotlib.animation import FuncAnimation, PillowWriter

        drawn, update = _draw(self, 0)
        times = range(len(self.trajectories["training"].ts[0]))
        FuncAnimation(drawn, lambda i: update(i), frames=times).save(path, writer=PillowWriter(fps=8), dpi=80)

    @property
    def theories(self) -> list[str]:
        """Predictions that are no control: the exact flow, if there is one, and theories, the best last."""
        return [name for name in self.trajectories if name != "training" and name not in self.controls]

    def _comparison_row(self, pair: Pair, numbers: Comparison) -> tuple[str, ...]:
        reference, prediction, observable = pair
        ends = (np.asarray(values)[:, -1] for values in (numbers.relative_error, numbers.skill))
        by = prediction + (" (control)" if prediction in self.controls else "")
        over = self.above_control(pair)
        ours = ("", "") if over is None else (margin(np.asarray(over.skill)[:, -1]), horizon_text(over, self.plateau))
        return f"{reference}, by {by}", observable, *map(margin, ends), horizon_text(numbers, self.plateau), *ours

    def above_control(self, pair: Pair) -> Comparison | None:
        """A theory's comparison with its control in place of "nothing moves"; None for what has none.

        The control is the theory's own, else that of the model's best theory: the first that is no frozen state.
        """
        reference, prediction, observable = pair
        if reference == "training" or prediction in self.controls:
            return None
        others = [name for name in self.controls if name != "frozen"]
        own = [name for name in others if name.startswith(f"{prediction}, ")]
        control = self.comparisons.get((reference, (own or others)[0], observable)) if others else None
        if control is None:
            return None
        return jax.vmap(lambda a, b: above(a, b))(self.comparisons[pair], control)


def comparisons(
    lines: Mapping[str, Trajectory], observables: Mapping[str, Callable[[State], Any]], rtol: float
) -> dict[Pair, Comparison]:
    """Training against the exact flow, and every theory and control against the flow, through every observable.

    Args:
        lines: by name, "training" first; without an "exact flow" there is no common clock and nothing to compare.
            "frozen" is added.
        observables: by name.
        rtol: relative tolerance of the flow; a displacement below ten times as much is not told from its error.
    """
    if "exact flow" not in lines:
        return {}
    plain = {name: Trajectory(line.ts, line.ys, {}, line.clock) for name, line in lines.items()}
    exact = plain["exact flow"]
    plain["frozen"] = jax.vmap(lambda line: frozen(line))(exact)
    rows = [("training", "exact flow")]
    rows += [("exact flow", name) for name in plain if name not in ("training", "exact flow")]
    numbers = {}
    for name, observable in observables.items():
        compared = jax.jit(jax.vmap(partial(compare, observable=observable, resolution=10 * rtol)))
        numbers |= {(a, b, name): compared(plain[a], plain[b]) for a, b in rows}
    return numbers


def horizon_text(numbers: Comparison, plateau: float | None) -> str:
    """The time up to which a prediction holds, over seeds, also in units of the plateau time."""
    horizons = np.asarray(numbers.horizon)
    if np.isnan(horizons).any():
        return keep.UNDEFINED
    if np.isinf(horizons).all():
        return "beyond the end"
    if np.isinf(horizons).any():
        return f"{np.isfinite(horizons).sum()} of {len(horizons)} seeds before the end"
    if (horizons <= np.asarray(numbers.ts)[:, 1]).all():
        return "at the first save"
    return margin(horizons) + (f" = {number(horizons.mean() / plateau, '.2f')} t1" if plateau else "")


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value


def _line(name: str, clock: str, arrays: Mapping[str, np.ndarray]) -> Trajectory:
    leaves = {key.removeprefix(f"{name}/"): jnp.asarray(a) for key, a in arrays.items() if key.startswith(f"{name}/")}
    ts, seeds = leaves.pop("ts"), len(leaves["embed"])
    return Trajectory(jnp.broadcast_to(ts[None], (seeds, len(ts))), leaves, {}, clock)


def _comparison(row: Mapping[str, Any]) -> Comparison:
    arrays = {name: jnp.asarray(row[name], float) for name in _OF_COMPARISON}
    return Comparison(**arrays, threshold=row["threshold"], clock=row["clock"])


# --- figure ----------------------------------------------------------------------------------------------------------

COLOURS = ("#1b6ca8", "#c8553d", "#4a7c59", "#7a4e9d")
DASHES = ("--", ":", "-.")
"""Of theories, the best first; the exact flow is a full line."""


def _draw(result: ExperimentResult, moment: int | None) -> "tuple[Figure, Callable[[int], None]]":
    """The figure, and a function that moves it to another saved time; `moment` None shows four times."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ts = np.asarray(result.trajectories["training"].ts[0])
    shown = _four_times(ts, result.plateau) if moment is None else [moment]
    rows = [*result.theories[-1:], "training"]
    drawn = Figure(figsize=(11.5, 9), layout="constrained")
    FigureCanvasAgg(drawn)
    halves = drawn.add_gridspec(2, 1, height_ratios=(1.05, 1))
    top, bottom = drawn.add_subfigure(halves[0]), drawn.add_subfigure(halves[1])
    axes = top.subplots()
    _curves(axes, result, ts)
    cursor = [axes.axvline(ts[i], color="0.75", lw=0.8, zorder=0) for i in shown]
    grid = bottom.subplots(len(rows), 1 + len(shown), squeeze=False)
    for i in range(1, len(rows)):
        grid[i, 0].axis("off")
    names, note = _names(result.tokens)
    image = _matrix(grid[0, 0], _cosines(result.signature[1]), names, result.signature[0])
    images = {}
    for r, name in enumerate(rows):
        matrices = _cosines(np.asarray(result.trajectories[name].ys["embed"][0]))
        for c, i in enumerate(shown, start=1):
            image = _matrix(grid[r, c], matrices[i], names, f"{name}\n{_time(ts[i])}")
            images[r, c] = (image, grid[r, c], matrices)
    bottom.colorbar(image, ax=grid, shrink=0.7, label="cosine (first seed)")
    drawn.suptitle(f"{drawable(result.title)}: what theory predicts and what training finds", fontsize=13)
    drawn.supxlabel(f"{drawable(result.caption)}{note}", fontsize=8)

    def update(i: int) -> None:
        for line in cursor:
            line.set_xdata([ts[i], ts[i]])
        for (r, _), (image, axes, matrices) in images.items():
            image.set_data(matrices[i])
            axes.set_title(f"{rows[r]}\n{_time(ts[i])}", fontsize=9)

    return drawn, update


def _names(tokens: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The tokens as a figure can show them, by their numbers where its font lacks a sign, and the line that says so."""
    shown = tuple(drawable(token) for token in tokens)
    lacking = [i for i, token in enumerate(tokens) if shown[i].count("?") > token.count("?")]
    note = f"\n#0 .. #{len(tokens) - 1}: tokens by their place in result.json, as the font lacks their signs"
    return tuple(f"#{i}" if i in lacking else name for i, name in enumerate(shown)), note if lacking else ""


def _time(t: Any) -> str:
    return f"t = {number(t)}"


def _cosines(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = rows / norms
    return unit @ np.swapaxes(unit, -1, -2)


def _curves(axes: "Axes", result: ExperimentResult, ts: np.ndarray) -> None:
    theories = [name for name in result.theories if name != "exact flow"]
    names = _names(result.tokens)[0]
    styles = {"exact flow": "-"} | {name: DASHES[i % len(DASHES)] for i, name in enumerate(reversed(theories))}
    for colour, (i, j) in zip(COLOURS, result.pairs, strict=False):
        label = f"cos({names[i]}, {names[j]})"
        for name, line in result.trajectories.items():
            rows = np.asarray(line.ys["embed"][:, :, np.array([i, j])])
            values = _cosines(rows)[..., 0, 1]
            if name == "training":
                low, high = values.min(axis=0), values.max(axis=0)
                axes.fill_between(ts, low, high, color=colour, alpha=0.18, lw=0)
                axes.plot(ts, values[0], "o", color=colour, ms=3, label=f"{label}, training")
            elif name in styles:
                axes.plot(ts, values[0], styles[name], color=colour, lw=1.5)
    for name in result.theories:
        axes.plot([], [], styles[name], color="0.3", label=name)
    axes.fill_between([], [], [], color="0.6", alpha=0.4, label="range over seeds (training)")
    _mark_horizon(axes, result)
    unit = "flow time (learning rate x step)" if result.trajectories["training"].clock == "flow" else "step"
    axes.set(xlabel=unit, ylabel="cosine of two embeddings", xlim=(ts[0], ts[-1]))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False)


def _mark_horizon(axes: "Axes", result: ExperimentResult) -> None:
    best = result.theories[-1:]
    for (_, prediction, observable), numbers in result.comparisons.items():
        horizon = float(np.asarray(numbers.horizon)[0])
        if [prediction] == best and observable == "cosines" and np.isfinite(horizon):
            axes.axvline(horizon, color="k", lw=1, ls=(0, (4, 3)), label=f"horizon of {prediction} (skill 0.9)")
    if result.plateau is not None:
        axes.axvline(result.plateau, color="0.5", lw=1, ls=(0, (1, 2)), label="t1, plateau time predicted")


def _four_times(ts: np.ndarray, plateau: float | None) -> list[int]:
    end = ts[-1]
    wanted = (
        np.array([0.0, 0.35, 0.65, 1.0]) * end if plateau is None else np.array([0.0, 0.25 * plateau, plateau, end])
    )
    return [int(np.argmin(np.abs(ts - t))) for t in wanted]


def _matrix(axes: "Axes", values: np.ndarray, names: tuple[str, ...], title: str) -> "AxesImage":
    image = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
    axes.set_title(title, fontsize=9)
    every = max(1, len(names) // 10)
    places = range(0, len(names), every)
    axes.set_xticks(places, [names[i] for i in places], rotation=90, fontsize=6)
    axes.set_yticks(places, [names[i] for i in places], fontsize=6)
    return image
