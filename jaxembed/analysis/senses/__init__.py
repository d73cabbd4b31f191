"""Senses of a word in its sentences: states, probes with nulls, attention taken apart."""

from .model import senses_of_model as senses_of_model
from .result import WordResult as WordResult
from .scores import SenseScores as SenseScores
from .scores import SenseSizes as SenseSizes
from .scores import score_senses as score_senses
from .texts import SenseTask as SenseTask
from .texts import build_sense_task as build_sense_task
from .tokens import SenseTokens as SenseTokens
from .tokens import sense_states as sense_states
from .tokens import sense_tokens as sense_tokens
