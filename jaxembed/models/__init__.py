"""Models: settings in frozen dataclasses, parameters in plain dicts."""

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import Activation as Activation
from .activations import activation as activation
from .feedforward import Feedforward as Feedforward
from .linear import Linear as Linear
