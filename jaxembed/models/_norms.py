"""Norms over the width in flax.nnx, for activations `[example * position, width]`; in float32 at least."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ..base import at_least_single


class RMSNorm(nnx.Module):
    """x / root mean square(x), times one gain per unit."""

    def __init__(self, width: int, floor: float, dtype: Any = float) -> None:
        self.gain = nnx.Param(jnp.ones(width, dtype))
        self.floor = floor

    def __call__(self, x: Float[Array, "... width"]) -> Float[Array, "... width"]:
        return (_scaled(wide(x), self.floor) * row(self.gain, at_least_single(x.dtype))).astype(x.dtype)


class LayerNorm(nnx.Module):
    """(x - mean(x)) / standard deviation(x), times one gain and plus one bias per unit."""

    def __init__(self, width: int, floor: float, dtype: Any = float) -> None:
        self.gain, self.bias = nnx.Param(jnp.ones(width, dtype)), nnx.Param(jnp.zeros(width, dtype))
        self.floor = floor

    def __call__(self, x: Float[Array, "... width"]) -> Float[Array, "... width"]:
        values = wide(x)
        scaled = _scaled(values - jnp.mean(values, axis=1, keepdims=True), self.floor)
        return (scaled * row(self.gain, values.dtype) + row(self.bias, values.dtype)).astype(x.dtype)


NORMS = {"rms": RMSNorm, "layer": LayerNorm}


def _scaled(x: Float[Array, "... width"], floor: float) -> Float[Array, "... width"]:
    square = jnp.mean(jnp.square(x), axis=1, keepdims=True)
    return x * jax.lax.rsqrt(square + jnp.asarray(floor, x.dtype))


def wide(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The numbers in float32 at least."""
    return x.astype(at_least_single(x.dtype))


def row(vector: Any, dtype: Any) -> Float[Array, "1 width"]:
    """A parameter as a row that is the same for all examples."""
    return vector[...].astype(dtype)[None, :]
