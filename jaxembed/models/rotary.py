"""Rotary positions: queries and keys turned by angles, so that their product sees only the distance."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def rotate(
    x: Float[Array, "position head width"], positions: Int[np.ndarray, " position"], base: float
) -> Float[Array, "position head width"]:
    """Turn unit k together with unit k + width / 2 by position x base^(-2k / width), as Llama and Qwen2 do.

    >>> import jax.numpy as jnp, numpy as np
    >>> turned = rotate(jnp.ones((1, 1, 2)), np.array([0]), base=10_000.0)
    >>> print(turned[0, 0])
    [1. 1.]
    """
    half = x.shape[-1] // 2
    angles = positions[:, None] * base ** (-np.arange(half) / half)[None, :]
    cos, sin = (jnp.asarray(f(angles)[:, None, :], x.dtype) for f in (np.cos, np.sin))
    left, right = x[..., :half], x[..., half:]
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
