"""When analogies become solvable, from the modes of quadratic word embeddings alone (theory/analogy_modes.md).

Analogies do not see a rotation of the width, so the vectors V* diag(s_k(t)) answer as the trained ones do. Modes and
their clock are those of `word_pairs`; words are rows, and a question is four word ids (a, b, c, d), d its answer.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from .linear import dot
from .word_pairs import WordModes, half_time, power, qr_start


def half_rises(embed: Float[Array, "token width"], modes: WordModes) -> Float[Array, " width"]:
    """When each mode has risen to half its final power, for the start `embed`.

    Equation: (Q10) in theory/word_pairs.md from the start of (Q9): tau_k = ln(lam_k / R_kk^2) / lam_k.
    Assumes: as `word_pairs.closed_form`.
    Valid while: strengths are positive.
    Clock: flow time since `embed`.

    Source: karkada2025closed; started from the QR diagonal here.
    """
    return half_time(qr_start(embed, modes), modes.strengths)


def alone(t: Float[ArrayLike, ""], start: Float[Array, " width"], modes: WordModes) -> Float[Array, "token width"]:
    """Vectors of the modes alone, in the basis of the modes.

    Equation: (A1) in theory/analogy_modes.md: W(t) = V* diag(s_k(t)), s_k^2 the sigmoid (Q8) from `start`.
    Assumes: as `word_pairs.closed_form`; strengths positive.
    Valid while: questions are settled by modes that have risen above what is left of the start.
    Clock: flow time since s_k^2 = `start`.

    Source: karkada2025closed.
    """
    return modes.vectors * jnp.sqrt(power(t, start, modes.strengths))[None, :]


def with_start(
    t: Float[ArrayLike, ""], embed: Float[Array, "token width"], modes: WordModes
) -> Float[Array, "token width"]:
    """Vectors of the modes and of what is left of the start, in the basis of the modes.

    Equation: (A2) in theory/analogy_modes.md: W(t) = V* A(t), A_kj^2(t) = A_kj^2(0) e^(lam_k t) / (D_j D_k^2) for
        k > j, A_kk^2(t) = A_kk^2(0) e^(lam_k t) / D_k, V*^T W(0) Q = A(0); D_k = 1 for modes beyond the width.
    Assumes: as `word_pairs.closed_form`; `modes` holds the modes of all words (or as many as are to be followed), at
        least as many as the width.
    Valid while: as `word_pairs.couplings`.
    Clock: flow time since `embed`.

    Source: jaxembed; the couplings among the leading modes follow karkada2025closed.
    """
    width, rates = embed.shape[1], modes.strengths
    time = jnp.asarray(t, rates.dtype)
    along = dot(modes.vectors.T, embed)
    corner = dot(along, jnp.linalg.qr(along[:width].T)[0])
    leading = rates[:width]
    start = jnp.diagonal(corner) ** 2
    saturation = jnp.exp(-leading * time) + (start / leading) * -jnp.expm1(-leading * time)  # D_j e^(-lam_j t)
    own = jnp.concatenate([jnp.exp(-leading * time) / saturation, jnp.ones_like(rates[width:])])  # 1 / D_k
    growth = jnp.exp((rates[:, None] - leading[None, :]) * time / 2) / jnp.sqrt(saturation)[None, :]
    rows, columns = jnp.arange(len(rates))[:, None], jnp.arange(width)[None, :]
    factor = jnp.where(rows == columns, growth, jnp.where(rows > columns, growth * own[:, None], 0))
    return dot(modes.vectors, corner * factor)


def gains(
    vectors: Float[Array, "token width"], questions: Int[Array, "example 4"], rivals: Int[Array, " example"]
) -> Float[Array, "example width"]:
    """What a unit of power of every mode adds to the lead of the answer over one rival.

    Equation: (A3) in theory/analogy_modes.md: g_k = (v_dk - v_ek) (v_bk - v_ak + v_ck), with which
        (w_d - w_e) . (w_b - w_a + w_c) = sum_k s_k^2 g_k.
    Assumes: vectors as they are, not of unit length.
    Valid while: always; an identity.
    Clock: none.

    Source: jaxembed.
    """
    a, b, c, d = (vectors[questions[:, i]] for i in range(4))
    return (d - vectors[rivals]) * (b - a + c)


def margins(
    rows: Float[Array, "token width"], questions: Int[Array, "example 4"], block: int = 256
) -> Float[Array, " example"]:
    """By how much the answer's cosine with b - a + c exceeds that of the best other word, for unit vectors.

    Equation: (A4) in theory/analogy_modes.md: m = u_d . h - max over e of u_e . h, h = (u_b - u_a + u_c) / |..|,
        e none of a, b, c, d; a question is solved where m > 0.
    Assumes: nothing.
    Valid while: always; undefined (NaN) where a vector of the question is zero.
    Clock: none.

    Source: mikolov2013linguistic.
    """
    length = jnp.sqrt(jnp.sum(rows**2, axis=1, keepdims=True))
    unit = rows / jnp.where(length > 0, length, 1)

    def one(question: Int[Array, " 4"]) -> Array:
        a, b, c, d = question
        arrow = jnp.where(jnp.all(length[question] > 0), unit[b] - unit[a] + unit[c], jnp.nan)
        scores = dot(unit, arrow)
        best = jnp.max(scores.at[question].set(-jnp.inf))
        return (scores[d] - best) / jnp.sqrt(jnp.sum(arrow**2))

    return jax.lax.map(one, questions, batch_size=min(block, len(questions)))


def solved(
    rows: Float[Array, "token width"], questions: Int[Array, "example 4"], tie: float | None = None
) -> Float[Array, " example"]:
    """One for a question whose answer leads, zero for any other.

    Equation: (A4) in theory/analogy_modes.md: m > tie.
    Assumes: as `margins`; cosines that differ by no more than `tie` (None: the square root of the spacing of the
        dtype) are equal, and a tie is not won.
    Valid while: always.
    Clock: none.

    Source: mikolov2013linguistic.
    """
    closest = float(jnp.finfo(rows.dtype).eps) ** 0.5 if tie is None else tie
    return (margins(rows, questions) > closest).astype(rows.dtype)


def accuracy_curve(
    ts: Float[Array, " time"],
    start: Float[Array, " width"],
    modes: WordModes,
    questions: Int[Array, "example 4"],
    tie: float | None = None,
) -> Float[Array, " time"]:
    """Accuracy of the modes alone along the flow.

    Equation: (A1), (A4) in theory/analogy_modes.md.
    Assumes: as `alone`.
    Valid while: as `alone`.
    Clock: `ts` is flow time since s_k^2 = `start`.

    Source: jaxembed.
    """
    return jax.lax.map(lambda t: jnp.mean(solved(alone(t, start, modes), questions, tie)), ts)


def ladder(
    modes: WordModes, questions: Int[Array, "example 4"], counts: Int[Array, " mode"], tie: float | None = None
) -> Float[Array, "mode example"]:
    """Which questions the first K modes solve, at full height and without the others.

    Equation: (A5) in theory/analogy_modes.md: W_K = V*_K diag(lam_1, .., lam_K)^(1/2), K from `counts`.
    Assumes: strengths positive.
    Valid while: modes arrive one by one; then K = K(t) is the number of modes that have arrived by t.
    Clock: none; K takes the place of time.

    Source: jaxembed.
    """
    height = jnp.sqrt(jnp.maximum(modes.strengths, 0))

    def one(count: Array) -> Array:
        kept = jnp.where(jnp.arange(len(height)) < count, height, 0)
        return solved(modes.vectors * kept[None, :], questions, tie)

    return jax.lax.map(one, counts)


def threshold_time(
    share: Float[ArrayLike, "..."], start: Float[Array, "..."], strengths: Float[Array, "..."]
) -> Float[Array, "..."]:
    """When a mode has risen to a share of its final power.

    Equation: (A6) in theory/analogy_modes.md: t = (1 / lam) ln( theta (lam - s0^2) / ((1 - theta) s0^2) ).
    Assumes: as `word_pairs.power`; share above s0^2 / lam and below one.
    Valid while: strengths are positive.
    Clock: flow time since s^2 = `start`.

    >>> import jax.numpy as jnp
    >>> round(float(threshold_time(0.5, jnp.array(1e-4), jnp.array(4.0))), 3)
    2.649

    Source: jaxembed.
    """
    theta = jnp.asarray(share, strengths.dtype)
    return jnp.log(theta / (1 - theta) * (strengths - start) / start) / strengths


def offset_shares(
    vectors: Float[Array, "token width"], powers: Float[Array, " width"], pairs: Int[Array, "example 2"]
) -> Float[Array, " width"]:
    """How the squared length of a family's mean offset is divided among the modes.

    Equation: (A7) in theory/analogy_modes.md: c_k = s_k^2 o_k^2 / sum_j s_j^2 o_j^2, o_k = mean over pairs (a, b) of
        v_bk - v_ak.
    Assumes: nothing.
    Valid while: always; undefined (NaN) for a mean offset of zero.
    Clock: none.

    Source: jaxembed.
    """
    offset = jnp.mean(vectors[pairs[:, 1]] - vectors[pairs[:, 0]], axis=0)
    carried = powers * offset**2
    return carried / jnp.sum(carried)
