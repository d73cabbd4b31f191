"""Initial weights by scale, or by the papers' exponent gamma: standard deviation d_in^(-gamma)."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray


def check_init(width: int, init_scale: float, gamma: float | None) -> None:
    """Refuse settings that cannot be drawn.

    Raises:
        ValueError: naming the setting.
    """
    if width < 1:
        raise ValueError(f"width: must be at least 1, got {width}")
    if gamma is None and not (math.isfinite(init_scale) and init_scale > 0):
        raise ValueError(f"init_scale: must be a positive number, got {init_scale}; 1e-3 is small, 1 is large")
    if gamma is not None and not math.isfinite(gamma):
        raise ValueError(f"gamma: must be finite, got {gamma}; above 0.5 is small initialisation")


def scale(init_scale: float, gamma: float | None, fan_in: int) -> float:
    """Standard deviation of a weight matrix whose input dimension is `fan_in`."""
    return init_scale if gamma is None else fan_in ** (-gamma)


def normal(key: PRNGKeyArray, rows: int, columns: int, standard_deviation: float) -> Array:
    """Independent normal weights in JAX's default float dtype."""
    draws = jax.random.normal(key, (rows, columns), dtype=float)
    return draws * jnp.asarray(standard_deviation, draws.dtype)
