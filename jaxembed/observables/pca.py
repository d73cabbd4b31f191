"""Principal components with signs that do not flip between runs."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .spectra import singular_floor


def pca(
    rows: Float[Array | np.ndarray, "token width"], components: int = 2
) -> tuple[Float[Array, "token {components}"], Float[Array, " {components}"]]:
    """Principal component scores of the rows and the share of variance each component explains.

    Sign: in each component, the first token whose score reaches 0.3 of the largest magnitude is positive.

    Args:
        rows: one row per token; their mean is removed.
        components: how many; at most the smaller side of `rows`.

    Returns:
        scores `[token, components]` in the unit of `rows`, explained `[components]` in [0, 1]. A component without
        variance has score 0; rows that do not differ at all give NaN. Equal shares leave the axes undetermined.

    Raises:
        ValueError: where `components` is not between 1 and the smaller side of `rows`.

    >>> scores, explained = pca(jnp.array([[0.0, 0.0], [3.0, 4.0], [9.0, 12.0]]))
    >>> print(jnp.round(3 * scores[:, 0]), explained.round(3))
    [ 20.   5. -25.] [1. 0.]
    """
    rows = jnp.asarray(rows)
    if not 1 <= components <= min(rows.shape):
        raise ValueError(f"components: need between 1 and {min(rows.shape)} for rows of shape {rows.shape}")
    u, s, _ = jnp.linalg.svd(rows - jnp.mean(rows, axis=0)[None, :], full_matrices=False)
    rounding = 4 * jnp.finfo(rows.dtype).eps * rows.size**0.5 * jnp.max(jnp.abs(rows))
    s = jnp.where(s > jnp.maximum(singular_floor(s, rows.shape), rounding), s, 0)
    scores = (u * s[None, :])[:, :components]
    variance = jnp.where(s[0] > 0, (s / s[0]) ** 2, jnp.nan)
    explained = variance[:components] / jnp.sum(variance)
    return jnp.where(s[0] > 0, scores * _signs(scores)[None, :], jnp.nan), explained


def _signs(scores: Array) -> Array:
    size = jnp.abs(scores)
    leading = jnp.argmax(size >= 0.3 * jnp.max(size, axis=0)[None, :], axis=0)
    return jnp.where(jnp.take_along_axis(scores, leading[None, :], axis=0)[0] < 0, -1, 1).astype(scores.dtype)
