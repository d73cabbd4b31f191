"""Which statistic of a text a bigram language model learns when, from a small start (theory/order_of_arrival.md).

Logits are E U^T, without bias or norm; all that the theory reads is the joint distribution of (token, next token).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .linear import State, checked, dot
from .word_pairs import logistic

Joint = Float[Array | np.ndarray, "token target"]


class TextModes(NamedTuple):
    """Singular modes of what a text says beyond a base prediction, column by column, the fastest first.

    Attributes:
        left: a_k `[token, mode]`, how a mode is spread over the tokens that predict.
        rate: S_k `[mode]`; the mode grows like e^(2 S_k t).
        right: z_k `[token, mode]`, how it is spread over the tokens predicted.
        height: H_k `[mode]`, the singular value of E U^T at which the mode is fully learned.
    """

    left: Float[Array, "token mode"]
    rate: Float[Array, " mode"]
    right: Float[Array, "token mode"]
    height: Float[Array, " mode"]


def modes(joint: Joint, base: Float[Array | np.ndarray, " token"], count: int) -> TextModes:
    """The fastest modes of what the text says beyond a base prediction that is the same for all contexts.

    Equation: (O3), (O5) in theory/order_of_arrival.md: J - r p^T = A diag(S) Z^T, H_k = S_k / kappa_k,
        kappa_k = (a_k . r a_k) z_k . (diag(p) - p p^T) z_k.
    Assumes: the model predicts p everywhere, up to terms linear in the logits; curvature between modes neglected.
    Valid while: rates: always, a property of the data; heights: logits beyond the base prediction below order one.
    Clock: rates are per flow time.
    """
    table, at = jnp.asarray(joint), jnp.asarray(base)
    rates = jnp.sum(table, axis=1)
    left, strengths, right = jnp.linalg.svd(table - rates[:, None] * at[None, :], full_matrices=False)
    left, strengths, right = left[:, :count], strengths[:count], right[:count].T
    return TextModes(left, strengths, right, strengths / _curvature(left, right, rates, at))


def unigram_mode(joint: Joint) -> TextModes:
    """The one mode of a text whose words are shuffled: what it says beyond a uniform prediction is its frequencies.

    Equation: (O4) in theory/order_of_arrival.md: r (c - 1/v)^T = |r| |c - 1/v| a z^T.
    Assumes: as `modes`, around the uniform prediction.
    Valid while: as `modes`.
    Clock: rates are per flow time.
    """
    table = jnp.asarray(joint)
    rates, frequencies = jnp.sum(table, axis=1), jnp.sum(table, axis=0)
    uniform = jnp.full_like(frequencies, 1 / len(frequencies))
    excess = frequencies - uniform
    left, right = rates / jnp.linalg.norm(rates), excess / jnp.linalg.norm(excess)
    strength = (jnp.linalg.norm(rates) * jnp.linalg.norm(excess))[None]
    left, right = left[:, None], right[:, None]
    return TextModes(left, strength, right, strength / _curvature(left, right, rates, uniform))


def start(state0: State, modes: TextModes) -> Float[Array, " mode"]:
    """What a random start holds of every mode once the faster ones have taken their directions.

    Equation: (O6) in theory/order_of_arrival.md: ((A^T E0 + Z^T U0) / 2)^T = Q R, u_k(0) = R_kk^2.
    Assumes: independent small entries; no more modes than the model is wide.
    Valid while: as `share`.
    Clock: none.
    """
    embed, unembed = checked(state0)
    growing = (dot(modes.left.T, embed) + dot(modes.right.T, unembed)) / 2
    return jnp.diagonal(jnp.linalg.qr(growing.T, mode="r")) ** 2


def share(t: Float[ArrayLike, ""], start: Float[Array, " mode"], modes: TextModes) -> Float[Array, " mode"]:
    """How much of every mode the model's predictions hold: 0 at the base prediction, 1 at the text's own.

    Equation: (O7) in theory/order_of_arrival.md: s_k(t) = 1 / (1 + (H_k / u_k(0) - 1) e^(-2 S_k t)).
    Assumes: each mode rises alone; a start small against the heights.
    Valid while: as `modes`; later modes come earlier than this, for the earlier ones make their logits grow unevenly.
    Clock: flow time since the start, cross-entropy in nats, mean over positions.

    >>> one = TextModes(jnp.ones((1, 1)), jnp.ones(1), jnp.ones((1, 1)), jnp.array([2.0]))
    >>> round(float(share(arrival_time(jnp.array([1e-4]), one)[0], jnp.array([1e-4]), one)[0]), 4)
    0.5
    """
    return logistic(t, start, 2 * modes.rate, modes.height) / modes.height


def arrival_time(start: Float[Array, " mode"], modes: TextModes) -> Float[Array, " mode"]:
    """When half of a mode is learned.

    Equation: (O8) in theory/order_of_arrival.md: t_k = ln(H_k / u_k(0) - 1) / (2 S_k).
    Assumes: as `share`.
    Valid while: as `share`.
    Clock: flow time since the start.
    """
    return jnp.log(modes.height / start - 1) / (2 * modes.rate)


def gain(t: Float[ArrayLike, ""], start: Float[Array, " mode"], modes: TextModes) -> Float[Array, ""]:
    """By how much the modes have lowered the cross-entropy below that of the base prediction, in nats.

    Equation: (O9) in theory/order_of_arrival.md: sum over k of S_k H_k (s_k - s_k^2 / 2).
    Assumes: as `share`; cross-entropy to second order around the base prediction.
    Valid while: as `modes`.
    Clock: flow time since the start.
    """
    held = share(t, start, modes)
    return jnp.sum(modes.rate * modes.height * (held - held**2 / 2))


def _curvature(left: Array, right: Array, rates: Array, base: Array) -> Array:
    """kappa_k of (O5)."""
    mean = jnp.sum(right * base[:, None], axis=0)
    spread = jnp.sum(right**2 * base[:, None], axis=0) - mean**2
    return jnp.sum(left**2 * rates[:, None], axis=0) * spread
