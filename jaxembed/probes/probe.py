"""A fitted probe: layers between standardised inputs and standardised outputs, or a softmax."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float

Kind = Literal["real", "distribution"]
"""Of a target: real numbers, or probabilities that sum to one."""


class Standard(NamedTuple):
    """Centre and scale of columns, from the training part."""

    centre: Any
    scale: Any

    def of(self, values: Float[Array, "example dimension"]) -> Float[Array, "example dimension"]:
        return (values - self.centre[None, :]) / self.scale[None, :]


@partial(register_dataclass, data_fields=["layers", "inputs", "outputs", "chosen"], meta_fields=["kind"])
@dataclass(frozen=True)
class Probe:
    """What `ridge`, `softmax_probe` and `mlp_probe` fit; a pytree, so that many are fitted by one `jax.vmap`.

    Attributes:
        layers: weights `[dimension, target]` and bias `[target]` of every layer, rectified between layers.
        inputs: standardisation of what is read.
        outputs: standardisation of real targets; None for distributions.
        chosen: what the validation part chose: the penalty (of every target), or the number of steps.
        kind: of the target.
    """

    layers: Any
    inputs: Any
    outputs: Any
    chosen: Any
    kind: Kind

    def predict(self, x: Float[Array | np.ndarray, "example dimension"]) -> Float[Array, "example target"]:
        """Predicted numbers, or probabilities."""
        out = forward(self.layers, self.inputs.of(jnp.asarray(x).astype(self.inputs.centre.dtype)))
        if self.kind == "distribution":
            return jax.nn.softmax(out)
        return out * self.outputs.scale[None, :] + self.outputs.centre[None, :]


def forward(layers: Any, x: Float[Array, "example dimension"]) -> Float[Array, "example target"]:
    """Affine layers, rectified between."""
    for weight, bias in layers[:-1]:
        x = jax.nn.relu(x @ weight + bias[None, :])
    weight, bias = layers[-1]
    return x @ weight + bias[None, :]


def standard(values: Float[Array, "example dimension"]) -> Standard:
    """Mean and standard deviation of every column; a constant column keeps scale one."""
    centre, sd = jnp.mean(values, axis=0), jnp.std(values, axis=0)
    # A constant column shows rounding, not spread.
    rounding = 10 * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values), axis=0)
    return Standard(centre, jnp.where(sd > rounding, sd, jnp.ones_like(sd)))


def checked_parts(x: Any, y: Any, x_val: Any, y_val: Any) -> tuple[Array, Array, Array, Array]:
    """The four arrays in the dtype of `x`, or the default float.

    Raises:
        ValueError: where rows do not match, or there are more targets than samples.
    """
    dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.zeros((), float).dtype
    for name, rows, targets in (("x, y", x, y), ("x_val, y_val", x_val, y_val)):
        if rows.ndim != 2 or targets.ndim != 2 or rows.shape[0] != targets.shape[0] or rows.shape[0] == 0:
            raise ValueError(f"{name}: need two tables with equally many rows, got {rows.shape} and {targets.shape}")
    if y.shape[1] > x.shape[0]:
        raise ValueError(
            f"y: {y.shape[1]} probe targets need at least as many training samples, got {x.shape[0]}; draw more"
        )
    x, y, x_val, y_val = (jnp.asarray(part).astype(dtype) for part in (x, y, x_val, y_val))
    return x, y, x_val, y_val
