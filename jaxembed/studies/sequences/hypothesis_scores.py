"""Which hypothesis a network's state names: scores of a probe against the posterior and against what generated."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import xlogy

from ...decoding import DecodingScore, Probing, last_item
from ...probes import ridge, softmax_probe

PENALTIES, ITERATIONS = (1e-4, 1e-5, 1e-6), 60
"""Of the softmax probe: hundreds of hypotheses make every further one dear; the model and all nulls choose alike."""
MODEL, UNTRAINED, LAST_ITEM, SHUFFLED, MAJORITY, CEILING = SOURCES = (
    "model",
    "untrained network",
    "last item",
    "shuffled targets",
    "majority",
    "exact posterior",
)
NULLS = SOURCES[1:5]
METRICS = ("agreement", "generating", "cross-entropy", "L2")
"""Share of argmax that agree with the posterior's, and with the generating hypothesis; nats; mean squared distance."""


class HypothesisDraw(NamedTuple):
    """Sequences with what is known of them: those a probe is fitted on, its validation, and the test.

    Attributes:
        items: of all sequences.
        exact: posterior quantities at the asked positions, `[sequence, position, target]`, "hypothesis" among them.
        generating: the index of the hypothesis behind each sequence.
    """

    items: np.ndarray
    exact: dict[str, Float[np.ndarray, "sequence position target"]]
    generating: Int[np.ndarray, " sequence"]


def draw_hypotheses(
    process: Any, key: Array, sequences: int, length: int, positions: tuple[int, ...], names: tuple[str, ...] = ()
) -> HypothesisDraw:
    """Fresh sequences with the exact posterior over their hypotheses, and other quantities by name."""
    return HypothesisDraw(*jax.device_get(_draw(process, sequences, length, positions, names, key)))


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _draw(
    process: Any, sequences: int, length: int, positions: tuple[int, ...], names: tuple[str, ...], key: Array
) -> tuple[Array, dict[str, Array], Array]:
    latent = next(name for name, target in process.targets.items() if target.ceiling == "hypothesis")
    draw = process.sample(key, {}, sequences, length)
    exact = process.exact({}, draw.items, ("hypothesis", *names), positions)
    exact["hypothesis"] = exact["hypothesis"].astype(jnp.float32)
    return draw.items, exact, jnp.argmax(draw.latents[latent], axis=1)


def fitted_on(first: Any, tested: Any, probing: Probing) -> Any:
    """Trees of rows: the probe's of one, and the test rows of the other: a probe that is carried over."""
    cut = probing.fitted
    return jax.tree.map(lambda a, b: np.concatenate([a[:cut], b[cut:]]), first, tested)


def hypothesis_scores(
    answers: Float[np.ndarray, "sequence hypothesis"],
    posterior: Float[np.ndarray, "sequence hypothesis"],
    generating: Int[np.ndarray, " sequence"],
) -> dict[str, float]:
    """The `METRICS` of predicted distributions."""
    answers, posterior = answers.astype(np.float64), posterior.astype(np.float64)
    named = answers.argmax(axis=1)
    return {
        "agreement": float(np.mean(named == posterior.argmax(axis=1))),
        "generating": float(np.mean(named == generating)),
        "cross-entropy": float(-np.mean(np.sum(xlogy(posterior, np.maximum(answers, 1e-30)), axis=1))),
        "L2": float(np.mean(np.sum((answers - posterior) ** 2, axis=1))),
    }


def source_scores(
    prior: str,
    states: dict[str, Float[np.ndarray, "sequence position width"]],
    draw: HypothesisDraw,
    probing: Probing,
    places: tuple[int, ...],
    size: int,
    sources: Sequence[str] = SOURCES,
) -> list[DecodingScore]:
    """Scores by position n and source, for one member.

    Args:
        prior: what the scores are called.
        states: of the model and the untrained network, at all places.
        draw: sequences of all three parts, with posteriors at all places.
        probing: sizes of the three parts.
        places: positions to score, from the first of those that were read.
        size: vocabulary of the items.
        sources: of `SOURCES`, those wanted.
    """
    rows, generating = [], probing.parts(draw.generating)[2]
    for column, position in enumerate(places):
        posterior = draw.exact["hypothesis"][:, column]
        read = {name: rows[:, column] for name, rows in states.items()}
        answers = {name: _probed(read[name], posterior, probing) for name in (MODEL, UNTRAINED) if name in sources}
        if LAST_ITEM in sources:
            newest = last_item(draw.items, position, size, probing.train)
            answers[LAST_ITEM] = _probed(_widened(newest, read[MODEL].shape[1]), posterior, probing)
        if SHUFFLED in sources:
            answers[SHUFFLED] = _probed(read[MODEL], _shuffled(posterior, probing), probing)
        if MAJORITY in sources:
            answers[MAJORITY] = _majority(posterior, probing)
        answers[CEILING] = tested = probing.parts(posterior)[2]
        for source in sources:
            for metric, value in hypothesis_scores(answers[source], tested, generating).items():
                rows.append(DecodingScore(prior, position, None, None, source, metric, (value,)))
    return rows


def _widened(x: np.ndarray, width: int) -> np.ndarray:
    """Columns of zeros added, so that one compiled probe fits all that is read."""
    return np.pad(x, ((0, 0), (0, max(width - x.shape[1], 0))))


def _probed(x: np.ndarray, posterior: np.ndarray, probing: Probing) -> Float[np.ndarray, "sequence hypothesis"]:
    """What a probe of x, chosen on the validation part, says about the test part."""
    (x, x_val, x_test), (p, p_val, _) = (probing.parts(part.astype(np.float32)) for part in (x, posterior))
    return np.asarray(_fit(*(jnp.asarray(part) for part in (x, p, x_val, p_val, x_test))))


@jax.jit
def _fit(x: Array, p: Array, x_val: Array, p_val: Array, x_test: Array) -> Array:
    return softmax_probe(x, p, x_val, p_val, penalties=PENALTIES, iterations=ITERATIONS).predict(x_test)


def on_ridge(x: np.ndarray, y: np.ndarray, asked: np.ndarray, probing: Probing) -> Float[np.ndarray, "sequence target"]:
    """What a ridge probe, fitted on the first parts of x and y, says about the asked states."""
    parts = (part for rows in (x, y) for part in probing.parts(rows)[:2])
    return np.asarray(_fit_ridge(*(jnp.asarray(part, float) for part in (*parts, asked))))


@jax.jit
def _fit_ridge(x: Array, x_val: Array, y: Array, y_val: Array, asked: Array) -> Array:
    return ridge(x, y, x_val, y_val).predict(asked)


def _shuffled(posterior: np.ndarray, probing: Probing) -> np.ndarray:
    """The posteriors of other sequences for those that the probe is fitted on and chosen by."""
    cut = probing.fitted
    return np.concatenate([np.roll(posterior[:cut], 1, axis=0), posterior[cut:]])


def _majority(posterior: np.ndarray, probing: Probing) -> np.ndarray:
    """The mean posterior of the probe's sequences, leaning to the hypothesis that is most often the likeliest."""
    fitted, _, tested = probing.parts(posterior)
    mean, most = fitted.mean(axis=0), np.bincount(fitted.argmax(axis=1), minlength=fitted.shape[1]).argmax()
    mean[most] = np.nextafter(mean.max(), np.inf, dtype=mean.dtype)
    return np.broadcast_to(mean, tested.shape)
