"""What a lens can lose, and what it shows before anything is learned (theory/lens.md)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float
from scipy.special import xlogy

from ..statistics import TokenPairs


class Excess(NamedTuple):
    """What a lens loses on the model it looks into, in nats: `divergence - slope`.

    Attributes:
        divergence: KL(final || lens).
        slope: of the loss where the model's logits are carried on, away from the lens's; zero for a calibrated model.
    """

    divergence: Float[Array, "..."]
    slope: Float[Array, "..."]


class Floors(NamedTuple):
    """Least expected loss in nats.

    Attributes:
        unigram: of a model that reads nothing.
        bigram: of a model that reads one token, and of every lens on the embedding.
    """

    unigram: float
    bigram: float


def excess(
    truth: Float[Array, "... token"], final: Float[Array, "... token"], lens: Float[Array, "... token"]
) -> Excess:
    """The two parts of a lens's excess loss, context by context.

    Equation: (R1) in theory/lens.md: E_truth[log q / l] = KL(q || l) - sum_nu (q - truth)(nu) log q(nu) / l(nu).
    Assumes: final and lens give every token a positive probability.
    Valid while: always; exact.
    Clock: none.

    Args:
        truth: probabilities of the next token.
        final: logits of the model q.
        lens: logits of the lens l.

    >>> parts = excess(jnp.array([0.5, 0.5]), jnp.array([1.0, 0.0]), jnp.array([0.0, 0.0]))
    >>> print(round(float(parts.divergence), 3), round(float(parts.slope), 3))  # over-confident: a slope above zero
    0.111 0.231
    """
    log_q, log_l = jax.nn.log_softmax(final, axis=-1), jax.nn.log_softmax(lens, axis=-1)
    gain, q = log_q - log_l, jnp.exp(log_q)
    return Excess(jnp.sum(q * gain, axis=-1), jnp.sum((q - truth) * gain, axis=-1))


def floors(pairs: TokenPairs) -> Floors:
    """What no model of so little context can go below on the text that was counted.

    Equation: (R3) in theory/lens.md: H(next) and H(next | token), by the counts' own frequencies.
    Assumes: the loss is the mean over the counted pairs.
    Valid while: always; exact on the counted text, too low for another text.
    Clock: none.

    Args:
        pairs: counts of window 1.

    Raises:
        ValueError: for another window, or without pairs.
    """
    if pairs.window != 1 or pairs.total == 0:
        raise ValueError(f"pairs: need pairs of neighbours, got {pairs.total} of window {pairs.window}; count again")
    joint, first, second = (
        np.asarray(x, float) / pairs.total for x in (pairs.counts.data, pairs.firsts, pairs.seconds)
    )
    of_first, of_second = -xlogy(first, first).sum(), -xlogy(second, second).sum()
    return Floors(float(of_second), float(-xlogy(joint, joint).sum() - of_first))


def untrained_divergence(
    cosine: Float[ArrayLike, "..."], width: int, scale: Float[ArrayLike, ""]
) -> Float[Array, "..."]:
    """KL to the final distribution of a model that has learned nothing: an angle, not knowledge.

    Equation: (R5) in theory/lens.md: KL(q || l) = sigma^2 d (1 - cos); KL(q || uniform) = sigma^2 d / 2.
    Assumes: an untied head with independent entries of standard deviation sigma; a last norm of gain 1; large v.
    Valid while: logits stay below 1: sigma^2 d << 1.
    Clock: none; the start.

    Args:
        cosine: between the stream that is read and the last one, centred where the norm centres.
        width: d.
        scale: sigma.

    >>> print(round(float(untrained_divergence(0.5, 128, 0.02)), 4))  # as far as the uniform distribution
    0.0256
    """
    cosine = jnp.asarray(cosine, float)
    return jnp.asarray(scale, cosine.dtype) ** 2 * width * (1 - cosine)
