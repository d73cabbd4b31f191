"""Derivatives of a tree-valued function of one scalar at 0, by nested jvp or by Taylor mode."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

MODES = ("jvp", "jet")
Curve = Callable[[Any], Any]
"""`curve(s) -> tree of arrays`, s a scalar."""


def coefficients(curve: Curve, order: int, mode: str, dtype: Any) -> tuple[Any, ...]:
    """Taylor coefficients 0 .. order of `curve` at 0, all from one pass.

    Raises:
        ValueError: where Taylor mode cannot pass, naming the primitive.
    """
    start = jnp.zeros((), dtype)
    derivatives = _jet(curve, order, start) if mode == "jet" and order > 0 else _nested(curve, order, start)
    return tuple(jax.tree.map(lambda x, j=j: x / math.factorial(j), d) for j, d in enumerate(derivatives))


def _nested(curve: Curve, order: int, start: Any) -> tuple[Any, ...]:
    """Each level adds the derivative of the last entry; what it repeats of the levels below is dead code in jit."""

    def value(s: Any) -> tuple[Any, ...]:
        return (curve(s),)

    tower: Curve = value
    for _ in range(order):
        tower = _one_more(tower)
    return tower(start)


def _one_more(tower: Curve) -> Curve:
    def higher(s: Any) -> tuple[Any, ...]:
        values, slopes = jax.jvp(tower, (s,), (jnp.ones_like(s),))
        return (*values, slopes[-1])

    return higher


def _jet(curve: Curve, order: int, start: Any) -> tuple[Any, ...]:
    from jax.experimental.jet import jet

    shapes = jax.eval_shape(curve, start)
    series = [jnp.ones_like(start), *[jnp.zeros_like(start)] * (order - 1)]
    try:
        value, slopes = jet(lambda s: tuple(jax.tree.leaves(curve(s))), (start,), (series,))
    except Exception as error:  # jet fails in as many ways as it lacks rules
        raise ValueError(
            f"mode: Taylor mode cannot pass the primitive {_at_fault(error, curve, start)} of this loss; "
            'use mode="jvp", which passes whatever jax.grad passes'
        ) from error
    tree = jax.tree.structure(shapes)
    return tuple(tree.unflatten(leaves) for leaves in (value, *zip(*slopes, strict=True)))


def _at_fault(error: Exception, curve: Curve, start: Any) -> str:
    """The name of the primitive that has no rule, or whose rule fails."""
    missing = getattr(error.args[0], "name", None) if isinstance(error, KeyError) and error.args else None
    if missing:
        return repr(missing)
    operation = _first_failing(jax.make_jaxpr(curve)(start).jaxpr)
    return operation or f"that raises {type(error).__name__}"


def _first_failing(jaxpr: Any, within: str = "") -> str | None:
    """The first equation that Taylor mode cannot pass alone, and the jitted function that it is part of."""
    for equation in jaxpr.eqns:
        inner = equation.params.get("jaxpr")
        if equation.primitive.name in ("jit", "pjit") and inner is not None:
            failing = _first_failing(inner.jaxpr, f" (in {equation.params.get('name')})")
        else:
            failing = None if _passes(equation) else repr(equation.primitive.name) + within
        if failing:
            return failing
    return None


def _passes(equation: Any) -> bool:
    from jax.experimental.jet import jet

    if not any(jnp.issubdtype(v.aval.dtype, jnp.floating) for v in equation.outvars):
        return True
    values = [jnp.ones(v.aval.shape, v.aval.dtype) for v in equation.invars]
    moving = [i for i, value in enumerate(values) if jnp.issubdtype(value.dtype, jnp.floating)]

    def alone(*floats: Any) -> Any:
        inputs = list(values)
        for i, value in zip(moving, floats, strict=True):
            inputs[i] = value
        return equation.primitive.bind(*inputs, **equation.params)

    floats = tuple(values[i] for i in moving)
    try:
        jax.eval_shape(lambda *xs: jet(alone, xs, tuple([x, x] for x in xs)), *floats)
    except Exception:
        return False
    return True
