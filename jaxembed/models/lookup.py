"""Sum of the embeddings of a sequence's tokens."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def bag(embed: Float[Array, "token width"], tokens: Int[Array, " position"]) -> Float[Array, " width"]:
    """h = sum_i E_{x_i}, as counts times table for small vocabularies and as a lookup for large ones.

    A product with the token counts has a product for a gradient; a lookup has a scatter, which is many times slower on
    a CPU, above all under vmap. The counts stop paying where the vocabulary is large.
    """
    vocab = embed.shape[0]
    if vocab > 512:
        return jnp.sum(embed[tokens], axis=0)
    counts = jnp.sum(jax.nn.one_hot(tokens, vocab, dtype=embed.dtype), axis=0)
    return counts @ embed
