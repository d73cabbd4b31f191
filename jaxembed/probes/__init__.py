"""Probes: what can be read from representations by a line or a small network, chosen on one part, scored on another."""

from .classes import class_probe as class_probe
from .mlp import mlp_probe as mlp_probe
from .probe import Kind as Kind
from .probe import Probe as Probe
from .ridge import ridge as ridge
from .scores import HIGHER_IS_BETTER as HIGHER_IS_BETTER
from .scores import best as best
from .scores import gap_closed as gap_closed
from .scores import higher_is_better as higher_is_better
from .scores import scores as scores
from .softmax import softmax_probe as softmax_probe
