"""Feedforward model without hidden matrix, logits = U sigma(h): the ladder F1, F2, F3 (theory/feedforward.md)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, Float

from ..base import add
from ..statistics import Signatures
from .linear import State, centred, checked, first_order, third_order

Taylor = tuple[float | int, float | int, float | int]
"""(c1, c2, c3): first three derivatives of the activation at 0."""


def terms(state: State, sig: Signatures, taylor: Taylor) -> tuple[State, State, State]:
    """The parts of the flow of degree 1, 2 and 3 in the parameters.

    Equation: (N4), (N5), (N6) in theory/feedforward.md.
    Assumes: logits = U sigma(h) with sigma(0) = 0, population cross-entropy, a smooth sigma at 0.
    Valid while: |h| and |logits| < 1; the sum's error is of degree 4 in the parameter scale.
    Clock: flow time.

    Args:
        state: `{"embed": E, "unembed": U}`.
        sig: signatures; a non-zero c2 or c3 needs the cells, c1 second moments: `count(data, order=2)`.
        taylor: (c1, c2, c3), as in `Feedforward(..).taylor`.

    Returns:
        F1, F2, F3, each with the tree of `state`.

    Raises:
        ValueError: where `sig` lacks the moments that a term needs.

    Source: yao2025probability; the c3 terms are ours.
    """
    return first(state, sig, taylor), second(state, sig, taylor), third(state, sig, taylor)


def field(taylor: Taylor, order: int = 3) -> Callable[[Float[ArrayLike, ""], State, Signatures], State]:
    """The theory of a given order: `field(taylor, order)(t, state, sig)` is F1 + .. + F_order.

    Equation: (N7) in theory/feedforward.md.
    Assumes: as `terms`.
    Valid while: the parameters are small; the relative error is of degree `order` in their scale. Order 2 alone may
        reach infinity in finite time where the exact flow does not.
    Clock: flow time.

    Raises:
        ValueError: for an order other than 1, 2 or 3.

    >>> import jax.numpy as jnp, jaxembed as je
    >>> data = je.tasks.Addition(keys=4, anchors=2).dataset()
    >>> state = {"embed": jnp.ones((data.vocab, 2)), "unembed": jnp.eye(data.vocab, 2)}
    >>> velocity = field(je.models.Feedforward().taylor, order=2)(0.0, state, je.signatures(je.count(data)))
    >>> velocity["embed"].shape
    (11, 2)
    """
    if order not in (1, 2, 3):
        raise ValueError(f"order: the ladder has orders 1, 2 and 3, got {order}")
    parts = (first, second, third)[:order]

    def truncated(t: Float[ArrayLike, ""], state: State, sig: Signatures) -> State:
        return add(*(part(state, sig, taylor) for part in parts))

    return truncated


def first(state: State, sig: Signatures, taylor: Taylor) -> State:
    """F1: label signatures drive E, trace-back signatures drive U.

    Equation: (N4) in theory/feedforward.md: F1_E = c1 A U, F1_U = c1 A^T E.
    Assumes: as `terms`.
    Valid while: as `field` of order 1.
    Clock: flow time.
    """
    return _times(taylor[0], first_order(state, sig))


def second(state: State, sig: Signatures, taylor: Taylor) -> State:
    """F2: joint signatures, seen only by an activation with curvature at 0.

    Equation: (N5) in theory/feedforward.md: F2_E[x] = c2 E[c_x h * (Pi U)_y], F2_U = (c2/2) Pi E[1{y=nu} h^2].
    Assumes: as `terms`.
    Valid while: as `field` of order 2.
    Clock: flow time.
    """
    return _curvature(state, sig, taylor[1], 2)


def third(state: State, sig: Signatures, taylor: Taylor) -> State:
    """F3: saturation through context signatures, and triple moments where c3 is not 0.

    Equation: (N6) in theory/feedforward.md: c1^2 times the linear model's, plus
        F3_E[x] += (c3/2) E[c_x h^2 * (Pi U)_y], F3_U += (c3/6) Pi E[1{y=nu} h^3].
    Assumes: as `terms`.
    Valid while: as `field` of order 3.
    Clock: flow time.
    """
    c1, _, c3 = taylor
    saturation = _zero(state) if c1 == 0 else _times(c1**2, third_order(state, sig))
    return add(saturation, _curvature(state, sig, c3, 3))


def _curvature(state: State, sig: Signatures, coefficient: float | int, degree: int) -> State:
    """What c_k h^k / k! adds to the flow while the prediction is uniform; k is `degree`."""
    embed, unembed = checked(state)
    if coefficient == 0:
        return _zero(state)
    factorial = {2: 2, 3: 6}[degree]
    return {
        "embed": sig.token_label_moment(embed, centred(unembed), degree - 1) * (coefficient * degree / factorial),
        "unembed": centred(sig.label_moment(embed, degree)) * (coefficient / factorial),
    }


def _times(factor: float | int, state: State) -> State:
    return jax.tree.map(lambda leaf: leaf * factor, state)


def _zero(state: State) -> State:
    return jax.tree.map(jnp.zeros_like, state)
