"""Activations with the Taylor coefficients that theory reads: sigma(h) = c1 h + c2 h^2 / 2 + c3 h^3 / 6 + .."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array


@dataclass(frozen=True)
class Activation:
    """An elementwise function and its derivatives at 0; `taylor` is None where it has none."""

    name: str
    apply: Callable[[Array], Array]
    derivatives: tuple[float, float, float] | None

    @property
    def taylor(self) -> tuple[float, float, float]:
        """(c1, c2, c3) at 0.

        Raises:
            ValueError: for an activation with a kink at 0.
        """
        if self.derivatives is None:
            raise ValueError(f"activation: {self.name} has no Taylor coefficients at 0; theory needs a smooth one")
        return self.derivatives


def _exact_gelu(h: Array) -> Array:
    return jax.nn.gelu(h, approximate=False)


def _relu(h: Array) -> Array:
    # jnp.maximum, unlike jax.nn.relu, passes through jax.experimental.jet.
    return jnp.maximum(h, jnp.zeros_like(h))


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("gelu", _exact_gelu, (0.5, 2 / math.sqrt(2 * math.pi), 0.0)),
        Activation("tanh", jnp.tanh, (1.0, 0.0, -2.0)),
        Activation("square", jnp.square, (0.0, 2.0, 0.0)),
        Activation("relu", _relu, None),
        Activation("linear", lambda h: h, (1.0, 0.0, 0.0)),
    )
}


def activation(name: str) -> Activation:
    """Look an activation up by name.

    Raises:
        ValueError: listing the known names.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: unknown {name!r}; choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
