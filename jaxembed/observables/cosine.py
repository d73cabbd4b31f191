"""Cosine similarities between the rows of a matrix: the direction of each token's embedding or signature."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .spectra import row_norms

Rows = Float[Array | np.ndarray, "token width"]


def cosine(rows: Rows) -> Float[Array, "token token"]:
    """Cosine similarity of every pair of rows.

    Equation: cos_ij = <rows_i, rows_j> / (|rows_i| |rows_j|), dimensionless, unchanged by rotations of the width.

    Returns:
        `[token, token]`; NaN in the rows and columns of tokens whose row is zero, for a zero vector has no direction.

    >>> print(cosine(jnp.array([[1.0, 0.0], [3.0, 4.0]])).round(3))
    [[1.  0.6]
     [0.6 1. ]]
    """
    rows = jnp.asarray(rows)
    length = row_norms(rows)
    unit = rows / jnp.where(length > 0, length, jnp.nan)[:, None]
    return jnp.clip(jnp.matmul(unit, unit.T, precision="highest"), -1, 1)


def pair_cosines(rows: Rows) -> Float[Array, "token*(token-1)//2"]:
    """The strict upper triangle of `cosine`, row by row: pairs (0, 1), (0, 2), .., (1, 2), ..

    >>> print(pair_cosines(jnp.array([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])).round(3))
    [0.6 0.  0.8]
    """
    return cosine(rows)[token_pairs(rows.shape[0])]


def centred(rows: Rows, baseline: Float[Array | np.ndarray, "..."] | float) -> Float[Array, "token width"]:
    """`rows - baseline`, with differences that are only rounding set to exactly zero.

    A row equal to its baseline then has no direction (its cosines are NaN), instead of the direction of its rounding.

    Args:
        rows: signatures, one row per token.
        baseline: a number, or one per column: 1/v for label signatures, the unigram distribution for next tokens.

    >>> print(centred(jnp.array([[0.5, 0.5], [0.75, 0.25]]), 0.5))
    [[ 0.    0.  ]
     [ 0.25 -0.25]]
    """
    rows = jnp.asarray(rows)
    baseline = jnp.asarray(baseline, rows.dtype)
    if baseline.shape not in ((), rows.shape[1:]):
        raise ValueError(f"baseline: need a number or one per column {rows.shape[1:]}, got shape {baseline.shape}")
    baseline = jnp.broadcast_to(baseline, rows.shape[1:])[None, :]
    difference = rows - baseline
    rounding = 16 * jnp.finfo(rows.dtype).eps * jnp.maximum(jnp.abs(rows), jnp.abs(baseline))
    return jnp.where(jnp.abs(difference) <= rounding, 0, difference)


def cosine_resolution(rows: Rows) -> float:
    """The power of two above 4 eps sqrt(width): cosines of `rows` that differ by less differ by rounding only."""
    return 2.0 ** math.ceil(math.log2(4 * float(jnp.finfo(rows.dtype).eps) * max(rows.shape[1], 1) ** 0.5))


def token_pairs(tokens: int) -> tuple[Int[Array, " example"], Int[Array, " example"]]:
    """Indices i < j of all pairs, row by row; computed, so that no large constant enters a compiled program."""
    before = np.arange(tokens) * (2 * tokens - 1 - np.arange(tokens)) // 2  # pairs whose first token is smaller
    pair = jnp.arange(tokens * (tokens - 1) // 2, dtype=jnp.int32)
    starts = jnp.asarray(before, jnp.int32)
    first = jnp.searchsorted(starts[: max(tokens - 1, 1)], pair, side="right").astype(jnp.int32) - 1
    return first, pair - starts[first] + first + 1
