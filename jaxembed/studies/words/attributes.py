"""Words of binary attributes: what eigendecomposition gives, and word embeddings trained on them beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ...base import Dataset
from ...ensemble import ensemble
from ...models import PairLoss, WordPairs, pair_loss
from ...observables import analogies, subspace_overlap
from ...statistics import count, signatures
from ...tasks import Attributes, shuffled
from ...theory import word_pairs
from ...train import train
from ..check import Check, Size, need_float64
from ..measured import Measured, silent

RUNS = ("quadratic", "logistic", "quadratic, shuffled pairs")
HEADER = ("attributes", "matrix", "dimensions", "accuracy", "tied", "accuracy, unit vectors", "tied, unit")


@dataclass(frozen=True)
class Setting:
    """Attributes, of even (p = 1/2) and of uneven probability, and training by plain gradient descent."""

    strengths: tuple[float, ...] = (0.7, 0.6, 0.5, 0.42, 0.35, 0.28)
    probabilities: tuple[float, ...] = (0.5, 0.45, 0.4, 0.35, 0.3, 0.25)
    init_scale: float = 1e-4
    learning_rate: float = 2e-3
    window: float = 1.5
    saves: int = 80


SETTINGS = {
    "tiny": Setting((0.6, 0.45, 0.3), (0.5, 0.4, 0.3), learning_rate=2e-2, saves=20),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Static:
    """Analogies by eigendecomposition: `dimensions` leading eigenvectors of a matrix, times the root of eigenvalues."""

    attributes: str
    matrix: str
    dimensions: int
    accuracy: float
    tied: float
    unit_accuracy: float
    unit_tied: float

    def shares(self) -> tuple[float, ...]:
        """Right and tied, by the vectors as they are and by unit vectors."""
        return self.accuracy, self.tied, self.unit_accuracy, self.unit_tied


@dataclass(frozen=True)
class AttributesResult:
    """What decomposition and training make of the pairs.

    Attributes:
        size: of the study.
        setting: sizes and tolerances.
        rank: numerical rank of the PMI by kind of attributes: singular values above 1e-9 of the largest.
        eigenvalue_error: largest difference of PMI eigenvalues at p = 1/2 from 2^d gamma_k and the constant mode.
        static: analogies by eigendecomposition.
        times: `[time]`, flow time of the training on uneven attributes.
        accuracy: by run (`RUNS`), `[seed, time]`, analogies along training, on the questions of the intact pairs.
        power: `[seed, time, width]`, s_k^2 of the quadratic run.
        predicted: `[seed, time, width]`, sigmoids from the QR diagonal.
        arrival: `[seed, width]`, half-rise time of the quadratic run over that of the sigmoids.
        overlap: `[seed]`, overlap of the trained space with the leading eigenvectors of M*, and at the start.
        half_times: `[width]`, mean over seeds.
    """

    size: Size
    setting: Setting
    rank: dict[str, int]
    eigenvalue_error: float
    static: tuple[Static, ...]
    times: Float[np.ndarray, " time"]
    accuracy: dict[str, Float[np.ndarray, "seed time"]]
    power: Float[np.ndarray, "seed time width"]
    predicted: Float[np.ndarray, "seed time width"]
    arrival: Float[np.ndarray, "seed width"]
    overlap: Measured
    half_times: Float[np.ndarray, " width"]

    @property
    def count(self) -> int:
        """d, the number of attributes."""
        return len(self.setting.strengths)

    @property
    def chance(self) -> float:
        """Accuracy of guessing among the words that are not in the question."""
        return 1 / (2**self.count - 3)

    @property
    def ceiling(self) -> float:
        """Accuracy of the eigendecomposition of M* at K = d, the uneven attributes that are trained on."""
        return self.cell("uneven", "M*", self.count).unit_accuracy

    def cell(self, attributes: str, matrix: str, dimensions: int) -> Static:
        """One row of the table of decompositions."""
        return next(
            s for s in self.static if (s.attributes, s.matrix, s.dimensions) == (attributes, matrix, dimensions)
        )

    def trained(self, run: str = "quadratic") -> Measured:
        """Accuracy at the end of a run beside that of the shuffled pairs."""
        return Measured(self.accuracy[run][:, -1], self.accuracy[RUNS[2]][:, -1])

    def solved_at(self) -> Float[np.ndarray, " seed"]:
        """First save from which 95 % of the analogies stay right, as a share of the slowest mode's half-time."""
        failing = self.accuracy["quadratic"] < 0.95
        last = np.array([np.flatnonzero(row)[-1] if row.any() else -1 for row in failing])
        times = np.append(self.times, np.inf)
        return times[last + 1] / self.half_times[-1]

    def rows(self) -> list[tuple[str, ...]]:
        """The decompositions, in the order of `HEADER`."""
        return [(s.attributes, s.matrix, str(s.dimensions), *(f"{x:.3f}" for x in s.shares())) for s in self.static]

    def checks(self) -> list[Check]:
        """The figures asked."""
        d, trained = self.count, self.trained()
        ranks = ", ".join(f"{kind}: {rank}" for kind, rank in self.rank.items())
        right_rank = all(rank == d + 1 for rank in self.rank.values())
        full = [s for s in self.static if s.dimensions == d]
        lowest = min(min(s.accuracy, s.unit_accuracy) for s in full)
        off = float(np.abs(self.arrival - 1).max())
        start = self.accuracy["quadratic"][:, 0].max()
        return [
            Check("rank of the PMI", f"d + 1 = {d + 1}", ranks, right_rank),
            Check("eigenvalues at p = 1/2", "2^d gamma_k to 1e-10", f"{self.eigenvalue_error:.1e}",
                  self.eigenvalue_error <= 1e-10),
            Check("analogies at K = d, PMI and M*", "1.0", f"{lowest:.3f}", lowest == 1),
            Check("analogies after training, quadratic", "at least 0.99; the decomposition reaches "
                  f"{self.ceiling:.2f}", str(trained), bool(trained.values.min() >= 0.99)),
            Check("controls: shuffled pairs, untrained", "at most half of the trained",
                  f"{trained.null.max():.2f}, {start:.2f} (chance {self.chance:.2f})",
                  bool(max(trained.null.max(), start) <= 0.5 * trained.mean)),
            Check("space of the trained embeddings", "overlap with the d leading eigenvectors >= 0.99",
                  str(self.overlap), bool(self.overlap.values.min() >= 0.99)),
            Check("modes arrive", "half-rise within 5 % of theory", f"largest |ratio - 1| {off:.3f}", off <= 0.05),
        ]  # fmt: skip


def attributes_study(size: Size, seeds: int = 5, progress: Callable[[str], None] = silent) -> AttributesResult:
    """Decompose the matrices of the generator, and train word embeddings on its pairs.

    Args:
        size: "tiny" (three attributes) or "normal" (six).
        seeds: initialisations of the training; each has its own shuffled pairs as control.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32.

    Source: korchinski2025linear.
    """
    need_float64("attributes")
    setting = SETTINGS[size]
    tasks = {"even": Attributes(setting.strengths), "uneven": Attributes(setting.strengths, setting.probabilities)}
    static = tuple(row for name, task in tasks.items() for row in _decompositions(name, task))
    progress("decompositions: done")
    task = tasks["uneven"]
    parts = _trained(setting, task, seeds, progress)
    return AttributesResult(
        size, setting, {name: _rank(task) for name, task in tasks.items()}, _eigenvalue_error(tasks["even"]), static,
        **parts,
    )  # fmt: skip


def _rank(task: Attributes) -> int:
    values = np.linalg.svd(np.log(task.ratio()), compute_uv=False)
    return int(np.sum(values > 1e-9 * values[0]))


def _eigenvalue_error(task: Attributes) -> float:
    strengths = np.array(task.strengths)
    expected = np.zeros(task.vocab)
    expected[: len(strengths)] = task.vocab * np.arctanh(strengths)
    expected[-1] = task.constant_eigenvalue()
    values = np.linalg.eigvalsh(np.log(task.ratio()))
    return float(np.abs(np.sort(expected) - values).max())


def _decompositions(name: str, task: Attributes) -> list[Static]:
    sig, questions, d = signatures(count(task.dataset(), order=1)), task.analogies(), len(task.strengths)
    rows = []
    for matrix, values in (("PMI", word_pairs.pmi(sig)), ("M*", word_pairs.target(sig))):
        for dimensions in (d - 1, d):
            vectors, strengths = word_pairs.modes(values, dimensions)
            embed = vectors * jnp.sqrt(jnp.maximum(strengths, 0))[None, :]
            scores = [analogies(embed, questions, normalise=unit) for unit in (False, True)]
            rows.append(Static(name, matrix, dimensions, *(float(x) for score in scores for x in score)))
    return rows


def _trained(setting: Setting, task: Attributes, seeds: int, progress: Callable[[str], None]) -> dict[str, Any]:
    data, d = task.dataset(), len(setting.strengths)
    sig = signatures(count(data, order=1))
    found = word_pairs.modes(word_pairs.target(sig), d)
    starts = jax.vmap(lambda k: WordPairs(d, setting.init_scale).init(k, task.vocab))(
        jax.random.split(jax.random.key(0), seeds)
    )
    begun = jax.vmap(lambda w: word_pairs.qr_start(w, found))(starts["embed"])
    half_times = np.asarray(jax.vmap(word_pairs.half_time, (0, None))(begun, found.strengths))
    end = setting.window * half_times[:, -1].max()
    losses = {run: _losses(data, run, seeds) for run in RUNS}
    ys = {}
    for run, loss in losses.items():
        ys[run] = _embeddings(setting, float(end), starts, loss)
        progress(f"{run}: trained")
    ts = _steps(setting, float(end)) * setting.learning_rate * jnp.arange(setting.saves + 1, dtype=float)
    accuracy = {run: _accuracies(y, task.analogies()) for run, y in ys.items()}
    power = np.asarray(jnp.linalg.svd(ys["quadratic"], compute_uv=False) ** 2)
    sigmoids = jax.vmap(jax.vmap(word_pairs.power, (0, None, None)), (None, 0, None))(ts, begun, found.strengths)
    predicted = np.sort(np.asarray(sigmoids), axis=2)[:, :, ::-1]
    times, rates = np.asarray(ts), np.asarray(found.strengths)
    arrival = np.array([half_rises(times, p, rates) / half_rises(times, q, rates)
                        for p, q in zip(power, predicted, strict=True)])  # fmt: skip
    overlaps = [np.array([subspace_overlap(w, found.vectors, d) for w in ys["quadratic"][:, at]]) for at in (-1, 0)]
    return {"times": times, "accuracy": accuracy, "power": power, "predicted": predicted, "arrival": arrival,
            "overlap": Measured(*overlaps), "half_times": half_times.mean(axis=0)}  # fmt: skip


def _losses(data: Dataset, run: str, seeds: int) -> PairLoss:
    """One loss per seed; shuffled pairs are another shuffle in every seed."""
    kind = "logistic" if run == "logistic" else "quadratic"
    parts = [pair_loss(shuffled(data, seed) if "shuffled" in run else data, kind) for seed in range(seeds)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)


def _steps(setting: Setting, end: float) -> int:
    """Steps between saves."""
    return max(1, round(end / setting.learning_rate / setting.saves))


def _embeddings(
    setting: Setting, end: float, starts: dict[str, Array], losses: PairLoss
) -> Float[Array, "seed time token width"]:
    rate, steps = setting.learning_rate, _steps(setting, end)

    def run(member: tuple[dict[str, Array], PairLoss]) -> Array:
        start, loss = member
        return train(loss, start, optax.sgd(rate), dt=rate, steps_per_save=steps, num_saves=setting.saves).ys["embed"]

    return ensemble(run, (starts, losses))


def _accuracies(
    embeddings: Float[Array, "seed time token width"], questions: Int[np.ndarray, "example 4"]
) -> Float[np.ndarray, "seed time"]:
    score = jax.jit(lambda rows, asked: jax.lax.map(lambda w: analogies(w, asked).accuracy, rows))
    flat = embeddings.reshape(-1, *embeddings.shape[2:])
    return np.asarray(score(flat, jnp.asarray(questions))).reshape(embeddings.shape[:2])


def half_rises(times: np.ndarray, power: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """First time every s_k^2 passes half its eigenvalue, straight in ln s^2 / (lam - s^2) between saves."""
    odds = np.log(power / np.maximum(strengths - power, 1e-12 * strengths))
    after = np.maximum(np.argmax(odds > 0, axis=0), 1)
    modes = np.arange(len(strengths))
    share = -odds[after - 1, modes] / (odds[after, modes] - odds[after - 1, modes])
    return times[after - 1] + share * (times[after] - times[after - 1])
