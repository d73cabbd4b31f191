"""Label noise and zero divisors: early slopes measured in training, against those that collision counts predict."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Array, Float

from ...base import Dataset, checked_dataset
from ...ensemble import ensemble
from ...losses.population import PopulationLoss, population_loss
from ...models import TwoPosition
from ...statistics import position_signatures
from ...tasks import BinaryTable
from ...theory.collisions import collisions, early_slope
from ...train import train
from ..check import Check, Size
from ..measured import silent

PARTS = ("clean", "corrupted")


@dataclass(frozen=True)
class Setting:
    """Full tables, gradient descent on the cross-entropy; the slope is fitted to the losses of the first steps.

    The composite modulus lies between the two others, which are prime.
    """

    size: int = 59
    noises: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    moduli: tuple[int, int, int] = (59, 60, 61)
    width: int = 256
    step: float = 1.0
    steps: int = 10
    long_step: float = 5.0
    long_steps: int = 400


SETTINGS = {
    "tiny": Setting(size=13, noises=(0.1, 0.5, 0.9), moduli=(11, 12, 13), step=0.2, long_step=1.0, long_steps=100),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Cell:
    """One part of one table: the slope -dl/dt of its mean loss while training on the whole.

    Attributes:
        table: name of the table.
        part: "clean", "corrupted" or "all".
        noise: share of redrawn labels.
        predicted: from collision counts, in expectation over the start, per flow time.
        null: the same for as many examples of the table, dealt at random.
        measured: `[seed]`, per flow time; seeds are of the initialisation.
    """

    table: str
    part: str
    noise: float
    predicted: float
    null: float
    measured: Float[np.ndarray, " seed"]

    @property
    def error(self) -> float:
        """|mean over seeds - predicted| / predicted."""
        return float(abs(self.measured.mean() / self.predicted - 1))


@dataclass(frozen=True)
class Course:
    """Mean losses of a longer training, to look at.

    Attributes:
        table: name of the table.
        times: `[time]`, flow time.
        losses: by part, `[seed, time]`.
    """

    table: str
    times: Float[np.ndarray, " time"]
    losses: dict[str, Float[np.ndarray, "seed time"]]


HEADER = ("table", "noise", "part", "slope predicted", "slope measured", "relative error")


@dataclass(frozen=True)
class LabelNoise:
    """Slopes of all cells, and the longer courses of the three multiplications and of one noisy table."""

    size: Size
    setting: Setting
    seeds: int
    cells: tuple[Cell, ...]
    courses: tuple[Course, ...]

    def pick(self, part: str) -> list[Cell]:
        return [cell for cell in self.cells if cell.part == part]

    @property
    def ratios(self) -> dict[float, Float[np.ndarray, " seed"]]:
        """Slope of the corrupted over that of the clean examples, by noise."""
        both = zip(self.pick("clean"), self.pick("corrupted"), strict=True)
        return {clean.noise: corrupted.measured / clean.measured for clean, corrupted in both}

    @property
    def speeds(self) -> list[Cell]:
        """The three multiplications."""
        return [self._multiplication(modulus) for modulus in self.setting.moduli]

    @property
    def correlation(self) -> Float[np.ndarray, " seed"]:
        """Pearson, over cells, between predicted and measured slopes, seed by seed."""
        return self._correlations([cell.predicted for cell in self.cells])

    @property
    def null_correlation(self) -> Float[np.ndarray, " seed"]:
        """The same over the parts of noisy tables, where the examples of each part are dealt at random."""
        return self._correlations([cell.null for cell in self.cells if cell.part != "all"], "all")

    @property
    def parts_correlation(self) -> Float[np.ndarray, " seed"]:
        """The same over the parts of noisy tables, as they are: what the null is to be compared with."""
        return self._correlations([cell.predicted for cell in self.cells if cell.part != "all"], "all")

    def _correlations(self, predicted: Iterable[float], leave: str = "") -> Float[np.ndarray, " seed"]:
        measured = np.array([cell.measured for cell in self.cells if cell.part != leave])
        return np.array([np.corrcoef(list(predicted), column)[0, 1] for column in measured.T])

    def _multiplication(self, modulus: int) -> Cell:
        return next(cell for cell in self.cells if cell.table == _times(modulus))

    def rows(self) -> list[tuple[str, ...]]:
        """In the order of `HEADER`."""
        return [
            (c.table, f"{c.noise:g}", c.part, f"{c.predicted:.3g}", _range(c.measured), f"{c.error:.2g}")
            for c in self.cells
        ]

    def checks(self) -> list[Check]:
        least = {noise: float(ratio.min()) for noise, ratio in self.ratios.items()}
        got = "; ".join(f"{noise:g}: {_range(ratio)}" for noise, ratio in self.ratios.items())
        steeper = Check(
            "corrupted over clean slope, by noise", "> 1 at every noise and seed", got, min(least.values()) > 1
        )
        below, composite, above = self.speeds
        fast = bool(composite.measured.min() > max(below.measured.max(), above.measured.max()))
        got = ", ".join(f"{cell.table} {_range(cell.measured)}" for cell in self.speeds)
        divisors = Check("early slopes of the multiplications", "steepest for the composite, every seed", got, fast)
        r, parts, null = self.correlation, self.parts_correlation, self.null_correlation
        name = "predicted with measured slopes, Pearson"
        agreed = Check(
            name,
            ">= 0.95 in every seed",
            f"{r.min():.5f}..{r.max():.5f}, {len(self.cells)} cells",
            bool(r.min() >= 0.95),
        )
        got = f"{null.min():.3f}..{null.max():.3f} against {parts.min():.5f}..{parts.max():.5f}"
        control = Check(
            "noisy parts only: dealt at random against real", "null below", got, bool(null.max() < parts.min())
        )
        worst = max(cell.error for cell in self.cells)
        relative = Check(
            "predicted slope, relative error of the mean over seeds", "<= 0.25", f"{worst:.2g}", worst <= 0.25
        )
        return [steeper, divisors, agreed, relative, control]


def label_noise(size: Size, seeds: int = 3, progress: Callable[[str], None] = silent) -> LabelNoise:
    """Train a two-position model on tables with noisy labels and with zero divisors, and measure first slopes.

    Args:
        size: "tiny" (13 symbols; 11, 12, 13) or "normal" (59 symbols; 59, 60, 61).
        seeds: initialisations; the noisy labels are the same for all.
        progress: called with a line of text after each table.

    Source: wang2026modular.
    """
    setting, cells, courses = SETTINGS[size], [], []
    for noise in setting.noises:
        task = BinaryTable(setting.size, label_noise=noise)
        cells += _cells(setting, f"addition modulo {setting.size}", noise, task.dataset(), task.clean_mask, seeds)
        progress(f"noise {noise:g}: slopes {_range(cells[-2].measured)} clean, {_range(cells[-1].measured)} corrupted")
        if noise == setting.noises[len(setting.noises) // 2]:
            courses.append(_course(setting, f"noise {noise:g}", task.dataset(), task.clean_mask, seeds))
    for modulus in setting.moduli:
        data = BinaryTable(modulus, "modular_multiplication").dataset()
        cells += _cells(setting, _times(modulus), 0.0, data, None, seeds)
        courses.append(_course(setting, _times(modulus), data, None, seeds))
        progress(f"{_times(modulus)}: slope {_range(cells[-1].measured)}")
    return LabelNoise(size, setting, seeds, tuple(cells), tuple(courses))


def _times(modulus: int) -> str:
    return f"multiplication modulo {modulus}"


def _parts(data: Dataset, clean: np.ndarray | None) -> dict[str, Dataset]:
    if clean is None:
        return {"all": data}
    return {name: _chosen(data, mask) for name, mask in zip(PARTS, (clean, ~clean), strict=True)}


def _chosen(data: Dataset, mask: np.ndarray) -> Dataset:
    return checked_dataset(data.tokens[mask], data.targets[mask], None, data.vocab)


def _cells(
    setting: Setting, table: str, noise: float, data: Dataset, clean: np.ndarray | None, seeds: int
) -> list[Cell]:
    parts = _parts(data, clean)
    dealt = _parts(data, None if clean is None else np.random.default_rng(0).permutation(clean))
    times, losses = _losses(setting, data, parts, seeds, setting.step, setting.steps)
    model, whole = TwoPosition(setting.width), position_signatures(data)

    def slope(part: Dataset) -> float:
        found = collisions(position_signatures(part), whole)
        return float(early_slope(found, model.taylor, setting.width, model.scale))

    return [
        Cell(table, name, noise, slope(part), slope(dealt[name]), _slopes(times, losses[name]))
        for name, part in parts.items()
    ]


def _slopes(times: np.ndarray, losses: Float[np.ndarray, "seed time"]) -> Float[np.ndarray, " seed"]:
    """Slope at time 0 of the parabola through the first losses, with the sign of a fall."""
    return -np.polynomial.polynomial.polyfit(times, losses.T, 2)[1]


def _course(setting: Setting, table: str, data: Dataset, clean: np.ndarray | None, seeds: int) -> Course:
    every = max(setting.long_steps // 40, 1)
    times, losses = _losses(setting, data, _parts(data, clean), seeds, setting.long_step, setting.long_steps, every)
    return Course(table, times, losses)


def _losses(
    setting: Setting, data: Dataset, parts: dict[str, Dataset], seeds: int, step: float, steps: int, every: int = 1
) -> tuple[np.ndarray, dict[str, Float[np.ndarray, "seed time"]]]:
    """Mean loss of each part along gradient descent on the whole."""
    model = TwoPosition(setting.width)
    whole, watched = population_loss(model, data), {k: population_loss(model, part) for k, part in parts.items()}
    keys = jax.random.split(jax.random.key(0), seeds)
    run = _run(setting.width, data.vocab, step, steps, every)
    found = ensemble(run, keys, whole, watched, mapping="loop")
    return step * np.arange(0, steps + 1, every), {name: np.asarray(values) for name, values in found.items()}


@cache
def _run(width: int, vocab: int, step: float, steps: int, every: int) -> Callable[..., Any]:
    def run(key: Array, whole: PopulationLoss, watched: dict[str, PopulationLoss]) -> Any:
        start = TwoPosition(width).init(key, vocab, 2)

        def losses(params: Any) -> dict[str, Array]:
            return {name: loss(params) for name, loss in watched.items()}

        saves = np.arange(0, steps + 1, every)
        return train(whole, start, optax.sgd(step), dt=step, save_steps=saves, save=losses).ys

    return run


def _range(values: Float[np.ndarray, " seed"]) -> str:
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low}..{high}"
