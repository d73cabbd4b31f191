"""Two-position model, logits = W sigma(U_a + V_b), with weight decay: the ladder F1, F2, F3 (theory/two_position.md).

What F2 does mode by mode, where a basis decouples it, is in `binary_modes`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ..base import add
from ..statistics import PositionSignatures
from .linear import centred, dot

State = dict[str, Float[Array, "token width"]]
"""`{"embed": U, "second": V, "unembed": W}`: tables of the first position, of the second, of the label."""

Taylor = tuple[float | int, float | int, float | int]
"""(c1, c2, c3): first three derivatives of the activation at 0."""


def field(
    taylor: Taylor, order: int = 2, weight_decay: Float[ArrayLike, ""] | float = 0.0
) -> Callable[[Float[ArrayLike, ""], State, PositionSignatures], State]:
    """The theory of a given order: `field(taylor, order)(t, state, sig)` is F1 + .. + F_order - lambda theta.

    Equation: (T6) in theory/two_position.md.
    Assumes: logits = W sigma(U_a + V_b) with sigma(0) = 0 and smooth at 0, population cross-entropy, decay
        lambda / 2 |theta|^2.
    Valid while: the parameters are small; order 2 may reach infinity in finite time where the exact flow does not.
    Clock: flow time.

    Raises:
        ValueError: for an order other than 1, 2 or 3.

    >>> import jax, jaxembed as je
    >>> from jaxembed.statistics import position_signatures
    >>> data, model = je.tasks.BinaryTable(4, "xor").dataset(), je.models.TwoPosition(width=3)
    >>> state = model.init(jax.random.key(0), data.vocab, data.length)
    >>> velocity = field(model.taylor, order=2, weight_decay=1e-3)(0.0, state, position_signatures(data))
    >>> velocity["second"].shape
    (4, 3)

    Source: wang2026modular.
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order: the ladder has orders 1, 2 and 3, got {order}")
    parts = (first, second, third)[:order]

    def truncated(t: Float[ArrayLike, ""], state: State, sig: PositionSignatures) -> State:
        decay = jax.tree.map(lambda leaf: -jnp.asarray(weight_decay, leaf.dtype) * leaf, state)
        return add(decay, *(part(state, sig, taylor) for part in parts))

    return truncated


def first(state: State, sig: PositionSignatures, taylor: Taylor) -> State:
    """F1: label signatures of each position drive its table, trace-back signatures the unembedding.

    Equation: (T3) in theory/two_position.md: F1_U = c1 A W, F1_V = c1 B W, F1_W = c1 (A^T U + B^T V); it vanishes
        where a and b taken alone say nothing of the label.
    Assumes: as `field`.
    Valid while: as `field` of order 1.
    Clock: flow time.
    """
    u, v, w = checked(state)
    label = centred(w)
    return {
        "embed": taylor[0] * dot(sig.m1_first, label),
        "second": taylor[0] * dot(sig.m1_second, label),
        "unembed": taylor[0] * centred(dot(sig.m1_first.T, u) + dot(sig.m1_second.T, v)),
    }


def second(state: State, sig: PositionSignatures, taylor: Taylor) -> State:
    """F2: joint signatures, seen only by an activation with curvature at 0.

    Equation: (T4) in theory/two_position.md: F2_U[x] = c2 E[1{a=x} h * (Pi W)_y], F2_V likewise,
        F2_W = (c2/2) Pi E[1{y=nu} h^2].
    Assumes: as `field`.
    Valid while: as `field` of order 2.
    Clock: flow time.
    """
    return _curvature(state, sig, taylor[1], 2)


def third(state: State, sig: PositionSignatures, taylor: Taylor) -> State:
    """F3: saturation through the pair moment, and the joint distribution again where c3 is not 0.

    Equation: (T5) in theory/two_position.md.
    Assumes: as `field`.
    Valid while: as `field` of order 3.
    Clock: flow time.
    """
    c1, _, c3 = taylor
    u, v, w = checked(state)
    label, vocab = centred(w), w.shape[0]
    # E[1{a=x} h] and E[1{b=x} h]
    by_first = sig.first[:, None] * u + dot(sig.pair, v)
    by_second = sig.second[:, None] * v + dot(sig.pair.T, u)
    readout, spread = dot(w.T, label), dot(u.T, by_first) + dot(v.T, by_second)
    factor = -(c1**2) / vocab
    saturation = {
        "embed": factor * dot(by_first, readout),
        "second": factor * dot(by_second, readout),
        "unembed": factor * dot(label, spread),
    }
    return add(saturation, _curvature(state, sig, c3, 3))


def _curvature(state: State, sig: PositionSignatures, coefficient: float | int, degree: int) -> State:
    """What c_k h^k / k! adds to the flow while the prediction is uniform; k is `degree`."""
    u, v, w = checked(state)
    if coefficient == 0:
        return jax.tree.map(jnp.zeros_like, state)
    factor = coefficient / {2: 2, 3: 6}[degree]
    cells = sig.cells
    h = u[cells.tokens[:, 0]] + v[cells.tokens[:, 1]]
    pull = h ** (degree - 1) * centred(w)[cells.targets]
    return {
        "embed": factor * degree * sig.by_first(pull),
        "second": factor * degree * sig.by_second(pull),
        "unembed": factor * centred(sig.by_label(h**degree)),
    }


def checked(
    state: State,
) -> tuple[Float[Array, "token width"], Float[Array, "token width"], Float[Array, "token width"]]:
    """U, V and W of a state; a ValueError says which state was given instead."""
    if set(state) != {"embed", "second", "unembed"}:
        raise ValueError(f"state: needs embed, second and unembed, got {sorted(state)}; use models.TwoPosition")
    return state["embed"], state["second"], state["unembed"]


def growth_rate(sig: PositionSignatures, taylor: Taylor) -> Float[Array, ""]:
    """How fast a small state leaves the origin; weight decay above it pulls every small state back to 0.

    Equation: (T7) in theory/two_position.md: c1 times the largest singular value of A stacked on B.
    Assumes: as `field` of order 1.
    Valid while: the parameters are small; a larger start may survive a decay above it.
    Clock: a rate per flow time.
    """
    stacked = centred(jnp.concatenate([sig.m1_first, sig.m1_second]).T)
    return taylor[0] * jnp.linalg.norm(stacked, ord=2)
