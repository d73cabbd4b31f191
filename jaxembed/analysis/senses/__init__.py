"""Senses of a word in its sentences: states, probes with nulls, attention taken apart."""

from .model import senses_of_model as senses_of_model
from .probes import balanced_mean as balanced_mean
from .probes import bootstrap_interval as bootstrap_interval
from .probes import read_senses_from as read_senses_from
from .result import WordResult as WordResult
from .scores import SenseScores as SenseScores
from .scores import SenseSizes as SenseSizes
from .scores import bag_hits as bag_hits
from .scores import merged_embedding as merged_embedding
from .scores import score_senses as score_senses
from .texts import SenseTask as SenseTask
from .texts import build_sense_task as build_sense_task
from .texts import read_sense_parts as read_sense_parts
from .tokens import SenseTokens as SenseTokens
from .tokens import sense_states as sense_states
from .tokens import sense_tokens as sense_tokens
