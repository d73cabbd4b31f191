"""What the studies of truncated theories share: models at initial scale 1, the exact flow, integrations."""

from typing import Any

from ...base import Model, State
from ...flow import gradient_flow
from ...losses.population import PopulationLoss
from ...models import Feedforward, Linear


def model_of(name: str, width: int, hidden: int) -> Model:
    """A model at initial scale 1: "linear", an activation, or "activation, hidden"; starts are scaled from it."""
    activation, *rest = name.split(", ")
    if activation == "linear":
        return Linear(width, init_scale=1.0)
    return Feedforward(width, hidden if rest else None, activation, init_scale=1.0)


def flow(t: Any, state: State, loss: PopulationLoss) -> State:
    """The exact flow of a loss that is data."""
    return gradient_flow(loss)(t, state, None)
