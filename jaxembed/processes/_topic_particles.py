"""Documents of topics of any size: a particle filter over class and topic counts, for predictions at every position.

A particle is proposed from its exact next step and weighted by the exact chance of the word, so that only the
resampling adds noise. The product over words of the mean weights is an unbiased estimate of the document's chance; no
single mean is one of its word's chance, and every logarithm is low by about half its variance.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._topic_counts import TopicWorld


@partial(jax.jit, static_argnames="particles")
def filter_particles(
    world: TopicWorld, items: Int[Array, "sequence position"], key: PRNGKeyArray, particles: int
) -> tuple[Float[Array, "sequence position topic"], Float[Array, "sequence position"]]:
    """Estimates of the posterior mean of the mixture after each word, and of log p of each word given those before."""
    topics, dtype = len(world.alpha), world.topics.dtype
    shape = (len(items), particles)

    def read(carry: tuple[Array, Array], step: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        (counts, expected), (words, key) = carry, step
        chances = _chances(world, counts, expected, words)
        weight = jnp.sum(chances, axis=2)
        sampling, choosing = jax.random.split(key)
        kept = _systematic(sampling, weight)
        chances, counts = (jnp.take_along_axis(x, kept[:, :, None], axis=1) for x in (chances, counts))
        chosen = _choose(choosing, chances)
        counts = counts + jax.nn.one_hot(chosen, topics, dtype=dtype)
        expected = world.transition[jnp.maximum(chosen - topics + 1, 0)]
        posterior = (counts + world.alpha[None, None, :]) / _total(world, counts)[:, :, None]
        return (counts, expected), (jnp.mean(posterior, axis=1), jnp.log(jnp.mean(weight, axis=1)))

    start = (
        jnp.zeros((*shape, topics), dtype),
        jnp.broadcast_to(world.initial[None, None, :], (*shape, len(world.initial))),
    )
    keys = jax.random.split(key, items.shape[1])
    _, (means, logs) = jax.lax.scan(read, start, (items.T, keys))
    return jnp.moveaxis(means, 0, 1), logs.T


def _total(world: TopicWorld, counts: Array) -> Array:
    return jnp.sum(counts, axis=2) + jnp.sum(world.alpha)


def _chances(world: TopicWorld, counts: Array, expected: Array, words: Array) -> Array:
    """Chance of the word with each topic, then with each other class: `[sequence, particle, topic + state - 1]`."""
    mixture = (counts + world.alpha[None, None, :]) / _total(world, counts)[:, :, None]
    semantic = expected[:, :, :1] * mixture * world.topics.T[words][:, None, :]
    return jnp.concatenate([semantic, expected[:, :, 1:] * world.emission.T[words][:, None, :]], axis=2)


def _systematic(key: PRNGKeyArray, weight: Array) -> Array:
    """Which particles survive, in proportion to their weight: one draw per sequence."""
    sequences, particles = weight.shape
    cumulative = jnp.cumsum(weight, axis=1)
    cumulative = cumulative / cumulative[:, -1:]
    first = jax.random.uniform(key, (sequences, 1), weight.dtype)
    points = (first + jnp.arange(particles, dtype=weight.dtype)[None, :]) / particles
    return jnp.minimum(jax.vmap(jnp.searchsorted)(cumulative, points), particles - 1)


def _choose(key: PRNGKeyArray, chances: Array) -> Array:
    """One option along the last axis, in proportion to its chance."""
    cumulative = jnp.cumsum(chances, axis=-1)
    level = jax.random.uniform(key, chances.shape[:-1], chances.dtype) * cumulative[..., -1]
    return jnp.sum((level[..., None] >= cumulative[..., :-1]).astype(jnp.int32), axis=-1)
