"""Attention-only transformer from zero weights: its first steps in closed form (theory/attention_only.md)."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ..statistics import SequenceSignatures

State = dict[str, Float[Array, "..."]]
"""`attention` and `value` `[layer, token, token]`, `position [layer, position]`, `output [token, token]`."""


class Coefficients(NamedTuple):
    """Factors of the leading terms after some steps, in units of the learning rate to the power 1, 2 and 4."""

    output: int
    value: int
    attention: int


class Bounds(NamedTuple):
    """Proven bounds on the Frobenius norm of (matrix - leading term), and where they are proven.

    Attributes:
        output: bound for W_O.
        value: bound for each V_l.
        attention: bound for each W_l and for each P_l.
        window: largest time s eta of the theorem.
        proven: whether time, layers, length and vocabulary meet the theorem's conditions.
    """

    output: float
    value: float
    attention: float
    window: float
    proven: bool


def field(t: Float[ArrayLike, ""], state: State, sig: SequenceSignatures) -> State:
    """The exact flow reduced to its leading terms: every matrix grows along its own statistic.

    Equation: (A9) in theory/attention_only.md: da/dt = 1, db/dt = a, dc/dt = a b for the amplitudes of B, Phi^T B^T and
        (Q, Delta).
    Assumes: zero initial weights, or negligible ones; mean next-token cross-entropy over all positions.
    Valid while: the logits are << 1; relative error of order t.
    Clock: flow time.

    Source: im2026associate.
    """
    towards = leading(sig, _layers(state))
    output = _amplitude(state["output"], towards["output"])
    value = _amplitude(state["value"], towards["value"])
    gain = output * value
    return {
        "attention": gain[:, None, None] * towards["attention"],
        "value": output * towards["value"],
        "position": gain[:, None] * towards["position"],
        "output": towards["output"],
    }


def closed_form(t: Float[ArrayLike, ""], state0: State, sig: SequenceSignatures) -> State:
    """The leading terms of the gradient flow; map it over times with `jax.vmap(closed_form, (0, None, None))`.

    Equation: (A10) in theory/attention_only.md: W_O = t B, V = (t^2/2) Phi^T B^T, W = (t^4/8) Q, P = (t^4/8) Delta.
    Assumes: as `field`; of `state0`, zero weights, only the number of layers is read.
    Valid while: as `field`.
    Clock: flow time since zero.

    Source: im2026associate; the steps' limit is ours.

    >>> import jax, numpy as np, jaxembed as je
    >>> sig = je.statistics.sequence_signatures(np.array([[0, 1, 2, 0], [1, 2, 0, 1]]), vocab=3)
    >>> zero = je.models.AttentionOnly(layers=2).init(jax.random.key(0), vocab=3, length=3)
    >>> bool((closed_form(2.0, zero, sig)["output"] == 2 * sig.bigram).all())
    True
    """
    return _scaled(t, t**2 / 2, t**4 / 8, leading(sig, _layers(state0)))


def after_steps(steps: int, dt: Float[ArrayLike, ""], state0: State, sig: SequenceSignatures) -> State:
    """The leading terms after `steps` steps of full-batch gradient descent with learning rate `dt`.

    Equation: (A8) in theory/attention_only.md: W_O = s eta B, V = C(s,2) eta^2 Phi^T B^T, W, P = c_s eta^4 (Q, Delta).
    Assumes: as `field`, for gradient descent of any learning rate.
    Valid while: as `field`, with t = s eta.
    Clock: flow time s eta; exact in the number of steps.

    Raises:
        ValueError: for a negative number of steps.

    Source: im2026associate.
    """
    factor = coefficients(steps)
    return _scaled(
        factor.output * dt, float(factor.value) * dt**2, float(factor.attention) * dt**4, leading(sig, _layers(state0))
    )


def coefficients(steps: int) -> Coefficients:
    """Whole-number factors of the leading terms.

    Equation: (A7) in theory/attention_only.md: s, C(s,2) and c_s = 3 C(s,4) + 2 C(s,3).
    Assumes: gradient descent from zero.
    Valid while: always; they count paths.
    Clock: steps.

    Raises:
        ValueError: for a negative number of steps.

    >>> [coefficients(s).attention for s in (3, 5, 10, 100)]
    [2, 35, 870, 12087075]
    """
    if steps < 0:
        raise ValueError(f"steps: must be 0 or more, got {steps}")
    return Coefficients(steps, math.comb(steps, 2), 3 * math.comb(steps, 4) + 2 * math.comb(steps, 3))


def leading(sig: SequenceSignatures, layers: int) -> State:
    """The directions in which the matrices leave zero, the same in every layer: B, Phi^T B^T, Q, Delta.

    Equation: (A3) to (A6) in theory/attention_only.md.
    Assumes: as `field`.
    Valid while: always; a property of the data.
    Clock: none.
    """
    return {
        "attention": jnp.tile(sig.attention[None], (layers, 1, 1)),
        "value": jnp.tile(sig.value[None], (layers, 1, 1)),
        "position": jnp.tile(sig.position[None], (layers, 1)),
        "output": sig.bigram,
    }


def error_bounds(t: float, layers: int, length: int, vocab: int) -> Bounds:
    """The published theorems' bounds on the distance between gradient descent and its leading terms.

    Equation: (A11) for one layer, (A12) for more, in theory/attention_only.md.
    Assumes: zero initial weights; V >= 500 tokens; T >= 3 positions for one layer; T >= 60, L <= sqrt(T)/4 for more.
    Valid while: t <= `window`.
    Clock: flow time, t = s eta.

    Raises:
        ValueError: for a negative time, or sizes below 1.

    Source: im2026associate.

    >>> round(error_bounds(0.02, layers=3, length=200, vocab=3000).window, 4)
    0.0278
    """
    if t < 0 or min(layers, length, vocab) < 1:
        raise ValueError(
            f"t, layers, length, vocab: need t >= 0 and sizes from 1, got {t}, {layers}, {length}, {vocab}"
        )
    if layers == 1:
        window, sizes = 3 / (8 * length ** (3 / 8)), length >= 3 and vocab >= 500
        bounds = 3 * t**2, 4 * t**3, 6 * t**5 * length
    else:
        window = min(1 / (12 * layers), 5 / (8 * math.sqrt(length)))
        sizes = length >= 60 and vocab >= 500 and layers <= math.sqrt(length) / 4
        bounds = 3 * t**2, 12 * t**3, 13 * t**5 * length
    return Bounds(*bounds, window, sizes and t <= window)


def _scaled(output: ArrayLike, value: ArrayLike, attention: ArrayLike, towards: State) -> State:
    factors = {"attention": attention, "value": value, "position": attention, "output": output}
    return {name: jnp.asarray(factors[name], x.dtype) * x for name, x in towards.items()}


def _amplitude(matrix: Float[Array, "..."], direction: Float[Array, "..."]) -> Float[Array, "..."]:
    """How much of `direction` is in `matrix`, for each layer; 0 where the data has no such direction."""
    squared = jnp.sum(direction * direction, axis=(-2, -1))
    return jnp.sum(matrix * direction, axis=(-2, -1)) / jnp.where(squared > 0, squared, jnp.ones_like(squared))


def _layers(state: State) -> int:
    names = {"attention", "value", "position", "output"}
    if set(state) != names:
        raise ValueError(f"state: needs exactly {sorted(names)}, got {sorted(state)}; use an AttentionOnly model")
    return state["attention"].shape[0]
