"""Which theories exist for a model, lowest rung first, and what of the data they read."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from .. import theory
from ..base import Dataset, Field, Loss, State
from ..models import Feedforward, Linear, TwoPosition
from ..statistics import Signatures, position_signatures
from .settings import AnyModel

Rung = Callable[[State], Field]
"""A theory, given the state that a run starts from."""

DEGREES = ("F1", "F1 + F2", "F1 + F2 + F3")


@lru_cache(maxsize=16)
def ladder(model: AnyModel, weight_decay: float) -> dict[str, Rung]:
    """The theories of a model, with weight decay; empty where it has no Taylor coefficients.

    Hand-derived where they are; for a hidden matrix by expansion around zero embeddings and the initial hidden matrix.
    One and the same functions for the same settings, so that a theory and its control compile once.
    """
    if isinstance(model, Linear):
        fields = {"rung 0": theory.linear.rung0, "rung 1": theory.linear.rung1}
        return {name: _derived(field, weight_decay) for name, field in fields.items()}
    try:
        taylor = model.taylor
    except ValueError:
        return {}
    orders = dict(enumerate(DEGREES, start=1))
    if has_hidden(model):
        return {name: partial(_expanded, order) for order, name in orders.items()}
    made = theory.two_position if isinstance(model, TwoPosition) else theory.feedforward
    return {name: _derived(made.field(taylor, order), weight_decay) for order, name in orders.items()}


def read_by_theory(model: AnyModel, data: Dataset, sig: Signatures, loss: Callable[[], Loss]) -> Any:
    """What the theories of a model read: signatures, or the loss that is expanded, which is built only then."""
    if isinstance(model, TwoPosition):
        return position_signatures(data)
    return loss() if has_hidden(model) else sig


def has_hidden(model: AnyModel) -> bool:
    """Whether a matrix stands between embedding and activation, which the derived theories do not cover."""
    return isinstance(model, Feedforward) and model.hidden is not None


def _derived(field: Field, weight_decay: float) -> Rung:
    def decayed(t: Float[ArrayLike, ""], state: State, sig: Any) -> State:
        def shrunk(rate: Array, leaf: Array) -> Array:
            return rate - weight_decay * leaf

        return jax.tree.map(shrunk, field(t, state, sig), state)

    chosen = decayed if weight_decay else field
    return lambda start: chosen


def _expanded(order: int, start: State) -> Field:
    base = {name: leaf if name == "hidden" else jnp.zeros_like(leaf) for name, leaf in start.items()}

    def field(t: Float[ArrayLike, ""], state: State, loss: Loss) -> State:
        return theory.linear.add(*theory.expansion.terms(loss, base, state, order))

    return field
