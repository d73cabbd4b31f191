"""Theory of any loss: its gradient flow expanded in the displacement from a base point (theory/expansion.md)."""

from typing import Any

import jax
import jax.numpy as jnp

from ..base import Field, Loss, State, add
from ._base_point import check_base
from ._taylor import MODES, coefficients


def expand(loss: Loss, base: State, order: int, mode: str = "jvp") -> Field:
    """The flow -grad loss, truncated after degree `order` in the displacement from `base`, as a field.

    The field's third argument is a loss of the same kind or None for the one given here. Passing a loss that is a
    pytree (`population_loss`) there keeps its data an argument of a jitted function.

    Equation: (X3) in theory/expansion.md: d state/dt = F_0 + F_1 + .. + F_order.
    Assumes: a loss that is smooth at `base`.
    Valid while: the state is well inside the radius of convergence around `base`; its error is of degree order + 1 in
        the displacement (X4).
    Clock: flow time.

    Args:
        loss: `loss(params) -> scalar`, anything that `jax.grad` passes.
        base: the point expanded around: `origin(params)` for small initialisation, the initial parameters for the lazy
            regime, or any mix of the two by leaf.
        order: last degree kept, at least 1.
        mode: "jvp" (nested forward derivatives; passes whatever `jax.grad` passes) or "jet" (Taylor mode;
            fewer functions).

    Raises:
        ValueError: for an unknown mode or order, a loss that is not finite or not differentiable at `base` (looked at
            outside jit, where base and loss are numbers), a primitive that Taylor mode cannot pass; and from the field,
            for a state that does not match `base`: the leaf is named.

    >>> import jax.numpy as jnp
    >>> field = expand(lambda p: jnp.cos(p["x"]), {"x": jnp.zeros(())}, order=3)
    >>> print(f"{float(field(0.0, {'x': jnp.asarray(0.5)}, None)['x']):.4f}")  # x - x^3 / 6
    0.4792
    """
    _check_order(order, 1)
    _check_mode(mode)
    check_base(loss, base)
    if mode == "jet":  # Fail here rather than at the first step of an integration.
        jax.eval_shape(lambda: terms(loss, base, base, order, mode))

    def field(t: Any, state: State, sig: Any = None, /) -> State:
        return add(*terms(_bound(loss, sig), base, state, order, mode))

    return field


def terms(loss: Loss, base: State, state: State, order: int, mode: str = "jvp") -> tuple[State, ...]:
    """F_0, .., F_order: the parts of the flow of each degree in state - base, all from one pass.

    Equation: (X2) in theory/expansion.md: F_k = -(1/k!) d^k/ds^k grad loss(base + s (state - base)) at s = 0.
    Assumes: as `expand`; only shapes are checked here, so that it maps and jits.
    Valid while: always; each part is exact.
    Clock: flow time.

    Raises:
        ValueError: as `expand`, save for what concerns the values at `base`.
    """
    _check_order(order, 0)
    _check_mode(mode)
    _check_match(base, state)
    displacement = jax.tree.map(jnp.subtract, state, base)
    gradient = jax.grad(loss)

    def curve(s: Any) -> State:
        at = jax.tree.map(lambda start, step: start + s.astype(step.dtype) * step, base, displacement)
        return jax.tree.map(jnp.negative, gradient(at))

    dtype = jnp.result_type(*(leaf.dtype for leaf in jax.tree.leaves(displacement)))
    return coefficients(curve, order, mode, dtype)


def term(loss: Loss, base: State, state: State, k: int, mode: str = "jvp") -> State:
    """F_k alone, the part of degree k in state - base.

    Equation: (X2) in theory/expansion.md.
    Assumes: as `terms`.
    Valid while: always; the part is exact.
    Clock: flow time.
    """
    return terms(loss, base, state, k, mode)[k]


def exact(t: Any, state: State, sig: Loss) -> State:
    """All degrees: the flow itself, with the loss as the field's third argument.

    Equation: (X1) in theory/expansion.md: d state/dt = -grad loss(state).
    Assumes: nothing.
    Valid while: always.
    Clock: flow time.
    """
    return jax.tree.map(jnp.negative, jax.grad(sig)(state))


def origin(params: State) -> State:
    """The same tree of zeros: the base point of small initialisation.

    >>> import jax.numpy as jnp
    >>> print(origin({"x": jnp.ones(2)})["x"])
    [0. 0.]
    """
    return jax.tree.map(jnp.zeros_like, params)


def _bound(loss: Loss, sig: Any) -> Any:
    if sig is None:
        return loss
    if not callable(sig):
        raise ValueError(f"sig: an expansion reads a loss, got {type(sig).__name__}; pass the loss, or None")
    return sig


def _check_order(order: int, least: int) -> None:
    if order < least:
        raise ValueError(f"order: must be at least {least}, got {order}; 1 is the linear theory")


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"mode: unknown {mode!r}; choose one of {', '.join(MODES)}")


def _check_match(base: State, state: State) -> None:
    at, leaves = (dict(_named(tree)) for tree in (base, state))
    for name in [*at, *leaves]:
        if name not in at or name not in leaves:
            where = "base" if name in at else "state"
            raise ValueError(f"state: leaf {name} is in {where} only; give base and state the same tree")
        if jnp.shape(at[name]) != jnp.shape(leaves[name]) or jnp.result_type(at[name]) != jnp.result_type(leaves[name]):
            kinds = [f"{jnp.result_type(x).name}{list(jnp.shape(x))}" for x in (at[name], leaves[name])]
            raise ValueError(f"state: leaf {name} is {kinds[0]} in base and {kinds[1]} in state; make them equal")


def _named(tree: State) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]
