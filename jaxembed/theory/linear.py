"""Linear model at small initialisation: the ladder's rungs 0 and 1, and rung 0 in closed form (theory/linear.md)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Inexact

from ..base import add
from ..statistics import Signatures

State = dict[str, Float[Array, "token width"]]
"""`{"embed": E, "unembed": U}`: rows are tokens."""


class SingularModes(NamedTuple):
    """Singular value decomposition A = P diag(S) Q^T; mode k is column k, the fastest first.

    Attributes:
        embed: P `[token, token]`, how a mode is spread over input tokens.
        rate: S `[token]`, growth rate of each mode in 1 / flow time.
        unembed: Q `[token, token]`, how a mode is spread over labels.
    """

    embed: Float[Array, "token token"]
    rate: Float[Array, " token"]
    unembed: Float[Array, "token token"]


def rung0(t: Float[ArrayLike, ""], state: State, sig: Signatures) -> State:
    """Growth out of the origin: the part of the flow that is linear in the parameters.

    Equation: (L5) in theory/linear.md: dE/dt = A U, dU/dt = A^T E.
    Assumes: logits = U h, population cross-entropy, |logits| << 1.
    Valid while: t < `plateau_time`; its error is of relative order (parameter scale)^2.
    Clock: flow time.

    Source: yao2025probability, yao2025reasoning.
    """
    return first_order(state, sig)


def rung1(t: Float[ArrayLike, ""], state: State, sig: Signatures) -> State:
    """Growth and first saturation: the gradient flow of cross-entropy expanded to second order in the logits.

    Equation: (L7) in theory/linear.md: dE/dt = A U - K E (U^T Pi U) / v, dU/dt = A^T E - Pi U (E^T K E) / v.
    Assumes: logits = U h, population cross-entropy, |logits| < 1.
    Valid while: t < `plateau_time`; its error is of relative order (parameter scale)^4.
    Clock: flow time.

    Source: yao2025probability, yao2025reasoning.
    """
    return add(first_order(state, sig), third_order(state, sig))


field = rung1


def closed_form(t: Float[ArrayLike, ""], state0: State, sig: Signatures) -> State:
    """Rung 0 solved mode by mode; map it over times with `jax.vmap(closed_form, (0, None, None))`.

    Equation: (L6) in theory/linear.md: E(t) = P (e^{St} a + e^{-St} b), U(t) = Q (e^{St} a - e^{-St} b).
    Assumes: as `rung0`.
    Valid while: as `rung0`.
    Clock: flow time since `state0`.

    >>> import jax.numpy as jnp, jaxembed as je
    >>> data = je.tasks.Addition(keys=4, anchors=2).dataset()
    >>> start = {"embed": jnp.ones((data.vocab, 2)), "unembed": jnp.eye(data.vocab, 2)}
    >>> begun = closed_form(0.0, start, je.signatures(je.count(data)))
    >>> bool(jnp.allclose(begun["embed"], start["embed"], atol=1e-5))
    True
    """
    embed, rate, unembed = modes(sig)
    along, across = dot(embed.T, state0["embed"]), dot(unembed.T, state0["unembed"])
    # Growing and decaying parts apart: cosh and sinh of one mode would cancel where it decays.
    grow = jnp.exp(rate * t)[:, None] * (along + across) / 2
    decay = jnp.exp(-rate * t)[:, None] * (along - across) / 2
    return {"embed": dot(embed, grow + decay), "unembed": dot(unembed, grow - decay)}


def modes(sig: Signatures) -> SingularModes:
    """The directions in which embeddings leave the origin, and how fast.

    Equation: (L4) in theory/linear.md: A = M1 - r 1^T / v = P diag(S) Q^T.
    Assumes: as `rung0`.
    Valid while: as `rung0`; single vectors are defined only where their rate is separated from the others.
    Clock: rates are per flow time.
    """
    left, values, right = jnp.linalg.svd(drive(sig), full_matrices=True)
    return SingularModes(left, values, right.T)


def plateau_time(sig: Signatures, init_scale: Float[ArrayLike, ""]) -> Float[Array, ""]:
    """When the fastest mode has grown from `init_scale` to order one, and small-parameter theory ends.

    Equation: (L8) in theory/linear.md: t1 = ln(1 / init_scale) / S_1.
    Assumes: as `rung0`, and initial weights of standard deviation `init_scale` below 1.
    Valid while: init_scale << 1; an estimate up to O(1) / S_1.
    Clock: flow time.

    Raises:
        ValueError: for an initial scale outside (0, 1), which leaves no plateau.

    >>> import jaxembed as je
    >>> sig = je.signatures(je.count(je.tasks.Addition(keys=4, anchors=2).dataset()))
    >>> bool(plateau_time(sig, 1e-4) > plateau_time(sig, 1e-2))
    True
    """
    if isinstance(init_scale, (int, float)) and not 0 < init_scale < 1:
        raise ValueError(f"init_scale: must lie between 0 and 1 for a plateau to exist, got {init_scale}; lower it")
    return -jnp.log(jnp.asarray(init_scale, sig.m1.dtype)) / jnp.linalg.norm(drive(sig), ord=2)


def drive(sig: Signatures) -> Float[Array, "token token"]:
    """Rate-weighted centred label signatures.

    Equation: (L4) in theory/linear.md: A = M1 Pi = M1 - r 1^T / v = diag(r) (phi^y - 1/v).
    Assumes: nothing beyond the data.
    Valid while: always; a property of the data.
    Clock: A is a rate per flow time.
    """
    return centred(sig.m1.T).T


def first_order(state: State, sig: Signatures) -> State:
    """F1, the degree-1 part of the flow.

    Equation: (L5) in theory/linear.md.
    Assumes: as `rung0`.
    Valid while: as `rung0`.
    Clock: flow time.
    """
    embed, unembed = checked(state)
    return {"embed": dot(sig.m1, centred(unembed)), "unembed": centred(dot(sig.m1.T, embed))}


def third_order(state: State, sig: Signatures) -> State:
    """F3, the degree-3 part of the flow; the degree-2 part of a linear model vanishes.

    Equation: (L7) in theory/linear.md, last terms.
    Assumes: as `rung1`; needs second moments (`count(data, order=2)`).
    Valid while: as `rung1`.
    Clock: flow time.
    """
    embed, unembed = checked(state)
    vocab, label = embed.shape[0], centred(unembed)
    context = dot(sig.second("saturation terms"), embed)
    return {
        "embed": -dot(context, dot(unembed.T, label)) / vocab,
        "unembed": -dot(label, dot(embed.T, context)) / vocab,
    }


def checked(state: State) -> tuple[Float[Array, "token width"], Float[Array, "token width"]]:
    """E and U of a state without hidden layer; a ValueError says which state was given instead."""
    if set(state) != {"embed", "unembed"}:
        raise ValueError(f"state: needs exactly embed and unembed, got {sorted(state)}; use a model with hidden=None")
    return state["embed"], state["unembed"]


def centred(rows: Float[Array, "token width"]) -> Float[Array, "token width"]:
    """Pi R: what is left of each column after its mean over tokens."""
    return rows - jnp.mean(rows, axis=0, keepdims=True)


def dot(left: Inexact[Array, "..."], right: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """Matrix product at the full precision of the dtype on every device."""
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)
