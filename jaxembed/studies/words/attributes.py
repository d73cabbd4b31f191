"""Words of binary attributes: what eigendecomposition gives, and word embeddings trained on them beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ...ensemble import ensemble
from ...models import PairLoss
from ...observables import AnalogyScore, analogies, subspace_overlap
from ...statistics import count, signatures
from ...tables import Table
from ...tasks import Attributes
from ...theory import word_pairs
from ...train import train
from ..evidence import Bound, Evidence, Size
from ..rows import exact
from ..study import Run, Study
from ._pairs import half_rises, losses, sigmoids, starts

RUNS = ("quadratic", "logistic", "quadratic, shuffled pairs")
MATRICES = {"PMI": word_pairs.pmi, "M*": word_pairs.target}
HEADER = ("attributes", "matrix", "dimensions", "accuracy", "tied", "accuracy, unit vectors", "tied, unit")


@dataclass(frozen=True)
class AttributesSetting:
    """Attributes, of even (p = 1/2) and of uneven probability, and training by plain gradient descent."""

    strengths: tuple[float, ...] = (0.7, 0.6, 0.5, 0.42, 0.35, 0.28)
    probabilities: tuple[float, ...] = (0.5, 0.45, 0.4, 0.35, 0.3, 0.25)
    init_scale: float = 1e-4
    learning_rate: float = 2e-3
    window: float = 1.5
    saves: int = 80


SETTINGS: dict[Size, AttributesSetting] = {
    "tiny": AttributesSetting((0.6, 0.45, 0.3), (0.5, 0.4, 0.3), learning_rate=2e-2, saves=20),
    "quick": AttributesSetting(),
}


@dataclass(frozen=True)
class AttributesResult:
    """What decomposition and training make of the pairs.

    Attributes:
        setting: sizes and tolerances.
        rank: numerical rank of the PMI by kind of attributes: singular values above 1e-9 of the largest.
        eigenvalue_error: largest difference of PMI eigenvalues at p = 1/2 from 2^d gamma_k and the constant mode.
        static: analogies by eigendecomposition: by kind of attributes, matrix and number of leading eigenvectors (times
            the root of eigenvalues), of the vectors as they are and of unit vectors.
        times: `[time]`, flow time of the training on uneven attributes.
        accuracy: by run (`RUNS`), `[seed, time]`, analogies along training, on the questions of the intact pairs.
        power: `[seed, time, width]`, s_k^2 of the quadratic run.
        predicted: `[seed, time, width]`, sigmoids from the QR diagonal.
        arrival: `[seed, width]`, half-rise time of the quadratic run over that of the sigmoids.
        overlap: `[seed]`, overlap of the trained space with the leading eigenvectors of M*.
        start_overlap: `[seed]`, the same of the start.
        half_times: `[width]`, mean over seeds.
    """

    setting: AttributesSetting
    rank: dict[str, int]
    eigenvalue_error: float
    static: dict[tuple[str, str, int], tuple[AnalogyScore, AnalogyScore]]
    times: Float[np.ndarray, " time"]
    accuracy: dict[str, Float[np.ndarray, "seed time"]]
    power: Float[np.ndarray, "seed time width"]
    predicted: Float[np.ndarray, "seed time width"]
    arrival: Float[np.ndarray, "seed width"]
    overlap: Float[np.ndarray, " seed"]
    start_overlap: Float[np.ndarray, " seed"]
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
        return float(self.static["uneven", "M*", self.count][1].accuracy)


def run(setting: AttributesSetting, run: Run) -> AttributesResult:
    """Decompose the matrices of the generator, and train word embeddings on its pairs.

    Seeds are initialisations of the training; each has its own shuffled pairs as control.

    Source: korchinski2025linear.
    """
    tasks = {"even": Attributes(setting.strengths), "uneven": Attributes(setting.strengths, setting.probabilities)}
    static = {key: scores for name, task in tasks.items() for key, scores in _decompositions(name, task)}
    run.progress("decompositions: done")
    ranks = {name: _rank(task) for name, task in tasks.items()}
    trained = _trained(setting, tasks["uneven"], run)
    return AttributesResult(setting, ranks, _eigenvalue_error(tasks["even"]), static, **trained)


def tables(result: AttributesResult) -> tuple[Table, ...]:
    """The decompositions."""
    rows = [(*map(str, key), *(f"{x:.3f}" for score in scores for x in score)) for key, scores in result.static.items()]
    title = f"analogies by eigendecomposition, {result.count} attributes, {2**result.count} words"
    return (Table(title, HEADER, rows),)


def evidence(result: AttributesResult) -> tuple[Evidence, ...]:
    """What the spectrum is and solves, what training solves and when, and controls that must fail."""
    d, chance = result.count, np.array([result.chance])
    final = {run: curves[:, -1] for run, curves in result.accuracy.items()}
    trained, null, start = final[RUNS[0]], final[RUNS[2]], result.accuracy[RUNS[0]][:, 0]
    lowest = {m: min(float(s.accuracy) for kind in result.rank for s in result.static[kind, m, d]) for m in MATRICES}
    short, full = (np.array([float(result.static["even", "PMI", k][0].accuracy)]) for k in (d - 1, d))
    right = Bound("paper", least=1.0, source="1.0")
    return (
        Evidence("attributes-rank", "the PMI of words made of d attributes has rank d + 1 (rank - d)",
                 np.array([float(rank - d) for rank in result.rank.values()]),
                 Bound("paper", least=1.0, most=1.0, source="d + 1"), published="1",
                 no_null="a property of the generator", ceiling="1", varied="kinds of attributes", every=True),
        exact("attributes-eigenvalues", "its eigenvalues at even attributes are 2^d gamma_k (largest error)",
              result.eigenvalue_error, 1e-10, published="identity"),
        Evidence("attributes-analogies-pmi", "d eigenvectors of the PMI solve all analogies (accuracy)",
                 np.array([lowest["PMI"]]), right, published="1.0", null=chance, ceiling="1"),
        Evidence("attributes-analogies-target", "so do d eigenvectors of M* (accuracy)",
                 np.array([lowest["M*"]]), right, published="1.0", null=chance, ceiling="1"),
        # The lost attribute makes twins of words, and a tie is not won.
        Evidence("attributes-one-short",
                 "d - 1 eigenvectors do not, at even attributes (accuracy, ties lost; null: d eigenvectors)",
                 short, Bound("expectation", most=0.999, source="twins tie"), published="not stated",
                 null=full, ceiling="0"),
        Evidence("attributes-trained", "word embeddings trained on the pairs solve them too (accuracy)", trained,
                 Bound("expectation", least=0.99, source="as the decomposition"), published="not trained there",
                 null=null, ceiling=f"{result.ceiling:.2f} (decomposition of M*)", every=True),
        Evidence("attributes-controls", "accuracy of shuffled pairs and of the start, over that of training (larger)",
                 np.maximum(null, start) / trained.mean(),
                 Bound("machinery", most=0.5, source="controls that must fail"), no_null="these are the controls",
                 ceiling=f"chance {result.chance:.2f}", every=True),
        Evidence("attributes-space", "space of the trained embeddings: overlap with the d leading eigenvectors",
                 result.overlap, Bound("expectation", least=0.99, source="the modes of theory"),
                 null=result.start_overlap, ceiling="1", every=True, source="karkada2025closed"),
        Evidence("attributes-arrival", "attributes are learnt at ln(lam / s0^2) / lam (largest |ratio - 1|)",
                 np.abs(result.arrival - 1).max(axis=1), Bound("expectation", most=0.05, source="tau_k to 5 %"),
                 published="tau_k, no number", no_null="nothing is fitted", ceiling="0", every=True,
                 source="karkada2025closed"),
    )  # fmt: skip


def caption(result: AttributesResult) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"strengths {setting.strengths}, probabilities {setting.probabilities}; tied word embeddings of width "
        f"{result.count}, init scale {setting.init_scale:g},\ngradient descent rate {setting.learning_rate:g}, "
        "float64 (band: smallest to largest init seed); a tie is not won."
    )


STUDY = Study(
    name="attributes",
    source="korchinski2025linear",
    settings=SETTINGS,
    seeds={"tiny": 5, "quick": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("attributes-rank", "attributes-eigenvalues", "attributes-analogies-pmi", "attributes-analogies-target",
         "attributes-one-short", "attributes-trained", "attributes-controls", "attributes-space",
         "attributes-arrival"),
    takes={"tiny": "10 s", "quick": "1 min"},
    smaller={"tiny": "8 words of three attributes", "quick": "64 words of six attributes, no text"},
    needs=("float64",),
    ledger="quick",
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


def _decompositions(
    name: str, task: Attributes
) -> Iterator[tuple[tuple[str, str, int], tuple[AnalogyScore, AnalogyScore]]]:
    sig, questions, d = signatures(count(task.dataset(), order=1)), task.analogies(), len(task.strengths)
    for matrix, dimensions in product(MATRICES, (d - 1, d)):
        vectors, strengths = word_pairs.modes(MATRICES[matrix](sig), dimensions)
        embed = vectors * jnp.sqrt(jnp.maximum(strengths, 0))[None, :]
        raw, unit = (analogies(embed, questions, normalise=unit) for unit in (False, True))
        yield (name, matrix, dimensions), (raw, unit)


def _trained(setting: AttributesSetting, task: Attributes, run: Run) -> dict[str, Any]:
    """Training of all seeds on all losses, beside the sigmoids of the same starts."""
    data, d = task.dataset(), len(setting.strengths)
    modes = word_pairs.modes(word_pairs.target(signatures(count(data, order=1))), d)
    begun = starts(d, setting.init_scale, task.vocab, run.seeds)
    powers = jax.vmap(lambda embed: word_pairs.qr_start(embed, modes))(begun["embed"])
    half_times = np.asarray(jax.vmap(word_pairs.half_time, (0, None))(powers, modes.strengths))
    rate = setting.learning_rate
    steps = max(1, round(setting.window * float(half_times[:, -1].max()) / rate / setting.saves))

    def vectors(member: tuple[dict[str, Array], PairLoss]) -> Array:
        start, loss = member
        return train(loss, start, optax.sgd(rate), dt=rate, steps_per_save=steps, num_saves=setting.saves).ys["embed"]

    ys = {}
    for name in RUNS:
        ys[name] = ensemble(vectors, (begun, losses(data, name, run.seeds)))
        run.progress(f"{name}: trained")
    ts = steps * rate * jnp.arange(setting.saves + 1, dtype=float)
    power = jnp.linalg.svd(ys["quadratic"], compute_uv=False) ** 2
    predicted = jax.vmap(sigmoids, (None, 0, None))(ts, powers, modes.strengths)
    rises = [jax.vmap(half_rises, (None, 0, None))(ts, of, modes.strengths) for of in (power, predicted)]
    overlaps = [np.array([subspace_overlap(w, modes.vectors, d) for w in ys["quadratic"][:, at]]) for at in (-1, 0)]
    return {
        "times": np.asarray(ts), "accuracy": {name: _accuracies(y, task.analogies()) for name, y in ys.items()},
        "power": np.asarray(power), "predicted": np.asarray(predicted), "arrival": np.asarray(rises[0] / rises[1]),
        "overlap": overlaps[0], "start_overlap": overlaps[1], "half_times": half_times.mean(axis=0),
    }  # fmt: skip


def _accuracies(
    embeddings: Float[Array, "seed time token width"], questions: Int[np.ndarray, "example 4"]
) -> Float[np.ndarray, "seed time"]:
    score = jax.jit(lambda rows, questions: jax.lax.map(lambda w: analogies(w, questions).accuracy, rows))
    flat = embeddings.reshape(-1, *embeddings.shape[2:])
    return np.asarray(score(flat, jnp.asarray(questions))).reshape(embeddings.shape[:2])
