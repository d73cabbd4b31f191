"""Losses: exact over a population, over sequences, of the next item of a process, of a language model."""

from .language import LanguageModel as LanguageModel
from .language import head_of as head_of
from .language import mean_loss as mean_loss
from .language import pieces_for as pieces_for
from .population import DecayedLoss as DecayedLoss
from .population import PopulationLoss as PopulationLoss
from .population import accuracy as accuracy
from .population import check_resolution as check_resolution
from .population import decayed as decayed
from .population import minibatch_loss as minibatch_loss
from .population import population_loss as population_loss
from .prediction import Network as Network
from .prediction import masked_loss as masked_loss
from .prediction import network_items as network_items
from .prediction import next_item_loss as next_item_loss
from .sequences import SequenceLoss as SequenceLoss
from .sequences import SequenceModel as SequenceModel
from .sequences import sequence_loss as sequence_loss
