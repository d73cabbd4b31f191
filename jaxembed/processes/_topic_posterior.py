"""What documents of topics share: alpha, words drawn from a table, and the posterior mean by the way that fits."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._topic_counts import COUNT_LIMIT, TopicWorld, count_vectors, filter_counts
from ._topic_gibbs import BATCHES, gibbs
from ._topic_particles import filter_particles
from .process import Target, check_counts, chosen_positions

MEAN, ERROR = "posterior_mean", "monte_carlo_error"

DOCUMENTS, DOCUMENTS_SAMPLED = 250, 1000
"""Documents computed at once, to bound memory: by filters, and by Gibbs sampling, which holds less of each."""


def check_alpha(alpha: float | tuple[float, ...], topics: int) -> None:
    """Refuse an improper prior over mixtures, or one of another size.

    Raises:
        ValueError: saying what to change.
    """
    values = alpha if isinstance(alpha, tuple) else (alpha,)
    if isinstance(alpha, tuple) and len(alpha) != topics:
        raise ValueError(f"alpha: need one number, or one per topic ({topics}), got {len(alpha)}")
    if not all(isfinite(value) and value > 0 for value in values):
        raise ValueError(f"alpha: the Dirichlet prior is improper at {alpha}; need positive finite numbers")


def check_sampling(sweeps: int, particles: int) -> None:
    """Refuse too few sweeps for an error by batch means, or no particle.

    Raises:
        ValueError: naming the setting.
    """
    check_counts(BATCHES, sweeps=sweeps)
    check_counts(particles=particles)


def alphas(alpha: float | tuple[float, ...], topics: int, dtype: Any) -> Float[Array, " topic"]:
    """Alpha of every topic."""
    return jnp.asarray(alpha if isinstance(alpha, tuple) else (alpha,) * topics, dtype)


def tilted(alpha: float | tuple[float, ...], topics: int) -> tuple[float, ...]:
    """A prior under which the first topic is four times as common as it was."""
    values = alpha if isinstance(alpha, tuple) else (alpha,) * topics
    return (4 * values[0], *values[1:])


def draw_words(key: PRNGKeyArray, table: Float[Array, "state token"], rows: Int[Array, "..."]) -> Int[Array, "..."]:
    """A word from the given row of a table of distributions, for every entry of `rows`."""
    # One increasing sequence over all rows: a bisection then reads ten numbers a word instead of the vocabulary.
    vocab = table.shape[1]
    steps = jnp.cumsum(table, axis=1)
    steps = steps / steps[:, -1:] + jnp.arange(len(table), dtype=table.dtype)[:, None]
    level = jax.random.uniform(key, rows.shape, table.dtype) + rows.astype(table.dtype)
    places = jnp.searchsorted(steps.ravel(), level, side="right").astype(jnp.int32) - rows.astype(jnp.int32) * vocab
    return jnp.clip(places, 0, vocab - 1)


def mixture_targets(topics: int) -> dict[str, Target]:
    """The generating mixture of a document, and its posterior mean."""
    names = tuple(f"topic {k}" for k in range(topics))
    own = Target("distribution", topics, names, MEAN, "the mixture the document was generated from")
    return {"mixture": own, MEAN: Target("distribution", topics, names, None, "its exact posterior mean, topics known")}


def posterior(
    world: TopicWorld,
    items: Array,
    names: Sequence[str] | None,
    positions: Sequence[int] | None,
    key: PRNGKeyArray | None,
    sweeps: int,
) -> dict[str, Array]:
    """`posterior_mean` and `monte_carlo_error` after the words at some positions, `[sequence, position, topic]`."""
    wanted = [MEAN] if names is None else list(names)
    for name in wanted:
        if name not in (MEAN, ERROR):
            raise ValueError(f"names: no exact quantity {name!r}; there are {MEAN}, {ERROR}")
    places = chosen_positions(items.shape[1], positions)
    if not wanted:
        return {}
    if _listable(world, items):
        means = _in_parts(lambda part, _: filter_counts(world, part)[0], items, key)[:, places]
        return {name: means if name == MEAN else jnp.zeros_like(means) for name in wanted}
    pairs = [_sampled(world, items, place, key, sweeps) for place in places.tolist()]
    return {name: jnp.stack([pair[name == ERROR] for pair in pairs], axis=1) for name in wanted}


def log_predictive(
    world: TopicWorld, items: Array, key: PRNGKeyArray | None, particles: int
) -> Float[Array, "sequence position"]:
    """log p(x_{n+1} | x_0 .. x_n) in nats: exact for small sizes, else by a particle filter."""
    if _listable(world, items):
        return _in_parts(lambda part, _: filter_counts(world, part)[1], items, key)[:, 1:]
    return _in_parts(lambda part, key: filter_particles(world, part, key, particles)[1], items, key)[:, 1:]


def _listable(world: TopicWorld, items: Array) -> bool:
    return count_vectors(len(world.alpha), items.shape[1]) <= COUNT_LIMIT


def _sampled(world: TopicWorld, items: Array, place: int, key: PRNGKeyArray | None, sweeps: int) -> tuple[Array, Array]:
    seen = jnp.arange(items.shape[1]) <= place

    def both_of(part: Array, key: PRNGKeyArray) -> Array:
        return jnp.stack(gibbs(world, part, seen, key, sweeps, max(sweeps // 10, 1)), axis=2)

    both = _in_parts(both_of, items, key, DOCUMENTS_SAMPLED)
    return both[:, :, 0], both[:, :, 1]


def _in_parts(
    compute: Callable[[Array, PRNGKeyArray], Array], items: Array, key: PRNGKeyArray | None, size: int = DOCUMENTS
) -> Array:
    """Documents by the few hundred, each part with its own key (a fixed one where none is given)."""
    key = jax.random.key(0) if key is None else key
    parts = range(0, len(items), size)
    return jnp.concatenate([compute(items[i : i + size], jax.random.fold_in(key, i)) for i in parts])
