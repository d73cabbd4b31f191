"""Carlson's symmetric elliptic integral R_F, for real and complex arguments."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

HALVINGS = 24
"""Each brings the arguments 4 times closer; their spread enters to the sixth power."""


def elliptic_rf(x: Complex[Array, "..."], y: Complex[Array, "..."], z: Complex[Array, "..."]) -> Complex[Array, "..."]:
    """R_F(x, y, z) = (1/2) int_0^inf dt / sqrt((t + x)(t + y)(t + z)), by duplication; at most one argument is 0.

    Source: carlson1995.
    """
    x, y, z = jax.lax.fori_loop(0, HALVINGS, _halve, (x, y, z))
    mean = (x + y + z) / 3
    x, y = 1 - x / mean, 1 - y / mean
    z = -x - y
    second, third = x * y - z * z, x * y * z
    series = 1 - second / 10 + third / 14 + second * second / 24 - 3 * second * third / 44
    return series / jnp.sqrt(mean)


def _halve(_: Array, arguments: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    a, b, c = (jnp.sqrt(argument) for argument in arguments)
    shift = a * b + b * c + c * a
    x, y, z = ((argument + shift) / 4 for argument in arguments)
    return x, y, z
