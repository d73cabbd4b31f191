"""Text to token ids, and token ids to a weighted population of (context, next word)."""

from .bigrams import next_token_dataset as next_token_dataset
from .builtin import python_documentation as python_documentation
from .readers import read_text as read_text
from .text_bigram import TextBigram as TextBigram
from .text_bigram import TextPopulation as TextPopulation
from .words import Vocabulary as Vocabulary
from .words import vocabulary as vocabulary
from .words import words as words
