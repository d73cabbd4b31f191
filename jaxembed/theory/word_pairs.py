"""Quadratic word embeddings: target matrix, modes, sigmoidal and exact solutions (theory/word_pairs.md).

Words meet contexts: a population of sequences of length 1, so that `sig.m1` is the joint P_ij of (word, context),
`sig.token` and `sig.target` its marginals. First moments suffice: `count(data, order=1)`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..statistics import Signatures
from .linear import dot

State = dict[str, Float[Array, "token width"]]
"""`{"embed": W}`: one vector per word, which serves as context vector too."""


class WordModes(NamedTuple):
    """Leading eigenvectors of the target, column by column, and their eigenvalues, the largest first.

    Attributes:
        vectors: V* `[token, width]`, orthonormal columns.
        strengths: lam `[width]`, growth rate and final height of the mode's power s_k^2.
    """

    vectors: Float[Array, "token width"]
    strengths: Float[Array, " width"]


def pmi(sig: Signatures, smoothing: Float[ArrayLike, ""] = 0.0) -> Float[Array, "token target"]:
    """Pointwise mutual information of word and context.

    Equation: (Q1) in theory/word_pairs.md: PMI_ij = ln(P_ij / (P_i P_j) + smoothing).
    Assumes: words that all occur.
    Valid while: always; a property of the data. Pairs that never occur are -inf unless `smoothing` says otherwise, and
        then its value decides what their embeddings look like.
    Clock: none.

    Source: levy2014neural.
    """
    independent = _independent(sig)
    return jnp.log(sig.m1 / independent + jnp.asarray(smoothing, sig.m1.dtype))


def target(sig: Signatures, negatives: Float[ArrayLike, ""] = 1.0) -> Float[Array, "token target"]:
    """M* for pair weights that make the curvature of the loss the same for every pair.

    Equation: (Q4) in theory/word_pairs.md: M*_ij = 2 (P_ij - k P_i P_j) / (P_ij + k P_i P_j)
        = 2 tanh((PMI_ij - ln k) / 2).
    Assumes: Psi+ = 1 / (P_ij + k P_i P_j), Psi- = k Psi+ with k `negatives` per pair; words that all occur.
    Valid while: always; a property of the data, within [-2, 2]; a pair that never occurs has exactly -2.
    Clock: none.

    >>> import jax.numpy as jnp, jaxembed as je
    >>> sig = je.signatures(je.count(je.tasks.Attributes((0.5, 0.3)).dataset(), order=1))
    >>> bool(jnp.allclose(target(sig), 2 * jnp.tanh(pmi(sig) / 2), atol=1e-6))
    True

    Source: karkada2025closed.
    """
    return target_of(sig.m1, jnp.asarray(negatives, sig.m1.dtype) * _independent(sig))


def target_of(
    positive: Float[Array, "token target"], negative: Float[Array, "token target"]
) -> Float[Array, "token target"]:
    """M* for any pair weights.

    Equation: (Q3) in theory/word_pairs.md: M* = 2 (positive - negative) / (positive + negative).
    Assumes: positive = Psi+_ij P_ij and negative = Psi-_ij P_i P_j, not both zero.
    Valid while: always; that the flow minimises the distance to M* needs a constant G = positive + negative.
    Clock: none.
    """
    return 2 * (positive - negative) / (positive + negative)


def modes(target: Float[Array, "token token"], width: int) -> WordModes:
    """The `width` leading modes of a target.

    Equation: (Q6) in theory/word_pairs.md: M* = V* diag(lam) V*^T.
    Assumes: tied weights, which see only the symmetric part of M*: that part is taken.
    Valid while: single vectors are defined only where their eigenvalue is separated from the others.
    Clock: eigenvalues are rates per flow time.
    """
    values, vectors = jnp.linalg.eigh((target + target.T) / 2)
    return WordModes(vectors[:, ::-1][:, :width], values[::-1][:width])


def velocity(embed: Float[Array, "token width"], target: Float[Array, "token token"]) -> Float[Array, "token width"]:
    """The flow toward any target.

    Equation: (Q5) in theory/word_pairs.md: dW/dt = (1/2) (M* - W W^T) W.
    Assumes: tied weights, quadratic pair loss, constant curvature G = g, loss divided by 2g.
    Valid while: always: exact for that loss.
    Clock: flow time.
    """
    symmetric = (target + target.T) / 2
    return (dot(symmetric, embed) - dot(embed, dot(embed.T, embed))) / 2


def field(t: Float[ArrayLike, ""], state: State, sig: Signatures) -> State:
    """The flow of tied word embeddings toward M*.

    Equation: (Q5) in theory/word_pairs.md: dW/dt = (1/2) (M* - W W^T) W with M* of (Q4), k = 1.
    Assumes: as `velocity`, with the weights of `target`.
    Valid while: always: exact for the quadratic loss.
    Clock: flow time.

    Source: karkada2025closed.
    """
    return {"embed": velocity(checked(state), target(sig))}


def closed_form(t: Float[ArrayLike, ""], state0: State, sig: Signatures) -> State:
    """Every mode rises alone along its sigmoid, from the QR diagonal of the start.

    Equation: (Q9) in theory/word_pairs.md: W(t) = V* diag(s_k(t)) Q^T, W(0)^T V* = Q R, s_k(0) = R_kk.
    Assumes: a start small and in general position, eigenvalues that are positive and separated.
    Valid while: always as the initial scale goes to 0; its error grows with max_(i<j) scale^(1 - lam_j / lam_i).
    Clock: flow time since `state0`.

    Source: karkada2025closed; started from the QR diagonal here.
    """
    embed = checked(state0)
    leading = modes(target(sig), embed.shape[1])
    rotation, corner = jnp.linalg.qr(dot(embed.T, leading.vectors))
    diagonal = jnp.diagonal(corner)
    height = jnp.sign(diagonal) * jnp.sqrt(power(t, diagonal**2, leading.strengths))
    return {"embed": dot(leading.vectors * height[None, :], rotation.T)}


def exact(t: Float[ArrayLike, ""], state0: State, sig: Signatures) -> State:
    """The flow solved for any start, large or small, up to a rotation of the width.

    Equation: (Q12) in theory/word_pairs.md: W(t) = V* diag(sqrt(e^(lam t) / F)) Q_1, Q_1 the first rows of the QR
        factor of [sqrt(F) V*^T W(0); 1], F_k = (e^(lam_k t) - 1) / lam_k.
    Assumes: as `field`, at least as many words as dimensions, and a start in general position.
    Valid while: always; exact. Only W W^T and what follows from it are determined.
    Clock: flow time since `state0`.

    Source: yan1994oja.
    """
    embed = checked(state0)
    return {"embed": exact_rows(t, embed, modes(target(sig), embed.shape[0]))}


def exact_rows(
    t: Float[ArrayLike, ""], embed: Float[Array, "token width"], modes: WordModes
) -> Float[Array, "token width"]:
    """`exact` where the modes are at hand already: W(t), up to a rotation of the width.

    Equation: (Q12) in theory/word_pairs.md, as in `exact`.
    Assumes: as `exact`; `modes` holds the modes of all words.
    Valid while: always; exact.
    Clock: flow time since `embed`.

    Source: yan1994oja.
    """
    vectors, rates = modes
    positive = jnp.where(jnp.asarray(t) > 0, jnp.asarray(t, rates.dtype), 1)
    exponent = rates * positive
    size = jnp.abs(exponent)
    mean = jnp.where(size > 0, -jnp.expm1(-size) / jnp.where(size > 0, size, 1), 1)  # of e^-x over 0..|lam t|
    log_growth = jnp.log(positive * mean) + jnp.maximum(exponent, 0)  # ln F: F itself overflows
    basis = _graded_basis(dot(vectors.T, embed), log_growth)
    height = jnp.exp(jnp.minimum(exponent, 0) / 2) / jnp.sqrt(positive * mean)
    return jnp.where(jnp.asarray(t) > 0, dot(vectors, height[:, None] * basis), embed)


def _graded_basis(
    along: Float[Array, "token width"], log_growth: Float[Array, " token"]
) -> Float[Array, "token width"]:
    """The first rows of an orthonormal basis of the columns of [sqrt(F) along; 1].

    Rows of that matrix differ by many orders of magnitude; columns are recombined so that the leading block is the
    identity and everything else is bounded, which leaves the span alone.
    """
    width = along.shape[1]
    inverse = jnp.linalg.inv(along[:width])
    slower = jnp.exp((log_growth[width:, None] - log_growth[None, :width]) / 2) * dot(along[width:], inverse)
    start = inverse * jnp.exp(-log_growth[None, :width] / 2)
    stacked = jnp.concatenate([jnp.eye(width, dtype=along.dtype), slower, start])
    return jnp.linalg.qr(stacked)[0][: along.shape[0]]


def final(sig: Signatures, width: int) -> Float[Array, "token token"]:
    """Where W W^T ends: the best non-negative approximation of M* of rank `width`.

    Equation: (Q7) in theory/word_pairs.md: W W^T = sum over k <= d of max(lam_k, 0) v_k v_k^T.
    Assumes: as `field`, and a start in general position.
    Valid while: t is several times the slowest kept mode's `half_time`.
    Clock: none.

    Source: karkada2025closed.
    """
    vectors, strengths = modes(target(sig), width)
    return dot(vectors * jnp.maximum(strengths, 0)[None, :], vectors.T)


def power(
    t: Float[ArrayLike, ""], start: Float[Array, " width"], strengths: Float[Array, " width"]
) -> Float[Array, " width"]:
    """Power s_k^2 of every mode at time t: a sigmoid from `start` to `strengths`.

    Equation: (Q8) in theory/word_pairs.md: s^2(t) = s0^2 e^(lam t) / (1 + (s0^2 / lam) (e^(lam t) - 1)).
    Assumes: a mode alone: W(0) aligned with V*, or couplings neglected.
    Valid while: always for an aligned start.
    Clock: flow time.

    >>> import jax.numpy as jnp
    >>> round(float(power(3.0, jnp.array([1e-4]), jnp.array([4.0]))[0]), 4)
    3.2109
    """
    return logistic(t, start, strengths, strengths)


def logistic(
    t: Float[ArrayLike, ""],
    start: Float[Array, " width"],
    rate: Float[Array, " width"],
    height: Float[Array, " width"],
) -> Float[Array, " width"]:
    """The solution of du/dt = rate u (1 - u / height).

    Equation: (Q8) in theory/word_pairs.md, with rate and height of their own.
    Assumes: height of the sign of the rate and not zero.
    Valid while: always.
    Clock: that of 1 / rate.
    """
    # Decaying exponentials only: e^(lam t) overflows long after a mode is full.
    growing = rate >= 0
    decay = jnp.exp(-jnp.abs(rate) * jnp.asarray(t, rate.dtype))
    share = start / height
    return (
        start * jnp.where(growing, 1, decay) / jnp.where(growing, decay + share * (1 - decay), 1 + share * (decay - 1))
    )


def half_time(start: Float[Array, " width"], strengths: Float[Array, " width"]) -> Float[Array, " width"]:
    """When a mode has risen to half its final power.

    Equation: (Q10) in theory/word_pairs.md: tau_k = ln(lam_k / s0_k^2) / lam_k.
    Assumes: as `power`, and s0_k^2 << lam_k, which makes s^2(tau) = lam / (2 - s0^2 / lam) one half of lam.
    Valid while: strengths are positive.
    Clock: flow time; from 10 % to 90 % a mode takes 2 ln(9) / lam_k.
    """
    return jnp.log(strengths / start) / strengths


def qr_start(embed: Float[Array, "token width"], modes: WordModes) -> Float[Array, " width"]:
    """R_kk^2 of W(0)^T V* = Q R: what of mode k is left of the start once the faster modes have taken their directions.

    Equation: (Q9) in theory/word_pairs.md.
    Assumes: as `closed_form`.
    Valid while: as `closed_form`.
    Clock: none.
    """
    return jnp.diagonal(jnp.linalg.qr(dot(embed.T, modes.vectors), mode="r")) ** 2


def svd_start(embed: Float[Array, "token width"], modes: WordModes) -> Float[Array, " width"]:
    """Squared singular values of W(0): the start that ignores which way modes point (beside (Q9), as a control)."""
    return jnp.linalg.svd(embed, compute_uv=False) ** 2


def constant_start(embed: Float[Array, "token width"], modes: WordModes) -> Float[Array, " width"]:
    """sigma^2 d for every mode: the mean power of a start along one direction, with sigma^2 the mean square of W(0)."""
    return jnp.full_like(modes.strengths, embed.shape[1] * jnp.mean(embed**2))


def mean_start(embed: Float[Array, "token width"], modes: WordModes) -> Float[Array, " width"]:
    """sigma^2 (d - k + 1): the mean of `qr_start` over normal starts."""
    return jnp.mean(embed**2) * (embed.shape[1] - jnp.arange(modes.strengths.shape[0], dtype=embed.dtype))


Start = Callable[[Float[Array, "token width"], WordModes], Float[Array, " width"]]
STARTS: dict[str, Start] = {
    "svd of W(0)": svd_start,
    "sigma^2 d": constant_start,
    "sigma^2 (d - k + 1)": mean_start,
    "QR diagonal": qr_start,
}
"""Where the sigmoid of a mode may be started from; only the last is right as the start shrinks."""


def couplings(
    t: Float[ArrayLike, ""], corner: Float[Array, "width width"], strengths: Float[Array, " width"]
) -> Float[Array, "width width"]:
    """R(t) of W(t)^T V* = Q R: the modes on the diagonal, their transient couplings above it.

    Equation: (Q11) in theory/word_pairs.md: R_ij^2(t) = R_ij^2(0) e^(lam_j t) / (D_i D_j^2) for i < j, and
        R_kk^2(t) = R_kk^2(0) e^(lam_k t) / D_k, D_k = 1 + (R_kk^2(0) / lam_k) (e^(lam_k t) - 1).
    Assumes: as `closed_form`; couplings of couplings neglected.
    Valid while: as `closed_form`; the largest value over time scales as scale^(1 - lam_j / lam_i).
    Clock: flow time since R(0).
    """
    time = jnp.asarray(t, strengths.dtype)
    start = jnp.diagonal(corner) ** 2
    saturation = jnp.exp(-strengths * time) + (start / strengths) * -jnp.expm1(-strengths * time)  # D_k e^(-lam_k t)
    grown = jnp.exp(strengths * time) * saturation  # D_k
    above = jnp.exp(-strengths * time / 2)[None, :] / (jnp.sqrt(grown)[:, None] * saturation[None, :])
    diagonal = jnp.diag(1 / jnp.sqrt(saturation))
    return corner * (jnp.triu(above, 1) + diagonal)


def untied_field(t: Float[ArrayLike, ""], state: State, sig: Signatures) -> State:
    """The same flow with context vectors of their own.

    Equation: (Q13) in theory/word_pairs.md: dE/dt = (1/2) (M* - E U^T) U, dU/dt = (1/2) (M* - E U^T)^T E.
    Assumes: quadratic pair loss, constant curvature G = g, loss divided by g.
    Valid while: always: exact for that loss; M* need not be symmetric.
    Clock: flow time.
    """
    embed, unembed = checked_pair(state)
    wanted = target(sig)
    return {
        "embed": (dot(wanted, unembed) - dot(embed, dot(unembed.T, unembed))) / 2,
        "unembed": (dot(wanted.T, embed) - dot(unembed, dot(embed.T, embed))) / 2,
    }


def untied_power(t: Float[ArrayLike, ""], state0: State, sig: Signatures) -> Float[Array, " width"]:
    """Singular values u_k of E U^T under `untied_field`.

    Equation: (Q14) in theory/word_pairs.md: a sigmoid of rate and height m_k, from the QR diagonal of the growing half.
    Assumes: as `closed_form`, with m_k the singular values of M*.
    Valid while: as `closed_form`, once the decaying half (E's minus U's part) has died out.
    Clock: flow time since `state0`.
    """
    left, strengths, right = jnp.linalg.svd(target(sig))
    start = untied_start(state0, left, right.T)
    kept = strengths[: start.shape[0]]
    return logistic(t, start, kept, kept)


def bigram_power(t: Float[ArrayLike, ""], state0: State, sig: Signatures) -> Float[Array, " width"]:
    """Singular values u_k of E U^T Pi in a bigram language model under cross-entropy to second order in the logits.

    Equation: (Q15) in theory/word_pairs.md: u_k(t) = S_k v^2 e^(2 S_k t) / (e^(2 S_k t) - 1 + S_k v^2 / u_k(0)).
    Assumes: sequences of length 1, all words equally frequent as context; softmax expanded around uniform; a start
        small and in general position.
    Valid while: logits stay below order one: the limit S_k v^2 is a log-odds for weak bigrams only.
    Clock: flow time since `state0`.
    """
    vocab = sig.vocab
    drive = sig.m1 - jnp.mean(sig.m1, axis=1, keepdims=True)
    left, rates, right = jnp.linalg.svd(drive)
    start = untied_start(state0, left, right.T)
    kept = rates[: start.shape[0]]
    return logistic(t, start, 2 * kept, vocab**2 * kept)


def untied_start(
    state0: State, left: Float[Array, "token token"], right: Float[Array, "token token"]
) -> Float[Array, " width"]:
    """QR diagonal, squared, of the growing half of an untied start.

    Equation: (Q14) in theory/word_pairs.md: ((A^T E0 + Z^T U0) / 2)^T = Q R.
    Assumes: as `untied_power`.
    Valid while: as `untied_power`.
    Clock: none.
    """
    embed, unembed = checked_pair(state0)
    width = embed.shape[1]
    growing = (dot(left[:, :width].T, embed) + dot(right[:, :width].T, unembed)) / 2
    return jnp.diagonal(jnp.linalg.qr(growing.T, mode="r")) ** 2


def checked(state: State) -> Float[Array, "token width"]:
    """W of a tied state; a ValueError says which state was given instead."""
    if set(state) != {"embed"}:
        raise ValueError(f"state: tied word pairs have exactly embed, got {sorted(state)}; use untied_field for both")
    return state["embed"]


def checked_pair(state: State) -> tuple[Float[Array, "token width"], Float[Array, "token width"]]:
    """E and U of an untied state; a ValueError says which state was given instead."""
    if set(state) != {"embed", "unembed"}:
        raise ValueError(f"state: untied word pairs have embed and unembed, got {sorted(state)}; use field for embed")
    return state["embed"], state["unembed"]


def _independent(sig: Signatures) -> Float[Array, "token target"]:
    """P_i P_j; outside jit, a word that never occurs or a longer sequence is refused: it has no pair statistics."""
    try:
        words, contexts = np.asarray(sig.token), np.asarray(sig.target)
    except jax.errors.TracerArrayConversionError:
        return sig.token[:, None] * sig.target[None, :]
    if abs(words.sum() - 1) > 1e-3:
        raise ValueError(f"sig: need pairs (sequences of length 1), got length {words.sum():.3g}; count pairs instead")
    absent = np.flatnonzero((words <= 0) | (contexts <= 0))
    if len(absent):
        raise ValueError(f"sig: word {absent[0]} never occurs ({len(absent)} such); leave it out of the vocabulary")
    return sig.token[:, None] * sig.target[None, :]
