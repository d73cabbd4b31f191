"""What a network's answer means: a point, or a proper density of the next item, with its loss and mean."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float, Int

LOG_FLOOR, LOG_CEILING = -8.0, 6.0
"""Bounds of the logarithm of every scale, shape and number of degrees of freedom, so that float32 can hold them."""


@runtime_checkable
class Head(Protocol):
    """Turns raw outputs `[..., target]` into a loss per item and a mean; a frozen dataclass."""

    def outputs(self, size: int) -> int: ...

    def loss(self, outputs: Float[Array, "... target"], target: Array) -> Float[Array, "..."]: ...

    def mean(self, outputs: Float[Array, "... target"], size: int) -> Array: ...


@dataclass(frozen=True)
class SquaredError:
    """The outputs are the guess; the loss is the squared distance, summed over dimensions."""

    def outputs(self, size: int) -> int:
        """Numbers that the network must answer per item."""
        return size

    def loss(
        self, outputs: Float[Array, "... dimension"], target: Float[Array, "... dimension"]
    ) -> Float[Array, "..."]:
        """Squared distance of every item from its guess."""
        return jnp.sum(jnp.square(outputs - target), axis=-1)

    def mean(self, outputs: Float[Array, "... dimension"], size: int) -> Float[Array, "... dimension"]:
        """The guess itself."""
        return outputs


@dataclass(frozen=True)
class Gaussian:
    """Independent normals: outputs are locations, then log scales."""

    def outputs(self, size: int) -> int:
        """Numbers that the network must answer per item."""
        return 2 * size

    def loss(self, outputs: Float[Array, "... target"], target: Float[Array, "... dimension"]) -> Float[Array, "..."]:
        """Minus the log density in nats, summed over dimensions."""
        location, log_scale = _parts(outputs, 2)
        return -jnp.sum(_log_normal(target, location, _bounded(log_scale)), axis=-1)

    def mean(self, outputs: Float[Array, "... target"], size: int) -> Float[Array, "... dimension"]:
        """The locations."""
        return _parts(outputs, 2)[0]


@dataclass(frozen=True)
class StudentT:
    """Independent Student-t: outputs are locations, log scales, and the log of the degrees of freedom above one."""

    def outputs(self, size: int) -> int:
        """Numbers that the network must answer per item."""
        return 3 * size

    def loss(self, outputs: Float[Array, "... target"], target: Float[Array, "... dimension"]) -> Float[Array, "..."]:
        """Minus the log density in nats, summed over dimensions."""
        location, log_scale, log_excess = _parts(outputs, 3)
        log_scale, freedom = _bounded(log_scale), 1 + jnp.exp(_bounded(log_excess))
        z = (target - location) * jnp.exp(-log_scale)
        constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * jnp.log(freedom * math.pi) - log_scale
        return -jnp.sum(constant - (freedom + 1) / 2 * jnp.log1p(jnp.square(z) / freedom), axis=-1)

    def mean(self, outputs: Float[Array, "... target"], size: int) -> Float[Array, "... dimension"]:
        """The locations; there is always more than one degree of freedom, so that the mean exists."""
        return _parts(outputs, 3)[0]


@dataclass(frozen=True)
class Mixture:
    """A mixture of normals, independent within a component: log weights, locations, log scales.

    Attributes:
        components: of the mixture.
    """

    components: int = 8

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError(f"components: a mixture needs at least 1, got {self.components}")

    def outputs(self, size: int) -> int:
        """Numbers that the network must answer per item."""
        return self.components * (1 + 2 * size)

    def loss(self, outputs: Float[Array, "... target"], target: Float[Array, "... dimension"]) -> Float[Array, "..."]:
        """Minus the log density in nats."""
        log_weights, location, log_scale = self._parts(outputs)
        log_density = jnp.sum(_log_normal(target[..., None, :], location, log_scale), axis=-1)
        return -logsumexp(log_weights + log_density, axis=-1)

    def mean(self, outputs: Float[Array, "... target"], size: int) -> Float[Array, "... dimension"]:
        """The weighted locations."""
        log_weights, location, _ = self._parts(outputs)
        return jnp.sum(jnp.exp(log_weights)[..., None] * location, axis=-2)

    def _parts(self, outputs: Array) -> tuple[Array, Array, Array]:
        raw = outputs.reshape(*outputs.shape[:-1], self.components, -1)
        location, log_scale = _parts(raw[..., 1:], 2)
        return jax.nn.log_softmax(raw[..., 0], axis=-1), location, _bounded(log_scale)


@dataclass(frozen=True)
class Lomax:
    """Independent Lomax densities of positive reals, a/b (1 + x/b)^-(a+1): outputs are log a, then log b."""

    def outputs(self, size: int) -> int:
        """Numbers that the network must answer per item."""
        return 2 * size

    def loss(self, outputs: Float[Array, "... target"], target: Float[Array, "... dimension"]) -> Float[Array, "..."]:
        """Minus the log density in nats, summed over dimensions."""
        log_shape, log_scale = (_bounded(part) for part in _parts(outputs, 2))
        fall = (jnp.exp(log_shape) + 1) * jnp.log1p(target * jnp.exp(-log_scale))
        return -jnp.sum(log_shape - log_scale - fall, axis=-1)

    def mean(self, outputs: Float[Array, "... target"], size: int) -> Float[Array, "... dimension"]:
        """b / (a - 1); infinite for shapes up to one."""
        log_shape, log_scale = (_bounded(part) for part in _parts(outputs, 2))
        excess = jnp.exp(log_shape) - 1
        return jnp.where(excess > 0, jnp.exp(log_scale) / jnp.where(excess > 0, excess, 1), jnp.inf)


@dataclass(frozen=True)
class Categorical:
    """Tokens: outputs are logits."""

    def outputs(self, size: int) -> int:
        """Numbers that the network must answer per item."""
        return size

    def loss(self, outputs: Float[Array, "... token"], target: Int[Array, "..."]) -> Float[Array, "..."]:
        """Cross-entropy in nats."""
        picked = jnp.take_along_axis(outputs, target[..., None], axis=-1)[..., 0]
        return logsumexp(outputs, axis=-1) - picked

    def mean(self, outputs: Float[Array, "... token"], size: int) -> Float[Array, "... token"]:
        """The probabilities of all tokens."""
        return jax.nn.softmax(outputs, axis=-1)


def _parts(outputs: Array, count: int) -> list[Array]:
    return jnp.split(outputs, count, axis=-1)


def _bounded(log: Array) -> Array:
    """Kept between the two bounds, smoothly, and close to itself around zero."""
    middle, half = (LOG_CEILING + LOG_FLOOR) / 2, (LOG_CEILING - LOG_FLOOR) / 2
    shift = math.atanh(-middle / half)
    return middle + half * jnp.tanh(log / half + shift)


def _log_normal(x: Array, location: Array, log_scale: Array) -> Array:
    z = (x - location) * jnp.exp(-log_scale)
    return -0.5 * jnp.square(z) - log_scale - np.asarray(0.5 * math.log(2 * math.pi), z.dtype)
