"""What the studies of truncated theories share: models at initial scale 1, the exact flow, times."""

from typing import Any

import numpy as np
from jaxtyping import Float

from ...base import Model, State
from ...flow import gradient_flow
from ...losses.population import PopulationLoss
from ...models import Feedforward, Linear
from ...tables import times


def model_of(name: str, width: int, hidden: int) -> Model:
    """A model at initial scale 1: "linear", an activation, or "activation, hidden"; starts are scaled from it."""
    activation, *rest = name.split(", ")
    if activation == "linear":
        return Linear(width, init_scale=1.0)
    return Feedforward(width, hidden if rest else None, activation, init_scale=1.0)


def flow(t: Any, state: State, loss: PopulationLoss) -> State:
    """The exact flow of a loss that is data."""
    return gradient_flow(loss)(t, state, None)


def until(values: Float[np.ndarray, " seed"], window: float, spec: str) -> str:
    """Smallest and largest time; of what lies beyond the window no more is said."""
    return times(np.where(values >= window, np.inf, values), -np.inf, window, spec)
