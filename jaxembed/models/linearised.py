"""A model made linear in its parameters: the network whose tangent kernel never moves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from ..base import State


def linearised(model: Any, base: State) -> Any:
    """`f(base) + J(base) (params - base)`: the model, or the function `f(params, *inputs)`, linear in its parameters.

    The model is cut, not its loss: `population_loss(linearised(model, base), data)` is a full cross-entropy. Theory of
    order 1 around `base` (`theory.expansion`) cuts the loss instead and keeps the model's curvature.

    Args:
        model: a model (`init`, `apply`), which gives a model, or a function, which gives a function.
        base: parameters to linearise at, usually the initial ones.

    Raises:
        ValueError: when called with parameters of another tree than `base`.

    >>> import jax.numpy as jnp
    >>> line = linearised(lambda p, x: p["a"] * p["b"] * x, {"a": jnp.ones(()), "b": jnp.ones(())})
    >>> print(line({"a": jnp.asarray(2.0), "b": jnp.asarray(3.0)}, jnp.asarray(1.0)))  # 1 + (2 - 1) + (3 - 1), not 6
    4.0

    Source: jacot2018ntk, lee2019wide.
    """
    return _Linearised(model, base) if hasattr(model, "apply") else _line(model, base)


def _line(function: Callable[..., Any], base: State) -> Callable[..., Any]:
    def line(params: State, *inputs: Any) -> Any:
        if jax.tree.structure(params) != jax.tree.structure(base):
            raise ValueError(
                f"params: tree {jax.tree.structure(params)} differs from base, {jax.tree.structure(base)}; "
                "linearise at parameters of this model"
            )
        step = jax.tree.map(jnp.subtract, params, base)
        value, slope = jax.jvp(lambda at: function(at, *inputs), (base,), (step,))
        return jax.tree.map(jnp.add, value, slope)

    return line


@dataclass(frozen=True, eq=False)
class _Linearised:
    """Compared by identity: it holds arrays, and a loss keeps its model as a static setting."""

    model: Any
    base: State

    order_invariant: ClassVar[bool] = False

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Any]:
        """Initial parameters of the model itself."""
        return self.model.init(key, vocab, length)

    def apply(self, params: State, tokens: Int[Array, " position"]) -> Array:
        """Logits, shaped as the model's own."""
        return _line(self.model.apply, self.base)(params, tokens)
