"""Correlations that say NaN where there is nothing to correlate."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Real

Values = Real[Array | np.ndarray, " example"]
Scalar = Float[ArrayLike, ""]


def pearson(a: Values, b: Values, floors: tuple[Scalar, Scalar] | None = None) -> Float[Array, ""]:
    """Pearson correlation, NaN where a side does not vary.

    Args:
        a: values.
        b: values, paired with `a`.
        floors: standard deviations of `a` and `b` up to which a side counts as constant; by default 4 eps of the
            dtype times its largest magnitude, the rounding of its mean.

    Returns:
        A number in [-1, 1], NaN where a side is constant, empty or not finite.

    >>> print(round(float(pearson(jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 0.0, -1.0]))), 3))
    -1.0
    """
    (a, spread_a, floor_a), (b, spread_b, floor_b) = _standardised(_floating(a)), _standardised(_floating(b))
    if floors is not None:
        floor_a, floor_b = floors
    dtype = np.promote_types(a.dtype, b.dtype)
    r = jnp.clip(jnp.sum(a.astype(dtype) * b.astype(dtype)), -1, 1)
    return jnp.where((spread_a > floor_a) & (spread_b > floor_b), r, jnp.nan)


def spearman(a: Values, b: Values) -> Float[Array, ""]:
    """Spearman rank correlation: Pearson correlation of the ranks, ties sharing their average rank; O(n log n).

    Returns:
        A number in [-1, 1], NaN where all values of a side are tied, or where a side holds a NaN.

    >>> print(round(float(spearman(jnp.array([1.0, 5.0, 2.0]), jnp.array([10, 1000, 100]))), 3))
    1.0
    """
    a, b = jnp.asarray(a), jnp.asarray(b)
    dtype = np.promote_types(_floating(a).dtype, _floating(b).dtype)
    r = pearson(_centred_ranks(a).astype(dtype), _centred_ranks(b).astype(dtype))
    return jnp.where(jnp.any(jnp.isnan(a)) | jnp.any(jnp.isnan(b)), jnp.nan, r)


def _floating(values: Values) -> Array:
    values = jnp.asarray(values)
    return values if jnp.issubdtype(values.dtype, jnp.floating) else values.astype(jnp.result_type(float))


def _standardised(values: Array) -> tuple[Array, Array, Array]:
    """Deviations from the mean with unit sum of squares, their standard deviation, and its rounding floor."""
    floor = 4 * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values), initial=0)
    deviation = values - jnp.mean(values)
    peak = jnp.max(jnp.abs(deviation), initial=0)
    deviation = deviation / jnp.where(peak > 0, peak, 1)  # squares of tiny numbers would underflow
    length = jnp.sqrt(jnp.sum(deviation**2))
    return deviation / jnp.where(length > 0, length, 1), peak * length / max(values.size, 1) ** 0.5, floor


def _centred_ranks(values: Array) -> Int[Array, " example"]:
    """Twice the average rank minus its mean: whole numbers, so exact however many values there are."""
    size = values.shape[0]
    if size == 0:
        return jnp.zeros(0, jnp.int32)
    sorting = jnp.argsort(values)
    ordered = values[sorting]
    position = jnp.arange(size, dtype=jnp.int32)
    starts = jnp.concatenate([jnp.ones(1, bool), ordered[1:] != ordered[:-1]])
    ends = jnp.concatenate([starts[1:], jnp.ones(1, bool)])
    first = jax.lax.cummax(jnp.where(starts, position, 0))
    last = jax.lax.cummin(jnp.where(ends, position, size - 1), reverse=True)
    return jnp.zeros(size, jnp.int32).at[sorting].set(first + last - (size - 1), unique_indices=True)
