"""Are tokens arranged in their own order? Rank statistics of similarity against distance."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .correlation import spearman
from .cosine import cosine_resolution, pair_cosines, token_pairs


def order(rows: Float[Array | np.ndarray, "token width"]) -> Float[Array, ""]:
    """Spearman correlation over token pairs between cosine similarity and closeness -|i - j|.

    One for embeddings whose similarity falls with distance, as those of anchors that add; near zero without order.
    Cosines are ranked on a grid 16 times coarser than their rounding (64 eps sqrt(width)), so that equal ones tie.

    Returns:
        A number in [-1, 1]; NaN where all similarities are tied, a row is zero, or there are fewer than 3 tokens.

    >>> angle = jnp.arange(5.0) / 4
    >>> print(round(float(order(jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1))), 3))
    1.0

    Source: yao2025reasoning.
    """
    rows = jnp.asarray(rows)
    first, second = token_pairs(rows.shape[0])
    grid = 16 * cosine_resolution(rows)  # a power of two: 0, 1/2 and 1 lie inside a cell, never on its edge
    return spearman(jnp.round(pair_cosines(rows) / grid), first - second)


def order_along(scores: Float[Array | np.ndarray, " token"]) -> Float[Array, ""]:
    """|Spearman correlation| between one score per token (the first principal component) and the token's index.

    The sign of a principal component means nothing, so neither does the direction of the order. NaN where all tie.

    >>> print(round(float(order_along(jnp.array([3.0, 2.0, 0.5, -1.0]))), 3))
    1.0
    """
    return jnp.abs(spearman(scores, jnp.arange(scores.shape[0])))
