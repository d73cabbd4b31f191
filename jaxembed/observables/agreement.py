"""Do embeddings and signatures see the same similarities? One correlation, its null, and errors that see scale."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .correlation import pearson
from .cosine import cosine, cosine_resolution, pair_cosines

Embedding = Float[Array | np.ndarray, "token width"]
Signature = Float[Array | np.ndarray, "token target"]
Matrix = Float[Array | np.ndarray, "..."]


def r_cos(W: Embedding, S: Signature) -> Float[Array, ""]:
    """Agreement of the cosine similarities of embeddings and of signatures.

    Equation: R_cos(W, S) = Pearson correlation over pairs i < j of cos(W_i, W_j) and cos(S_i, S_j).

    Label signatures enter centred: `centred(sig.label, 1 / vocab)`. Cosine hides scale: give `relative_error` too.

    Args:
        W: `[token, width]`, embeddings.
        S: `[token, target]`, signatures of the same tokens.

    Returns:
        A number in [-1, 1]. NaN where it is undefined: a zero row, or cosines of one side that vary (standard
        deviation) by no more than 4 eps sqrt(columns), rounded up to a power of two, as for equal signature rows.

    Raises:
        ValueError: where `W` and `S` have different numbers of tokens.

    >>> S = jnp.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> print(round(float(r_cos(5 * S, S)), 3), float(r_cos(S, jnp.ones((3, 2)))))
    1.0 nan

    Source: yao2025probability.
    """
    W, S = _same_tokens(W, S)
    return pearson(pair_cosines(W), pair_cosines(S), (cosine_resolution(W), cosine_resolution(S)))


def mantel(W: Embedding, S: Signature, *, key: PRNGKeyArray, permutations: int = 999) -> Float[Array, ""]:
    """Mantel test of `r_cos`: how often relabelling the tokens of `W` at random agrees at least as well.

    Equation: p = (1 + number of permutations with R_cos >= observed) / (1 + permutations), one-sided.

    Pairs share tokens and are not independent, so the p-value of a plain correlation over pairs would be far too small.

    Returns:
        p in [1 / (1 + permutations), 1], NaN where `r_cos` is undefined.

    Raises:
        ValueError: where `permutations` is not positive, or the numbers of tokens differ.

    >>> S = jnp.cos(jnp.arange(24.0)).reshape(8, 3)
    >>> print(float(mantel(S, S, key=jax.random.key(0), permutations=99)) <= 0.05)
    True

    Source: mantel1967.
    """
    if permutations < 1:
        raise ValueError(f"permutations: need at least 1, got {permutations}; 999 resolves p = 0.001")
    W, S = _same_tokens(W, S)
    dtype = np.promote_types(W.dtype, S.dtype)
    a, b = _deviations(W).astype(dtype), _deviations(S).astype(dtype)
    tie = 64 * jnp.finfo(dtype).eps  # a permutation that changes nothing must count as equal, whatever its rounding

    def null(key: PRNGKeyArray) -> Array:
        shuffle = jax.random.permutation(key, a.shape[0])
        return jnp.sum(a[shuffle][:, shuffle] * b)

    at_least = jax.lax.map(null, jax.random.split(key, permutations)) >= jnp.sum(a * b) - tie
    p = (1 + jnp.sum(at_least)).astype(dtype) / (1 + permutations)
    return jnp.where(jnp.isnan(r_cos(W, S)), jnp.nan, p)


def relative_error(a: Matrix, b: Matrix) -> Float[Array, ""]:
    """||a - b|| / ||b||, Frobenius norms; sees the scale that cosines hide. NaN where `b` is zero.

    >>> print(round(float(relative_error(jnp.array([3.0, 5.0]), jnp.array([3.0, 4.0]))), 3))
    0.2
    """
    a, b = _unit_peak(a, b)
    size = jnp.linalg.norm(b)
    return jnp.linalg.norm(a - b) / jnp.where(size > 0, size, jnp.nan)


def scale_free_error(a: Matrix, b: Matrix) -> Float[Array, ""]:
    """Relative error after the best overall scale: min over s >= 0 of ||s a - b|| / ||b||, in [0, 1].

    For Gram or cosine matrices of objects whose overall size may differ, as embeddings and signatures. A zero `a`
    explains nothing (error 1); NaN where `b` is zero.

    >>> print(round(float(scale_free_error(7 * jnp.eye(3), jnp.eye(3))), 3))
    0.0
    """
    a, b = _unit_peak(a)[0], _unit_peak(b)[0]
    dtype = np.promote_types(a.dtype, b.dtype)
    a, b = a.astype(dtype), b.astype(dtype)
    size = jnp.sum(a * a)
    scale = jnp.maximum(jnp.sum(a * b), 0) / jnp.where(size == 0, 1, size)
    return relative_error(scale * a, b)


def _same_tokens(W: Array | np.ndarray, S: Array | np.ndarray) -> tuple[Array, Array]:
    if W.shape[0] != S.shape[0]:
        raise ValueError(
            f"S: need one row per row of W ({W.shape[0]} tokens), got {S.shape[0]}; select the same tokens"
        )
    return jnp.asarray(W), jnp.asarray(S)


def _deviations(rows: Array) -> Float[Array, "token token"]:
    """Cosines minus their mean over pairs, zero on the diagonal, with unit Frobenius norm."""
    tokens = rows.shape[0]
    pair = ~jnp.eye(tokens, dtype=bool)
    cosines = jnp.where(pair, cosine(rows), 0)
    deviation = jnp.where(pair, cosines - jnp.sum(cosines) / max(tokens * (tokens - 1), 1), 0)
    return deviation / jnp.linalg.norm(deviation)


def _unit_peak(*arrays: Matrix) -> list[Array]:
    """The arrays in one dtype, divided by their largest magnitude, so that squares neither under- nor overflow."""
    held = [jnp.asarray(a) for a in arrays]
    if len({a.shape for a in held}) > 1:
        raise ValueError(f"a, b: need the same shape, got {' and '.join(str(a.shape) for a in held)}")
    dtype = np.result_type(*(a.dtype for a in held))
    peak = jnp.max(jnp.stack([jnp.max(jnp.abs(a.astype(dtype)), initial=0) for a in held]))
    return [a.astype(dtype) / jnp.where(peak == 0, 1, peak) for a in held]
