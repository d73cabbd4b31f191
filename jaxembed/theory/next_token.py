"""A language model's tables in its first steps: the flow of the pair counts (theory/next_token.md)."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, ArrayLike, Float

from ..statistics import TokenPairs
from .linear import dot

State = dict[str, Float[Array, "token width"]]
"""`{"embed": E, "unembed": U}`, or `{"embed": E}` where the head is tied: rows are tokens."""

Norm = Literal["rms", "layer"]
LARGEST = 20_000
"""Tokens; the theory holds tables of tokens by tokens."""


@partial(register_dataclass, data_fields=["joint"], meta_fields=["norm", "floor"])
@dataclass(frozen=True)
class NextToken:
    """All that the theory knows of the corpus and of the model.

    Attributes:
        joint: M1 `[token, target]`, P(a position holds x and the next one nu); sums to 1.
        norm: the model's last norm, "rms" or "layer", with gain 1 and no bias.
        floor: what that norm adds to the mean square.
    """

    joint: Float[Array, "token target"]
    norm: Norm = "rms"
    floor: float = 1e-6


def next_token(pairs: TokenPairs, *, norm: Norm = "rms", floor: float = 1e-6, dtype: Any = float) -> NextToken:
    """What the theory needs of a corpus.

    Args:
        pairs: counts of window 1 over the text that the model is trained on.
        norm: the model's last norm.
        floor: what it adds to the mean square (`Decoder.norm_floor`).
        dtype: of the theory.

    Raises:
        ValueError: for other windows, no pairs, or a vocabulary whose table of pairs would not fit.
    """
    if pairs.window != 1:
        raise ValueError(f"pairs: next-token theory needs window 1, got {pairs.window}; count neighbours again")
    if pairs.vocab > LARGEST:
        raise ValueError(f"pairs: {pairs.vocab} tokens need a dense table; keep at most {LARGEST} tokens")
    total = pairs.counts.sum()
    if total == 0:
        raise ValueError("pairs: no token has a neighbour; give a corpus with at least one pair")
    return NextToken(jnp.asarray(pairs.counts.toarray() / total, dtype), norm, floor)


def rung0(t: Float[ArrayLike, ""], state: State, sig: NextToken) -> State:
    """The flow while every next token is still equally likely to the model.

    Equation: (N6) in theory/next_token.md: dE_x/dt = J_x (A U)_x, dU/dt = A^T h, h = norm(E).
    Assumes: the stream at a position is its token's embedding; last norm with gain 1; no token is predicted yet.
    Valid while: logits stay below 1, and the blocks write less into the stream than the embedding.
    Clock: flow time.
    """
    return _flow(state, sig, uniform=True)


def bigram(t: Float[ArrayLike, ""], state: State, sig: NextToken) -> State:
    """The flow of a decoder without blocks: what pair counts alone can say at any time.

    Equation: (N4) in theory/next_token.md: dE_x/dt = J_x (G U)_x, dU/dt = G^T h, G = M1 - diag(r) softmax(h U^T).
    Assumes: the stream at a position is its token's embedding; last norm with gain 1.
    Valid while: the blocks write less into the stream than the embedding.
    Clock: flow time.
    """
    return _flow(state, sig, uniform=False)


field = bigram


def sign_flow(t: Float[ArrayLike, ""], state: State, sig: NextToken) -> State:
    """Adam's first steps, each of which moves every entry by the learning rate against the sign of its gradient.

    Equation: (N10) in theory/next_token.md: dE/dt = sign(F_E), dU/dt = sign(F_U) with F of (N4).
    Assumes: as `bigram`; Adam's two averages see the same gradient, and epsilon is far below it.
    Valid while: no gradient has changed its sign, and a batch is large enough to show the sign.
    Clock: the sum of the learning rates of all steps so far; one step of Adam is one Euler step of its learning rate.
    """
    return jax.tree.map(jnp.sign, bigram(t, state, sig))


def closed_form(t: Float[ArrayLike, ""], state0: State, sig: NextToken) -> State:
    """Rung 0 with the norm frozen at its start, solved mode by mode.

    Equation: (N8) in theory/next_token.md: as (L6) of theory/linear.md with A / s for A, s the root mean square of E0.
    Assumes: as `rung0`; rows of E0 equally long and in random directions; an untied head.
    Valid while: no row of E has turned: t < s / S_1, with S_1 the largest singular value of A.
    Clock: flow time since `state0`.
    """
    if set(state0) != {"embed", "unembed"}:
        raise ValueError(f"state0: needs embed and unembed, got {sorted(state0)}; integrate rung0 for a tied head")
    scale = jnp.sqrt(jnp.mean(jnp.square(state0["embed"])) + sig.floor)
    left, rate, right = jnp.linalg.svd(drive(sig) / scale, full_matrices=True)
    along, across = dot(left.T, state0["embed"]), dot(right, state0["unembed"])
    grow = jnp.exp(rate * t)[:, None] * (along + across) / 2
    decay = jnp.exp(-rate * t)[:, None] * (along - across) / 2
    return {"embed": dot(left, grow + decay), "unembed": dot(right.T, grow - decay)}


def motion_gram(sig: NextToken, *, sign: bool = False) -> dict[str, Float[Array, "token token"]]:
    """Expected Gram matrices of the first motion of E and U, with no reference to their start, up to one factor.

    Rows of A weigh a token with its rate: a few frequent ones carry the matrices, unless `sign`.

    Equation: (N9) in theory/next_token.md: A A^T and A^T A; under sign flow (N11): (2 / pi) arcsin of their cosines.
    Assumes: as `rung0`; independent initial entries of equal variance, many of them a row; an untied head.
    Valid while: as `closed_form`.
    Clock: proportional to flow time squared (sign flow: to the square of the summed learning rates).

    Returns:
        `{"embed", "unembed"}`; tokens that never occur have zeros.
    """
    A = drive(sig)
    grams = {"embed": dot(A, A.T), "unembed": dot(A.T, A)}
    return jax.tree.map(_arcsine, grams) if sign else grams


def drive(sig: NextToken) -> Float[Array, "token target"]:
    """Pair probabilities minus those of a uniform next token: rows are r_x (phi_x - 1/v), plain signatures but for 1/v.

    Equation: (N5) in theory/next_token.md: A = M1 - r 1^T / v. Rows centred by unigrams are another drive, (S1).
    Assumes: nothing beyond the data.
    Valid while: always; a property of the data.
    Clock: A is a rate per flow time.
    """
    return sig.joint - jnp.mean(sig.joint, axis=1, keepdims=True)


def unshared(motion: State, sig: NextToken) -> State:
    """What is left of a motion of E and U without the direction that all contexts share.

    Equation: (N13) in theory/next_token.md: D_E - r (r^T D_E) / |r|^2, D_U - q (q^T D_U) / |q|^2, q = A^T 1.
    Assumes: blocks write one and the same vector at every position.
    Valid while: logits stay below 1, so that blocks act on E and U through terms r w^T and q b^T alone.
    Clock: any.
    """
    sides = {"embed": jnp.sum(sig.joint, axis=1), "unembed": jnp.sum(drive(sig), axis=0)}
    return {name: rows - _along(rows, sides[name]) for name, rows in motion.items()}


def normalised(embed: Float[Array, "token width"], sig: NextToken) -> Float[Array, "token width"]:
    """Rows as the head reads them: (N2) in theory/next_token.md."""
    if sig.norm == "layer":
        embed = embed - jnp.mean(embed, axis=1, keepdims=True)
    square = jnp.mean(jnp.square(embed), axis=1, keepdims=True)
    return embed * jax.lax.rsqrt(square + jnp.asarray(sig.floor, square.dtype))


def _flow(state: State, sig: NextToken, uniform: bool) -> State:
    embed = state["embed"]
    unembed = state.get("unembed", embed)
    read, pull = jax.vjp(lambda rows: normalised(rows, sig), embed)
    G = drive(sig) if uniform else _surprise(read, unembed, sig)
    (flow_embed,), flow_unembed = pull(dot(G, unembed)), dot(G.T, read)
    return (
        {"embed": flow_embed, "unembed": flow_unembed} if "unembed" in state else {"embed": flow_embed + flow_unembed}
    )


def _along(rows: Float[Array, "token width"], side: Float[Array, " token"]) -> Float[Array, "token width"]:
    return side[:, None] * (dot(side[None, :], rows) / jnp.sum(jnp.square(side)))


def _surprise(
    read: Float[Array, "token width"], unembed: Float[Array, "token width"], sig: NextToken
) -> Float[Array, "token target"]:
    """G = M1 - diag(r) p: how often each pair occurs beyond what the model expects."""
    rate = jnp.sum(sig.joint, axis=1, keepdims=True)
    return sig.joint - rate * jax.nn.softmax(dot(read, unembed.T), axis=1)


def _arcsine(gram: Float[Array, "token token"]) -> Float[Array, "token token"]:
    length = jnp.sqrt(jnp.diagonal(gram))
    outer = length[:, None] * length[None, :]
    cosine = jnp.where(outer > 0, gram / jnp.where(outer > 0, outer, 1), 0)
    return 2 / np.pi * jnp.arcsin(jnp.clip(cosine, -1, 1))
