"""Whether a loss has a value, a slope and no kink at the point an expansion starts from."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..base import Loss, State

SCALES = (1e-3, 1e-5, 1e-7)
_INSTEAD = "expand around another point, such as the initial parameters instead of the origin"


def check_base(loss: Loss, base: State) -> None:
    """Refuse a base point that has no Taylor series of degree 1; nothing is looked at where values are traced.

    Kinks are sought along one random direction: a gradient that is differentiable departs from its tangent by the
    square of the step, one with a kink at the base (ReLU at the origin) by its first power or less at every scale.
    Kinks in higher derivatives, and kinks near the base but not on it, are not found.

    Raises:
        ValueError: saying what is not finite, or that there is a kink.
    """
    _check_scalar(loss, base)
    value_and_slope = _value_and_slope(loss)
    value, slope = value_and_slope(base)
    try:
        value = float(value)
    except jax.errors.ConcretizationTypeError:
        return
    if not np.isfinite(value):
        raise ValueError(f"loss: is {value} at base (a normalisation layer has no value at zero); {_INSTEAD}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(slope):
        if not np.all(np.isfinite(leaf)):
            raise ValueError(
                f"loss: its gradient at base is not finite in leaf {jax.tree_util.keystr(path)} (a normalisation "
                f"layer has no slope at zero), so it is not differentiable there; {_INSTEAD}"
            )
    if _kinked(lambda at: value_and_slope(at)[1], base, slope):
        raise ValueError(f"loss: has a kink at base (as ReLU has at the origin), so no Taylor series there; {_INSTEAD}")


def _value_and_slope(loss: Loss) -> Callable[[State], tuple[Any, State]]:
    """Jitted, the data an argument where the loss is a tree of arrays: constants would be folded for seconds."""
    if any(callable(leaf) for leaf in jax.tree.leaves(loss)):
        return jax.jit(jax.value_and_grad(loss))
    return lambda base: _evaluated(loss, base)


@jax.jit
def _evaluated(loss: Any, base: State) -> tuple[Any, State]:
    return jax.value_and_grad(loss)(base)


def _check_scalar(loss: Loss, base: State) -> None:
    out = jax.eval_shape(loss, base)
    if getattr(out, "shape", None) != () or not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"loss: must return one real number, got {out}; average over examples")


def _kinked(gradient: Callable[[State], State], base: State, slope: State) -> bool:
    """Whether the gradient's jump or its second difference across the base shrinks too slowly with the step."""
    direction, centre = _direction(base), _vector(slope)
    jumps, bends = [], []
    for scale in SCALES:
        ahead, behind = (_vector(gradient(_moved(base, direction, sign * scale))) for sign in (1, -1))
        noise = 100 * np.finfo(centre.dtype).eps * max(map(np.linalg.norm, (centre, ahead, behind)))
        for sizes, difference in ((jumps, ahead - behind), (bends, ahead + behind - 2 * centre)):
            size = float(np.linalg.norm(difference))
            sizes.append(size if size > noise else 0.0)
    # Smooth: the jump falls like the step, the second difference like its square, at the largest or smallest scales.
    return _slower_than(0.75, jumps) or _slower_than(1.5, bends)


def _slower_than(power: float, sizes: list[float]) -> bool:
    steps = zip(SCALES, SCALES[1:], sizes, sizes[1:], strict=False)
    return all(large < small * (wide / narrow) ** power for wide, narrow, large, small in steps)


def _direction(base: State) -> State:
    """A random step of the size of each leaf, of size 1 where the leaf is zero."""
    rng = np.random.default_rng(0)

    def draw(leaf: Any) -> Any:
        size = float(jnp.sqrt(jnp.mean(jnp.square(leaf)))) or 1.0
        return jnp.asarray(size * rng.normal(size=leaf.shape), leaf.dtype)

    return jax.tree.map(draw, base)


def _moved(base: State, direction: State, step: float) -> State:
    return jax.tree.map(lambda at, along: at + jnp.asarray(step, at.dtype) * along, base, direction)


def _vector(tree: State) -> np.ndarray:
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(tree)])
