"""Ridge regression in closed form, its penalty chosen on validation data."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .probe import Probe, checked_parts, standard

PENALTIES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0)
"""In units of the variance of a standardised input."""


def ridge(
    x: Float[Array | np.ndarray, "example dimension"],
    y: Float[Array | np.ndarray, "..."],
    x_val: Float[Array | np.ndarray, "..."],
    y_val: Float[Array | np.ndarray, "..."],
    *,
    penalties: Sequence[float] = PENALTIES,
) -> Probe:
    """The line that reads real targets, one penalty for each target.

    Equation: argmin_w mean (y - x w)^2 + penalty |w|^2 with x and y standardised by the training part; the penalty with
    the least squared error on the validation part.

    Args:
        x: `[example, dimension]`, what is read; its dtype is the dtype of the fit.
        y: `[example, target]`.
        x_val: validation part.
        y_val: validation part.
        penalties: to choose from.

    Raises:
        ValueError: where rows do not match, or there are more targets than samples.

    >>> x = jax.random.normal(jax.random.key(0), (60, 3))
    >>> y = x[:, :1] - 2 * x[:, 1:2] + 5
    >>> bool(jnp.max(jnp.abs(ridge(x[:40], y[:40], x[40:50], y[40:50]).predict(x[50:]) - y[50:])) < 1e-3)
    True
    """
    x, y, x_val, y_val = checked_parts(x, y, x_val, y_val)
    inputs, outputs = standard(x), standard(y)
    z, u, z_val, u_val = inputs.of(x), outputs.of(y), inputs.of(x_val), outputs.of(y_val)
    eigenvalues, basis = jnp.linalg.eigh(_product(z.T, z) / x.shape[0])
    # Rounding leaves small negative eigenvalues.
    eigenvalues = jnp.maximum(eigenvalues, 0.0)
    along = _product(basis.T, _product(z.T, u)) / x.shape[0]
    read = _product(z_val, basis)

    def error(penalty: Array) -> Array:
        return jnp.mean((_product(read, along / (eigenvalues + penalty)[:, None]) - u_val) ** 2, axis=0)

    tried = jnp.asarray(penalties, x.dtype)
    chosen = tried[jnp.argmin(jax.lax.map(error, tried), axis=0)]
    weights = _product(basis, along / (eigenvalues[:, None] + chosen[None, :]))
    return Probe(((weights, jnp.zeros_like(outputs.centre)),), inputs, outputs, chosen, "real")


def _product(one: Array, other: Array) -> Array:
    return jnp.matmul(one, other, precision=jax.lax.Precision.HIGHEST)
