"""Label noise and zero divisors: early slopes measured in training, against those that collision counts predict."""

from collections.abc import Callable, Sequence
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
from ...tables import Table, extremes
from ...tasks import BinaryTable
from ...theory.collisions import collisions, early_slope
from ...train import train
from ..evidence import Bound, Evidence, Size
from ..rows import control, direction
from ..study import Run, Study

PARTS = ("clean", "corrupted")
HEADER = ("table", "noise", "part", "slope predicted", "slope measured", "relative error")


@dataclass(frozen=True)
class LabelNoiseSetting:
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


SETTINGS: dict[Size, LabelNoiseSetting] = {
    "tiny": LabelNoiseSetting(13, (0.1, 0.5, 0.9), (11, 12, 13), step=0.2, long_step=1.0, long_steps=100),
    "quick": LabelNoiseSetting(),
}


@dataclass(frozen=True)
class PartSlope:
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


LossCurves = tuple[Float[np.ndarray, " time"], dict[str, Float[np.ndarray, "seed time"]]]
"""Flow times of a longer training, and by part mean losses, to look at."""


@dataclass(frozen=True)
class LabelNoise:
    """Slopes of all parts, and the longer curves of the three multiplications and of one noisy table."""

    setting: LabelNoiseSetting
    slopes: tuple[PartSlope, ...]
    curves: dict[str, LossCurves]

    def of(self, part: str) -> list[PartSlope]:
        return [slope for slope in self.slopes if slope.part == part]

    @property
    def noisy(self) -> list[PartSlope]:
        """The parts of noisy tables."""
        return [slope for slope in self.slopes if slope.part != "all"]

    @property
    def ratios(self) -> dict[float, Float[np.ndarray, " seed"]]:
        """Slope of the corrupted over that of the clean examples, by noise."""
        both = zip(self.of("clean"), self.of("corrupted"), strict=True)
        return {clean.noise: corrupted.measured / clean.measured for clean, corrupted in both}

    def correlation(
        self, slopes: Sequence[PartSlope] | None = None, name: str = "predicted"
    ) -> Float[np.ndarray, " seed"]:
        """Pearson over parts, all unless given, between predicted (or "null") and measured slopes, seed by seed."""
        slopes = self.slopes if slopes is None else slopes
        predicted, measured = [getattr(s, name) for s in slopes], np.array([s.measured for s in slopes])
        return np.array([np.corrcoef(predicted, column)[0, 1] for column in measured.T])


def run(setting: LabelNoiseSetting, run: Run) -> LabelNoise:
    """Train a two-position model on tables with noisy labels and with zero divisors, and measure first slopes.

    Seeds are initialisations; the noisy labels are the same for all.

    Source: wang2026modular.
    """
    slopes, curves = [], {}
    for noise in setting.noises:
        task = BinaryTable(setting.size, label_noise=noise)
        data, clean = task.dataset(), task.clean_mask
        slopes += _slopes(setting, f"addition modulo {setting.size}", noise, data, clean, run.seeds)
        ends = ", ".join(f"{extremes(slope.measured)} {slope.part}" for slope in slopes[-2:])
        run.progress(f"noise {noise:g}: slopes {ends}")
        if noise == setting.noises[len(setting.noises) // 2]:
            curves[f"noise {noise:g}"] = _curves(setting, data, clean, run.seeds)
    for modulus in setting.moduli:
        name, data = f"multiplication modulo {modulus}", BinaryTable(modulus, "modular_multiplication").dataset()
        slopes += _slopes(setting, name, 0.0, data, None, run.seeds)
        curves[name] = _curves(setting, data, None, run.seeds)
        run.progress(f"{name}: slope {extremes(slopes[-1].measured)}")
    return LabelNoise(setting, tuple(slopes), curves)


def tables(result: LabelNoise) -> tuple[Table, ...]:
    """Predicted and measured slopes of all parts."""
    rows = [
        (s.table, f"{s.noise:g}", s.part, f"{s.predicted:.3g}", extremes(s.measured), f"{s.error:.2g}")
        for s in result.slopes
    ]
    seeds = len(result.slopes[0].measured)
    title = f"slope -dl/dt of the mean loss at the start, per flow time, {seeds} init seeds, float64"
    return (Table(title, HEADER, rows),)


def evidence(result: LabelNoise) -> tuple[Evidence, ...]:
    """Which examples and tables fall faster, and how well collision counts say so."""
    ratios = np.array(list(result.ratios.values()))
    below, composite, above = result.of("all")
    primes = max(below.measured.max(), above.measured.max())
    moduli = " and ".join(str(modulus) for modulus in result.setting.moduli[::2])
    dealt = result.correlation(result.noisy, "null")
    errors, null_errors = (
        np.mean([np.abs(s.measured / getattr(s, name) - 1) for s in result.noisy], axis=0)
        for name in ("predicted", "null")
    )
    theory, close = "theory, no number", Bound("expectation", most=0.25, source="the mean over starts")
    return (
        direction("noise-steeper",
                  "corrupted examples fall faster at first than clean ones, noise 0.1..0.9 (least ratio)",
                  ratios.min(axis=0), 1.0, published="steeper, no number", ceiling="1 / noise"),
        direction("noise-zero-divisors",
                  f"multiplication modulo {result.setting.moduli[1]} falls faster than modulo {moduli} (slope over the "
                  "largest of theirs; null: a prime's over the others')", composite.measured / primes, 1.0,
                  published="faster, no number", null=below.measured / np.maximum(composite.measured, above.measured),
                  ceiling=f"{composite.predicted / max(below.predicted, above.predicted):.2f} predicted"),
        Evidence("noise-correlation", "early slopes of noisy parts follow from collision counts (Pearson, predicted "
                 "with measured)", result.correlation(result.noisy),
                 Bound("expectation", least=0.95, source="the mean over starts"),
                 published=theory, null=dealt, ceiling="1"),
        Evidence("noise-slope-error", "early slopes of noisy parts follow from collision counts (relative error)",
                 errors, close, published=theory, null=null_errors, ceiling="0"),
        Evidence("noise-slope-error-worst", "the same, of the worst part, mean over seeds (relative error)",
                 np.array([max(s.error for s in result.noisy)]), close, published=theory,
                 null=np.array([max(abs(s.measured.mean() / s.null - 1) for s in result.noisy)]), ceiling="0"),
        control("noise-control", "Pearson over noisy parts, less the largest where parts are dealt at random",
                result.correlation(result.noisy) - dealt.max()),
    )  # fmt: skip


def caption(result: LabelNoise) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"two-position GELU model, width {setting.width}, init scale width^-1/2, gradient descent, float64 (bars and "
        f"bands: smallest to largest init seed); slopes from the first {setting.steps} steps of {setting.step:g}, "
        f"curves with steps of {setting.long_step:g};\nnull: parts dealt at random."
    )


STUDY = Study(
    name="label_noise",
    source="wang2026modular",
    settings=SETTINGS,
    seeds={"tiny": 3, "quick": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("noise-steeper", "noise-zero-divisors", "noise-correlation", "noise-slope-error", "noise-slope-error-worst",
         "noise-control"),
    takes={"tiny": "30 s", "quick": "3 min"},
    smaller={"tiny": "13 symbols (source: 113), moduli 11, 12, 13, three noise levels",
             "quick": "59 symbols, width 256 (source: 113, width 2,000)"},
    needs=("float64",),
    ledger="tiny",
)  # fmt: skip


def _parts(data: Dataset, clean: np.ndarray | None) -> dict[str, Dataset]:
    if clean is None:
        return {"all": data}
    masks = zip(PARTS, (clean, ~clean), strict=True)
    return {name: checked_dataset(data.tokens[mask], data.targets[mask], None, data.vocab) for name, mask in masks}


def _slopes(
    setting: LabelNoiseSetting, table: str, noise: float, data: Dataset, clean: np.ndarray | None, seeds: int
) -> list[PartSlope]:
    parts = _parts(data, clean)
    dealt = _parts(data, None if clean is None else np.random.default_rng(0).permutation(clean))
    times, losses = _losses(setting, data, parts, seeds, setting.step, setting.steps)
    model, whole = TwoPosition(setting.width), position_signatures(data)

    def predicted(part: Dataset) -> float:
        counts = collisions(position_signatures(part), whole)
        return float(early_slope(counts, model.taylor, setting.width, model.scale))

    return [
        PartSlope(table, name, noise, predicted(part), predicted(dealt[name]), _first_slope(times, losses[name]))
        for name, part in parts.items()
    ]


def _first_slope(times: np.ndarray, losses: Float[np.ndarray, "seed time"]) -> Float[np.ndarray, " seed"]:
    """Slope at time 0 of the parabola through the first losses, with the sign of a fall."""
    return -np.polynomial.polynomial.polyfit(times, losses.T, 2)[1]


def _curves(setting: LabelNoiseSetting, data: Dataset, clean: np.ndarray | None, seeds: int) -> LossCurves:
    every = max(setting.long_steps // 40, 1)
    return _losses(setting, data, _parts(data, clean), seeds, setting.long_step, setting.long_steps, every)


def _losses(
    setting: LabelNoiseSetting,
    data: Dataset,
    parts: dict[str, Dataset],
    seeds: int,
    step: float,
    steps: int,
    every: int = 1,
) -> LossCurves:
    """Mean loss of each part along gradient descent on the whole."""
    model = TwoPosition(setting.width)
    whole, watched = population_loss(model, data), {k: population_loss(model, part) for k, part in parts.items()}
    keys = jax.random.split(jax.random.key(0), seeds)
    trainer = _trainer(setting.width, data.vocab, step, steps, every)
    losses = jax.tree.map(np.asarray, ensemble(trainer, keys, whole, watched, mapping="loop"))
    return step * np.arange(0, steps + 1, every), losses


@cache
def _trainer(width: int, vocab: int, step: float, steps: int, every: int) -> Callable[..., Any]:
    def member(key: Array, whole: PopulationLoss, watched: dict[str, PopulationLoss]) -> Any:
        start = TwoPosition(width).init(key, vocab, 2)

        def losses(params: Any) -> dict[str, Array]:
            return {name: loss(params) for name, loss in watched.items()}

        saves = np.arange(0, steps + 1, every)
        return train(whole, start, optax.sgd(step), dt=step, save_steps=saves, save=losses).ys

    return member
