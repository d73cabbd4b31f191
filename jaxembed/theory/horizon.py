"""Until when a truncated theory holds, told by the term it leaves out along its own trajectory (theory/horizon.md)."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from ..base import Field, Loss, State, Trajectory, add
from .expansion import expand, terms

FLOOR = 1e-9
"""Of the largest term: a degree below this vanishes by symmetry, and what is left is rounding."""


def field(truncated: Field, beyond: Field) -> Field:
    """A theory beside itself corrected by the first term it leaves out, as a field on `start(state0)`.

    Equation: (H3) in theory/horizon.md: d theta/dt = T(theta), d phi/dt = T(phi) + F_next(theta).
    Assumes: `beyond` is the lowest degree missing from `truncated`; both read the same `sig`.
    Valid while: F_next is small beside T along theta, that is, until about the horizon it predicts.
    Clock: flow time.

    Args:
        truncated: the theory's field.
        beyond: the field of its next non-zero term.

    >>> import jax.numpy as jnp
    >>> pair = field(lambda t, x, sig: x, lambda t, x, sig: -(x**3))  # x' = x - x^3, cut after its first term
    >>> velocity = pair(0.0, start(jnp.asarray(0.5)), None)
    >>> print(velocity["theory"], velocity["corrected"])
    0.5 0.375
    """

    def pair(t: Any, state: State, sig: Any = None, /) -> State:
        theory, corrected = state["theory"], state["corrected"]
        ahead, left_out = truncated(t, corrected, sig), beyond(t, theory, sig)
        return {"theory": truncated(t, theory, sig), "corrected": add(ahead, left_out)}

    return pair


def of_loss(loss: Loss, base: State, order: int, beyond: int, mode: str = "jvp") -> Field:
    """`field` of any loss: its flow expanded around `base` to `order`, and the term of degree `beyond`.

    Equation: (H3) in theory/horizon.md.
    Assumes: `beyond` is the next degree that does not vanish; `degrees` finds it.
    Valid while: as `field`.
    Clock: flow time.

    Args:
        loss, base, order, mode: as `expansion.expand`; the loss can also be passed as the field's third argument.
        beyond: degree of the next term.

    Raises:
        ValueError: for `beyond` not above `order`, and as `expansion.expand`.
    """
    if beyond <= order:
        raise ValueError(f"beyond: the next term lies above order {order}, got degree {beyond}; take it from degrees()")

    truncated = expand(loss, base, order, mode)

    def pair(t: Any, state: State, sig: Loss | None = None, /) -> State:
        theory, corrected = state["theory"], state["corrected"]
        parts = terms(loss if sig is None else sig, base, theory, beyond, mode)  # all degrees from one pass
        ahead = truncated(t, corrected, sig)
        return {"theory": add(*parts[: order + 1]), "corrected": add(ahead, parts[beyond])}

    return pair


def start(state0: State) -> State:
    """The pair at its start, both equal to `state0`."""
    return {"theory": state0, "corrected": state0}


def split(pair: Trajectory) -> tuple[Trajectory, Trajectory]:
    """What the theory should have said, and what it said: `compare(*split(pair)).horizon` is the prediction.

    Equation: (H4) in theory/horizon.md: predicted skill = 1 - |theta - phi| / |phi - phi(0)|.
    Assumes: a trajectory of `field` from `start`.
    Valid while: as `field`; where either of the two ceases to be finite the theory counts as lost.
    Clock: that of `pair`.

    Returns:
        (reference, prediction) for `compare`.
    """
    lost = ~(_finite(pair.ys["theory"]) & _finite(pair.ys["corrected"]))
    # A reference that is not finite would make the skill undefined; here it means that the theory has failed, and any
    # finite place away from the start says so.
    reference = jax.tree.map(lambda y: _where(lost, y[:1] + jnp.ones_like(y[:1]), y), pair.ys["corrected"])
    prediction = jax.tree.map(lambda y: _where(lost, jnp.full_like(y[:1], jnp.nan), y), pair.ys["theory"])
    return replace(pair, ys=reference, info={}), replace(pair, ys=prediction, info={})


def sizes(loss: Loss, base: State, state: State, top: int, mode: str = "jvp") -> Float[Array, "..."]:
    """|F_0|, .., |F_top| at one state: how much of the flow is of which degree.

    Equation: (H2) in theory/horizon.md.
    Assumes: as `expansion.terms`.
    Valid while: always; each size is exact.
    Clock: sizes are rates per flow time.
    """
    return jnp.stack([_norm(part) for part in terms(loss, base, state, top, mode)])


def degrees(sizes: Float[ArrayLike, "..."]) -> tuple[int, ...]:
    """The degrees at which the flow has a term at all, from `sizes` at a generic (random) state.

    The first is the leading theory's; a theory of order k leaves out the first one above k.

    Raises:
        ValueError: where every term vanishes.

    >>> import jax.numpy as jnp
    >>> degrees(sizes(jnp.cos, jnp.zeros(()), jnp.ones(()), top=5))
    (1, 3, 5)
    """
    largest = np.asarray(sizes)
    if not np.isfinite(largest).all():
        raise ValueError("sizes: must be finite; the loss is not smooth at the base, expand around another point")
    if not largest.max() > 0:
        raise ValueError(f"sizes: no term up to degree {len(largest) - 1} moves anything; raise top or change the base")
    return tuple(int(k) for k in np.flatnonzero(largest > FLOOR * largest.max()))


def growth(leading: Field, base: State) -> Field:
    """The leading theory against the logarithm of the path it has gone, as a field on `{"state", "time"}`.

    Equation: (H6) in theory/horizon.md: d state/ds = F |x| / |F|, d time/ds = |x| / |F|, x = state - base.
    Assumes: F does not vanish on the way.
    Valid while: as the leading theory; |x| grows at most like e^s, so what is infinite in finite time is not in s.
    Clock: s; `time` carries flow time.
    """

    def rescaled(s: Any, state: State, sig: Any = None, /) -> State:
        velocity = leading(state["time"], state["state"], sig)
        pace = _norm(jax.tree.map(jnp.subtract, state["state"], base)) / _norm(velocity)
        return {"state": jax.tree.map(lambda leaf: leaf * pace, velocity), "time": pace}

    return rescaled


def stopped(field: Field, size: Float[ArrayLike, ""]) -> Field:
    """The same field until the root mean square of the state exceeds `size`, then no motion.

    A theory on its way to infinity has failed long before; held there, it costs the integration no further steps.

    Equation: (H9) in theory/horizon.md: F while rms <= size, else 0.
    Assumes: `size` far above any state at which the theory could still hold.
    Valid while: as `field`.
    Clock: flow time.

    >>> import jax.numpy as jnp
    >>> held = stopped(lambda t, x, sig: x**2, 10.0)
    >>> print(held(0.0, jnp.asarray(3.0), None), held(0.0, jnp.asarray(30.0), None))
    9.0 0.0
    """

    def until(t: Any, state: State, sig: Any = None, /) -> State:
        count = sum(leaf.size for leaf in jax.tree.leaves(state))
        on = _norm(state) <= size * jnp.sqrt(float(count))
        return jax.tree.map(lambda leaf: jnp.where(on, leaf, jnp.zeros_like(leaf)), field(t, state, sig))

    return until


def _norm(tree: State) -> Float[Array, ""]:
    return jnp.sqrt(jnp.sum(jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)])))


def _finite(ys: State) -> Bool[Array, " time"]:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(y).reshape(len(y), -1), axis=1) for y in jax.tree.leaves(ys)]), 0)


def _where(lost: Bool[Array, " time"], there: Array, y: Array) -> Array:
    return jnp.where(lost.reshape(-1, *[1] * (y.ndim - 1)), there, y)
