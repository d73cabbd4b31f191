"""Theories of embedding dynamics: pure functions `field(t, state, sig)`, one file per result."""

from . import analogy_modes as analogy_modes
from . import attention_only as attention_only
from . import binary_modes as binary_modes
from . import collisions as collisions
from . import common_basis as common_basis
from . import deep_linear as deep_linear
from . import expansion as expansion
from . import feedforward as feedforward
from . import horizon as horizon
from . import lens as lens
from . import linear as linear
from . import next_token as next_token
from . import order_of_arrival as order_of_arrival
from . import predictive_sufficiency as predictive_sufficiency
from . import signature_start as signature_start
from . import soft_label as soft_label
from . import squared_error as squared_error
from . import task_vectors as task_vectors
from . import two_position as two_position
from . import word_pairs as word_pairs
