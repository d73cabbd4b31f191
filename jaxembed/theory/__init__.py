"""Theories of embedding dynamics: pure functions `field(t, state, sig)`, one file per result."""

from . import feedforward as feedforward
from . import linear as linear
