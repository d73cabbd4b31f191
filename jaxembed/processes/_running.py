"""Sums over x_0 .. x_n for every n."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def seen(values: Float[Array, "sequence position"]) -> Float[Array, "1 position"]:
    """How many items were read, n + 1, at every position."""
    return jnp.arange(1, values.shape[1] + 1, dtype=values.dtype)[None, :]


def running_mean(values: Float[Array, "sequence position"]) -> Float[Array, "sequence position"]:
    """The mean of x_0 .. x_n at every n."""
    return jnp.cumsum(values, axis=1) / seen(values)


def running_square_sum(values: Float[Array, "sequence position"]) -> Float[Array, "sequence position"]:
    """The sum of (x - mean)^2 over x_0 .. x_n at every n.

    Equation: SS_n = SS_{n-1} + (x_n - mean_{n-1}) (x_n - mean_n), which does not cancel where the mean is large.
    """
    mean = running_mean(values)
    before = jnp.concatenate([values[:, :1], mean[:, :-1]], axis=1)
    return jnp.cumsum((values - before) * (values - mean), axis=1)
