"""What the two spaces of discrete hypotheses share: Bayes' rule over a list."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def log_of(probabilities: Float[np.ndarray, " hypothesis"]) -> Float[Array, " hypothesis"]:
    """Logarithms in JAX's default float; minus infinity where a hypothesis is ruled out."""
    return jnp.log(jnp.asarray(probabilities, float))


def log_posterior(joint: Float[Array, "... hypothesis"]) -> Float[Array, "... hypothesis"]:
    """log p(h | items) from log p(h, items); NaN where no hypothesis is left."""
    return joint - jax.nn.logsumexp(joint, axis=-1, keepdims=True)
