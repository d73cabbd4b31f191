"""Documents of topics of any size: Gibbs sampling of a document's mixture at known topics.

A sweep draws the classes (forward filter, backward sampling), the topic of every word, and the mixture. What is
averaged is the mixture's mean given the expected counts, which varies less than the drawn mixture.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ._topic_counts import TopicWorld

BATCHES = 10
"""Stretches of a chain whose means give the Monte Carlo error."""


@partial(jax.jit, static_argnames=("sweeps", "burn"))
def gibbs(
    world: TopicWorld,
    items: Int[Array, "sequence position"],
    seen: Bool[Array, " position"],
    key: PRNGKeyArray,
    sweeps: int,
    burn: int,
) -> tuple[Float[Array, "sequence topic"], Float[Array, "sequence topic"]]:
    """Posterior mean of each document's mixture given the words that are seen, and its Monte Carlo error.

    Args:
        world: what all documents share.
        items: word ids.
        seen: which positions count; a prefix.
        key: of the chain.
        sweeps: sweeps that are averaged, rounded down to a multiple of `BATCHES`.
        burn: sweeps before them.

    Returns:
        The mean, and the standard error by batch means.
    """
    # [topic, sequence, position] keeps the long axes last, where the arithmetic is.
    chance = world.topics[:, items]
    shown = seen.astype(chance.dtype)
    other = jnp.where(seen[None, None, :], world.emission[:, items], 1)

    def sweep(theta: Array, key: Array) -> tuple[Array, Array]:
        classes, topics, mixture = jax.random.split(key, 3)
        weight = chance * theta.T[:, :, None]
        cumulative = jnp.cumsum(weight, axis=0)
        semantic = _semantic(world, classes, jnp.where(seen[None, :], cumulative[-1], 1), other) * shown[None, :]
        level = jax.random.uniform(topics, items.shape, chance.dtype) * cumulative[-1]
        above = jnp.concatenate([jnp.ones_like(level)[None], (level[None] >= cumulative[:-1]).astype(chance.dtype)])
        reached = jnp.einsum("kst,st->sk", above, semantic)
        counts = reached - jnp.pad(reached[:, 1:], ((0, 0), (0, 1)))
        expected = jnp.einsum("kst,st->sk", weight / cumulative[-1][None], semantic) + world.alpha[None, :]
        return jax.random.dirichlet(mixture, counts + world.alpha[None, :]), expected

    def batch(theta: Array, keys: Array) -> tuple[Array, Array]:
        def one(carry: tuple[Array, Array], key: Array) -> tuple[tuple[Array, Array], None]:
            theta, expected = sweep(carry[0], key)
            return (theta, carry[1] + expected / jnp.sum(expected, axis=1, keepdims=True)), None

        (theta, total), _ = jax.lax.scan(one, (theta, jnp.zeros_like(theta)), keys)
        return theta, total / len(keys)

    first, burning, drawing = jax.random.split(key, 3)
    theta = jax.random.dirichlet(first, world.alpha, (len(items),))
    theta, _ = batch(theta, jax.random.split(burning, burn))
    _, means = jax.lax.scan(batch, theta, jax.random.split(drawing, (BATCHES, sweeps // BATCHES)))
    return jnp.mean(means, axis=0), jnp.std(means, axis=0, ddof=1) / BATCHES**0.5


def _semantic(world: TopicWorld, key: PRNGKeyArray, own: Array, other: Array) -> Array:
    """Which words are drawn as of class 0, 1.0 or 0.0: `own` and `other` are their chances under each class."""
    if len(world.initial) == 1:
        return jnp.ones_like(own)
    chance = jnp.concatenate([own[None], other]).transpose(2, 1, 0)

    def forward(expected: Array, chance: Array) -> tuple[Array, Array]:
        belief = expected * chance
        belief = belief / jnp.sum(belief, axis=1, keepdims=True)
        return belief @ world.transition, belief

    def backward(later: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        belief, level = step
        cumulative = jnp.cumsum(belief * later, axis=1)
        drawn = jnp.sum((level[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]).astype(jnp.int32), axis=1)
        return world.transition.T[drawn], drawn

    start = jnp.broadcast_to(world.initial[None, :], chance.shape[1:])
    _, beliefs = jax.lax.scan(forward, start, chance)
    levels = jax.random.uniform(key, chance.shape[:2], chance.dtype)
    _, drawn = jax.lax.scan(backward, jnp.ones_like(start), (beliefs, levels), reverse=True)
    return (drawn == 0).astype(chance.dtype).T
