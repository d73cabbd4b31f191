"""What a distribution over the next token says: how sharp it is, how far from another, where the token that came ranks.

Distributions enter as logits; log-probabilities are logits of themselves.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int

from ..base import at_least_single

BUDGET = 2**27
"""Bytes that the logits of one block may take, with all that is computed from them."""

HELD = 8
"""Arrays of the size of the logits that a block holds at once, at most."""

Logits = Float[Array, "... token"]


@partial(register_dataclass, data_fields=["entropy", "divergence", "rank", "surprisal"], meta_fields=[])
@dataclass(frozen=True)
class Readings:
    """Next-token distributions in four numbers each; leading axes as those of the states they were read from.

    Attributes:
        entropy: in nats.
        divergence: KL(final || this), in nats.
        rank: of the token that came, 1 for the most probable one; equally probable tokens share their mean rank.
        surprisal: -log p of the token that came, in nats.
    """

    entropy: Float[Array, "..."]
    divergence: Float[Array, "..."]
    rank: Float[Array, "..."]
    surprisal: Float[Array, "..."]


def entropy(logits: Logits) -> Float[Array, "..."]:
    """Entropy of softmax(logits) in nats.

    >>> print(round(float(entropy(jnp.zeros(4))), 4))  # log 4
    1.3863
    """
    log_p = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.sum(_times(jnp.exp(log_p), log_p), axis=-1)


def divergence(final: Logits, logits: Logits) -> Float[Array, "..."]:
    """KL(softmax(final) || softmax(logits)) in nats; infinite where a possible token is impossible to the second.

    >>> print(round(float(divergence(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25, 0.75])))), 4))
    0.1438
    """
    log_p, log_q = jax.nn.log_softmax(final, axis=-1), jax.nn.log_softmax(logits, axis=-1)
    total = jnp.sum(_times(jnp.exp(log_p), log_p - log_q), axis=-1)
    return jnp.maximum(total, 0)  # of nearly equal distributions, rounding is all that is left


def rank(logits: Logits, targets: Int[Array, "..."]) -> Float[Array, "..."]:
    """Place of a token among all by probability: 1 + how many are more probable + half of the others that tie.

    NaN where a logit is NaN.

    >>> print(float(rank(jnp.array([3.0, 1.0, 2.0]), jnp.array(2))), float(rank(jnp.zeros(5), jnp.array(0))))
    2.0 3.0
    """
    own = jnp.take_along_axis(logits, targets[..., None], axis=-1)
    above, same = (jnp.sum(which, axis=-1).astype(logits.dtype) for which in (logits > own, logits == own))
    return jnp.where(jnp.any(jnp.isnan(logits), axis=-1), jnp.nan, 1 + above + (same - 1) / 2)


def surprisal(logits: Logits, targets: Int[Array, "..."]) -> Float[Array, "..."]:
    """-log softmax(logits)[target], in nats.

    >>> print(round(float(surprisal(jnp.zeros(4), jnp.array(1))), 4))
    1.3863
    """
    own = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - own


def read_out(
    states: Float[Array, "example width"],
    head: Float[Array, "token width"],
    targets: Int[Array, " example"],
    final: Float[Array, "..."] | None = None,
    final_head: Float[Array, "..."] | None = None,
    *,
    budget: int = BUDGET,
) -> Readings:
    """All four numbers of softmax(states head^T), a block of rows at a time: no table over the vocabulary beyond it.

    Args:
        states: `[example, width]`, as the head reads them.
        head: `[token, width]`.
        targets: `[example]`, the token that came.
        final: `[example, width]`, states of the distributions that these are held against; None for themselves. Their
            width may differ where `final_head` is given.
        final_head: `[token, width]` of those; None for `head`.
        budget: bytes that the arrays over the vocabulary of one block may take together; one row at least.

    Returns:
        Arrays `[example]`, in the dtype of the states but at least float32.

    >>> found = read_out(jnp.eye(3), jnp.eye(3), jnp.array([0, 1, 2]))
    >>> print(found.rank.tolist(), round(float(found.surprisal[0]), 3))
    [1.0, 1.0, 1.0] 0.551
    """
    final = states if final is None else final
    final_head = head if final_head is None else final_head
    wide = at_least_single(states.dtype)
    rows = rows_within(budget, head.shape[0], wide.itemsize)
    blocks = -(-states.shape[0] // rows)
    parts = tuple(_cut(array, min(rows, states.shape[0]), blocks) for array in (states, targets, final))

    def block(part: tuple[Array, Array, Array]) -> Readings:
        rows, wanted, last = part
        logits, ends = (_logits(rows, head, wide), _logits(last, final_head, wide))
        return Readings(entropy(logits), divergence(ends, logits), rank(logits, wanted), surprisal(logits, wanted))

    readings = jax.lax.map(block, parts)
    return jax.tree.map(lambda leaf: leaf.reshape(-1)[: states.shape[0]], readings)


def rows_within(budget: int, vocab: int, itemsize: int) -> int:
    """Rows of a block whose arrays over the vocabulary fit the budget of bytes; one at least.

    >>> rows_within(2**27, 10_000, 4), rows_within(1, 10_000, 4)
    (419, 1)
    """
    return max(1, budget // (HELD * itemsize * vocab))


def _logits(states: Array, head: Array, wide: np.dtype) -> Array:
    return states.astype(wide) @ head.astype(wide).T


def _cut(array: Array, rows: int, blocks: int) -> Array:
    """`[block, row, ...]`, the last block filled up with zeros."""
    padding = [(0, rows * blocks - array.shape[0]), *[(0, 0)] * (array.ndim - 1)]
    return jnp.pad(array, padding).reshape(blocks, rows, *array.shape[1:])


def _times(p: Array, x: Array) -> Array:
    """p x, and nothing where p is zero, whatever x is there; undefined p stays undefined."""
    return jnp.where(p == 0, 0, p * jnp.where(p == 0, 0, x))
