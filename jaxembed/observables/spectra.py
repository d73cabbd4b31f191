"""Sizes and singular modes of matrices, and how far the modes of two matrices coincide."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

Matrix = Float[Array | np.ndarray, "token width"]
Reference = Float[Array | np.ndarray, "token target"]


def norms(state: PyTree) -> PyTree:
    """The Frobenius norm of every leaf, as a tree of the same structure.

    >>> print(norms({"embed": jnp.array([[3.0], [4.0]])})["embed"])
    5.0
    """
    return jax.tree.map(lambda leaf: row_norms(jnp.reshape(jnp.asarray(leaf), (1, -1)))[0], state)


def row_norms(rows: Matrix) -> Float[Array, " token"]:
    """The Euclidean norm of every row, without under- or overflow of its squares.

    >>> print(row_norms(jnp.array([[3e-30, 4e-30], [0.0, 0.0]])) * 1e30)
    [5. 0.]
    """
    rows = jnp.asarray(rows)
    peak = jnp.max(jnp.abs(rows), axis=1, initial=0)
    return peak * jnp.linalg.norm(rows / jnp.where(peak > 0, peak, 1)[:, None], axis=1)


def singular_values(x: Matrix) -> Float[Array, "..."]:
    """Singular values, largest first, in the unit of `x`.

    >>> print(jnp.round(singular_values(jnp.array([[0.0, 2.0], [3.0, 0.0]]))))
    [3. 2.]
    """
    return jnp.linalg.svd(jnp.asarray(x), compute_uv=False)


def mode_overlaps(x: Matrix, reference: Reference, modes: int) -> Float[Array, "{modes} {modes}"]:
    """Overlaps |p_i . u_j| of the leading left singular vectors p of `reference` (rows) and u of `x` (columns).

    The identity where embeddings grow along the modes of their signature matrix in order.

    Returns:
        `[modes, modes]` in [0, 1]; NaN for a mode whose singular value is zero or repeated to rounding: it has no
        direction of its own (`subspace_overlap` compares such modes together).

    Raises:
        ValueError: where `modes` exceeds the smaller side of either matrix, or the numbers of rows differ.

    >>> print(mode_overlaps(jnp.diag(jnp.array([1.0, 5.0])), jnp.diag(jnp.array([3.0, 2.0])), 2).round(3))
    [[0. 1.]
     [1. 0.]]
    """
    (p, _, single_p), (u, _, single_u) = _modes(x, reference, modes)
    overlaps = jnp.abs(jnp.matmul(p[:, :modes].T, u[:, :modes], precision="highest"))
    defined = single_p[:modes][:, None] & single_u[:modes][None, :]
    return jnp.where(defined, jnp.clip(overlaps, 0, 1), jnp.nan)


def subspace_overlap(x: Matrix, reference: Reference, modes: int) -> Float[Array, ""]:
    """Overlap of the spans of the leading left singular vectors: the mean squared canonical correlation.

    Equation: ||P^T U||_F^2 / modes, with P and U the first `modes` left singular vectors; unrelated: modes / tokens.

    Returns:
        A number in [0, 1]; NaN where the leading subspace is not determined, for its last singular value is zero or
        equals the next one to rounding.

    Raises:
        ValueError: as `mode_overlaps`.

    >>> print(round(float(subspace_overlap(jnp.eye(4)[:, :2], jnp.eye(4)[:, :2] * 3.0, 2)), 3))
    1.0
    """
    (p, gap_p, _), (u, gap_u, _) = _modes(x, reference, modes)
    overlap = jnp.sum(jnp.matmul(p[:, :modes].T, u[:, :modes], precision="highest") ** 2) / modes
    return jnp.where(gap_p[modes - 1] & gap_u[modes - 1], jnp.clip(overlap, 0, 1), jnp.nan)


def singular_floor(values: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, ""]:
    """Singular values, and gaps between them, up to 8 eps sqrt(longer side) of the largest are rounding."""
    return 8 * float(jnp.finfo(values.dtype).eps) * max(shape) ** 0.5 * values[0]


_LeftModes = tuple[Float[Array, "token ..."], Bool[Array, "..."], Bool[Array, "..."]]


def _modes(x: Array | np.ndarray, reference: Array | np.ndarray, modes: int) -> tuple[_LeftModes, _LeftModes]:
    x, reference = jnp.asarray(x), jnp.asarray(reference)
    if x.shape[0] != reference.shape[0]:
        raise ValueError(f"reference: need one row per row of x ({x.shape[0]} tokens), got {reference.shape[0]}")
    most = min(*x.shape, *reference.shape)
    if not 1 <= modes <= most:
        raise ValueError(f"modes: need between 1 and {most} for shapes {x.shape} and {reference.shape}, got {modes}")
    dtype = np.promote_types(x.dtype, reference.dtype)
    return _left_modes(reference.astype(dtype)), _left_modes(x.astype(dtype))


def _left_modes(x: Array) -> _LeftModes:
    """Left singular vectors; whether each is cut off from the next (a gap below it); whether it stands alone."""
    u, s, _ = jnp.linalg.svd(x, full_matrices=False)
    gap = s - jnp.concatenate([s[1:], jnp.zeros_like(s[:1])]) > singular_floor(s, x.shape)
    return u, gap, gap & jnp.concatenate([jnp.ones(1, bool), gap[:-1]])
