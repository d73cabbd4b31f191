"""Sum of the embeddings of a sequence's tokens."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def bag(embed: Float[Array, "token width"], tokens: Int[Array, " position"]) -> Float[Array, " width"]:
    """h = sum_i E_{x_i}.

    A lookup, not token counts times the table: counts would save the scatter in the gradient but take 10 to 50 % more
    CPU time, measured from 23 to 200 tokens, width 16 to 128, with and without vmap.
    """
    return jnp.sum(embed[tokens], axis=0)
