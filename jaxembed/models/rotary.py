"""Rotary positions: queries and keys turned by angles, so that their product sees only the distance."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


@dataclass(frozen=True)
class RotaryScaling:
    """Llama 3's way to longer texts: slow units are slowed down further, fast ones are left alone.

    Attributes:
        factor: by which the slow units are slowed down.
        low: units that turn fewer times than this within `original_positions` are slow.
        high: units that turn more often than this are fast; between the two the frequency is blended.
        original_positions: length of the texts of the first training.
    """

    factor: float = 8.0
    low: float = 1.0
    high: float = 4.0
    original_positions: int = 8192

    def __post_init__(self) -> None:
        if not (self.factor >= 1 and 0 < self.low < self.high and self.original_positions > 0):
            raise ValueError(f"rotary_scaling: need factor >= 1, 0 < low < high and original_positions > 0, got {self}")


def frequencies(
    width: int, base: float = 10_000.0, scaling: RotaryScaling | None = None
) -> Float[np.ndarray, " dimension"]:
    """Angle per position of each of the width / 2 pairs of units.

    >>> print(frequencies(4, base=100.0))
    [1.  0.1]
    """
    half = width // 2
    plain = base ** (-np.arange(half) / half)
    if scaling is None:
        return plain
    turns = scaling.original_positions * plain / (2 * math.pi)
    fast = np.clip((turns - scaling.low) / (scaling.high - scaling.low), 0, 1)
    return plain * (fast + (1 - fast) / scaling.factor)


def rotate(
    x: Float[Array, "... position head width"],
    positions: Int[np.ndarray, " position"],
    base: float,
    scaling: RotaryScaling | None = None,
) -> Float[Array, "... position head width"]:
    """Turn unit k together with unit k + width / 2 by position x frequency k, as Llama and Qwen2 do.

    >>> import jax.numpy as jnp, numpy as np
    >>> turned = rotate(jnp.ones((1, 1, 2)), np.array([0]), base=10_000.0)
    >>> print(turned[0, 0])
    [1. 1.]
    """
    angles = positions[:, None] * frequencies(x.shape[-1], base, scaling)[None, :]
    shape = (1,) * (x.ndim - 3) + (len(positions), 1, angles.shape[1])
    cos, sin = (jnp.asarray(f(angles).reshape(shape), x.dtype) for f in (np.cos, np.sin))
    left, right = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
