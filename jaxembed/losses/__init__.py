"""Losses: exact over a population, over sequences, of the next item of a process, of a language model."""

from .population import accuracy as accuracy
from .population import check_resolution as check_resolution
from .population import decayed as decayed
from .population import minibatch_loss as minibatch_loss
from .population import population_loss as population_loss
from .sequences import SequenceModel as SequenceModel
from .sequences import sequence_loss as sequence_loss
