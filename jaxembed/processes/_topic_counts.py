"""Documents of topics, exactly: a filter over how many words came from each topic, for small sizes.

The posterior of a document's mixture depends on its words only through those counts, and the counts are a Markov chain
(Polya's urn), so that the filter is exact where all count vectors can be listed. A chain of word classes, of which
class 0 draws from the topics, is carried along; plain topic documents have that class alone.
"""

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

COUNT_LIMIT = 6000
"""Count vectors up to which the exact filter is taken."""


class TopicWorld(NamedTuple):
    """Everything that all documents share, in one dtype.

    Attributes:
        alpha: `[topic]`, Dirichlet parameters of a document's mixture.
        topics: `[topic, token]`, rows sum to one.
        emission: `[state - 1, token]`, words of the classes after class 0.
        transition: `[state, state]` between classes, from rows to columns.
        initial: `[state]`, the first word's class.
    """

    alpha: Float[Array, " topic"]
    topics: Float[Array, "topic token"]
    emission: Float[Array, "... token"]
    transition: Float[Array, "state state"]
    initial: Float[Array, " state"]


def one_class(alpha: Float[Array, " topic"], topics: Float[Array, "topic token"]) -> TopicWorld:
    """Plain topic documents: every word is of class 0."""
    one = jnp.ones((1, 1), topics.dtype)
    return TopicWorld(alpha, topics, jnp.zeros((0, topics.shape[1]), topics.dtype), one, one[0])


def count_vectors(topics: int, length: int) -> int:
    """How many vectors of `topics` counts have a sum of at most `length`."""
    return comb(length + topics, topics)


def filter_counts(
    world: TopicWorld, items: Int[Array, "sequence position"]
) -> tuple[Float[Array, "sequence position topic"], Float[Array, "sequence position"]]:
    """The posterior mean of the mixture after each word, and log p of each word given those before it."""
    vectors, before = _vectors(world.topics.shape[0], items.shape[1])
    return _filter(world, items, jnp.asarray(vectors), jnp.asarray(before))


@jax.jit
def _filter(world: TopicWorld, items: Array, vectors: Array, before: Array) -> tuple[Array, Array]:
    dtype = world.topics.dtype
    counts = vectors.astype(dtype)
    total = jnp.sum(counts, axis=1) + jnp.sum(world.alpha)
    mean = (world.alpha[None, :] + counts) / total[:, None]
    # Chance that the urn's next word is of this topic, seen from the vector it leads to; 0 where nothing leads there.
    urn = jnp.where(counts > 0, (world.alpha[None, :] + counts - 1) / (total - 1)[:, None], 0).T

    def read(expected: Array, words: Array) -> tuple[Array, tuple[Array, Array]]:
        joint = _read(world, urn, before, expected, words)
        evidence = jnp.sum(joint, axis=(1, 2))
        joint = joint / evidence[:, None, None]
        after = jnp.einsum("sib,ij->sjb", joint, world.transition)
        return after, (jnp.einsum("sib,bk->sk", joint, mean), jnp.log(evidence))

    empty = (jnp.arange(len(vectors)) == 0).astype(dtype)
    start = jnp.broadcast_to(
        world.initial[None, :, None] * empty[None, None, :], (len(items), len(world.initial), len(empty))
    )
    _, (means, logs) = jax.lax.scan(read, start, items.T)
    return jnp.moveaxis(means, 0, 1), logs.T


def _read(world: TopicWorld, urn: Array, before: Array, expected: Array, words: Array) -> Array:
    """Joint of class and counts with the next words, from the expected class and counts before them."""
    padded = jnp.pad(expected[:, 0], ((0, 0), (0, 1)))
    chance = world.topics[:, words]
    semantic = sum(chance[k][:, None] * urn[k][None, :] * padded[:, before[k]] for k in range(len(urn)))
    other = world.emission[:, words].T[:, :, None] * expected[:, 1:]
    return jnp.concatenate([jnp.asarray(semantic)[:, None], other], axis=1)


@lru_cache(maxsize=8)
def _vectors(topics: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """All count vectors, the empty one first, and by topic the index of the vector one word earlier (else one past)."""
    bars = np.array(list(combinations(range(length + topics), topics)), np.int32).reshape(-1, topics)
    vectors = np.diff(bars, axis=1, prepend=-1) - 1
    index = {tuple(row): i for i, row in enumerate(vectors.tolist())}
    before = np.full((topics, len(vectors)), len(vectors), np.int32)
    for k, step in enumerate(np.eye(topics, dtype=np.int32)):
        before[k] = [index.get(tuple(row), len(vectors)) for row in (vectors - step[None, :]).tolist()]
    return vectors, before
