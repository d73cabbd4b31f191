"""The reverse map: how much of an embedding do sufficient statistics explain?"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...decoding import DecodingSetting, Probing, Trained, read_states
from ...probes import mlp_probe, scores

STATISTICS, MOMENTS, COUNT, PAIRED, UNTRAINED = SOURCES = (
    "statistics and n",
    "posterior moments and n",
    "n alone",
    "statistics of another sequence, and n",
    "statistics and n, untrained network",
)
"""What embeddings are predicted from; the last one predicts those of the network before training."""
COLUMNS = 10
"""Of the table that embeddings are predicted from; what a source leaves is zero, so that all are fitted in one call."""


def explained_variance(
    setting: DecodingSetting, targets: tuple[str, str], trained: Trained, seed: int, steps: int = 3000
) -> dict[str, float]:
    """The share of the embeddings' variance that an MLP predicts on held-out sequences, at several n at once.

    Args:
        setting: of the networks.
        targets: names of the process's statistics and moments.
        trained: the networks.
        seed: which of them, by its index.
        steps: of the MLP's training.

    Returns:
        By source, R2 over sequences, positions and all dimensions, weighted by their variance.
    """
    length, probing = setting.recipe.length, setting.probing
    places = tuple(sorted({max(1, length // 32), length // 8, length // 2, length - 2}))
    key = jax.random.fold_in(jax.random.key(trained.seeds[seed]), 2000)
    items = setting.process.sample(key, {}, probing.sequences, length).items
    exact = setting.process.exact({}, items, targets, places)
    statistics, moments = (np.asarray(exact[target]) for target in targets)
    asked = Probing(probing.targets, places)
    after, before = (read_states(setting.recipe.model, trained.at(seed, time), items, asked)[1][0] for time in (-1, 0))
    read = {
        STATISTICS: (statistics, after),
        MOMENTS: (moments, after),
        COUNT: (statistics[..., :0], after),
        PAIRED: (np.random.default_rng(0).permutation(statistics), after),
        UNTRAINED: (statistics, before),
    }
    x = np.stack([_with_count(known, places) for known, _ in read.values()])
    y = np.stack([states for _, states in read.values()])
    parts, truth = (_in_parts(table, probing) for table in (x, y))
    answers = np.asarray(_fitted(parts, truth[:2], key, steps))
    tested = np.asarray(truth[2])
    return {source: scores("real", answers[i], tested[i])["R2 weighted"] for i, source in enumerate(read)}


def _with_count(known: Float[np.ndarray, "sequence position target"], places: tuple[int, ...]) -> np.ndarray:
    """What is known, the logarithm of the count of items, and zeros."""
    n = np.broadcast_to(np.log1p(np.array(places, float))[None, :, None], (*known.shape[:2], 1))
    empty = np.zeros((*known.shape[:2], COLUMNS - 1 - known.shape[2]))
    return np.concatenate([known, n, empty], axis=2)


def _in_parts(table: np.ndarray, probing: Probing) -> tuple[Any, ...]:
    """Training, validation and test sequences, their positions as rows: `[source, example, column]`."""
    parts = probing.parts(np.swapaxes(table.astype(np.float32), 0, 1))
    return tuple(jnp.asarray(np.swapaxes(part, 0, 1).reshape(len(table), -1, table.shape[-1])) for part in parts)


@partial(jax.jit, static_argnums=3)
def _fitted(parts: tuple[Any, ...], truth: tuple[Any, ...], key: Array, steps: int) -> Array:
    def one(x: Any, y: Any) -> Array:
        return mlp_probe(x[0], y[0], x[1], y[1], kind="real", key=key, steps=steps).predict(x[2])

    return jax.vmap(one)(parts, truth)
