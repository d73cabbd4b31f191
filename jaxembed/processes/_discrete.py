"""What the two spaces of discrete hypotheses share: a checked prior, and Bayes' rule over a list."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def checked_prior(prior: Sequence[float], hypotheses: int) -> Float[np.ndarray, " hypothesis"]:
    """Prior probabilities, as given.

    Raises:
        ValueError: where they are too few or too many, negative, not finite, or do not sum to one.
    """
    values = np.asarray(prior, np.float64)
    if values.shape != (hypotheses,):
        raise ValueError(f"prior: need {hypotheses} probabilities, one a hypothesis, got {len(prior)}")
    if not np.all(np.isfinite(values)) or values.min() < 0:
        raise ValueError("prior: probabilities must be finite and not negative; fix or leave out the hypothesis")
    if abs(values.sum() - 1) > 1e-6:
        raise ValueError(f"prior: probabilities sum to {values.sum():.6g}, not 1; divide them by their sum")
    return values / values.sum()


def log_of(probabilities: Float[np.ndarray, " hypothesis"]) -> Float[Array, " hypothesis"]:
    """Logarithms in JAX's default float; minus infinity where a hypothesis is ruled out."""
    return jnp.log(jnp.asarray(probabilities, float))


def log_posterior(joint: Float[Array, "*batch hypothesis"]) -> Float[Array, "*batch hypothesis"]:
    """log p(h | items) from log p(h, items); NaN where no hypothesis is left."""
    return joint - jax.nn.logsumexp(joint, axis=-1, keepdims=True)


def chosen_positions(length: int, positions: Sequence[int] | None) -> Int[np.ndarray, " position"]:
    """The positions to answer for: all of them by default; negative ones count from the end.

    Raises:
        ValueError: where a position is beyond the sequence.
    """
    chosen = np.arange(length) if positions is None else np.asarray(positions, int)
    if len(chosen) and not -length <= chosen.min() <= chosen.max() < length:
        raise ValueError(f"positions: need -{length} .. {length - 1}, got {chosen.min()} .. {chosen.max()}")
    return chosen % length
