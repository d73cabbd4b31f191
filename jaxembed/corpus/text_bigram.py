"""Real text as a task: predict the next of the most frequent words from the words before it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ..base import Dataset, generator
from ..keep import digest
from .bigrams import next_token_dataset
from .builtin import python_documentation
from .readers import read_text
from .words import Vocabulary, vocabulary, words


@dataclass(frozen=True)
class TextPopulation:
    """A text as a population, with what a run record and a caption need to say about it.

    Attributes:
        dataset: (previous words, next word) with its weights.
        vocabulary: word of every token id.
        coverage: share of positions kept, that is, with all their words in the vocabulary.
        tokens: number of words in the text.
        text_hash: SHA-256 of the text.
    """

    dataset: Dataset
    vocabulary: Vocabulary
    coverage: float
    tokens: int
    text_hash: str


@dataclass(frozen=True)
class _Encoded:
    ids: np.ndarray
    vocabulary: Vocabulary
    text_hash: str


@dataclass(frozen=True)
class TextBigram:
    """Next-word prediction on a text: X = the previous words, y = the next one.

    The text is read once per instance; words outside the vocabulary drop the positions that touch them.

    >>> task = TextBigram(vocab_size=50)
    >>> task.population().vocabulary.words[0]
    'the'
    """

    text: str = ""
    """UTF-8 text file to read; empty for the documentation that ships with Python."""
    vocab_size: int = 500
    """Number of most frequent words kept; ties go in alphabetical order."""
    lowercase: bool = True
    """Whether upper and lower case are one word."""
    window: int = 1
    """Number of previous words that predict the next one; 1 gives next- and previous-word signatures."""

    control_name = "shuffled words"
    signature_names = ("next", "prev")
    pairs_by_signature = True

    def __post_init__(self) -> None:
        if self.vocab_size < 2:
            raise ValueError(f"vocab_size: need at least 2 words to predict, got {self.vocab_size}; choose more")
        if self.window < 1:
            raise ValueError(f"window: need at least one previous word, got {self.window}; choose 1 or more")

    def dataset(self) -> Dataset:
        """The weighted population of (previous words, next word)."""
        return self.population().dataset

    def population(self) -> TextPopulation:
        """The dataset with its vocabulary, coverage and the text's hash.

        Raises:
            ValueError: if the file is no UTF-8 text, too short, or has fewer distinct words than `vocab_size`.
        """
        encoded = self._encoded
        data, coverage = next_token_dataset(encoded.ids, self.vocab_size, self.window)
        return TextPopulation(data, encoded.vocabulary, coverage, len(encoded.ids), encoded.text_hash)

    def control(self, key: PRNGKeyArray | int) -> Dataset:
        """The null corpus: the text's words in random order; frequencies stay and neighbours mean nothing."""
        shuffled = generator(key).permutation(self._encoded.ids)
        return next_token_dataset(shuffled, self.vocab_size, self.window)[0]

    def most_frequent_tokens(self, n: int) -> Int[np.ndarray, " token"]:
        """Token ids of the `n` most frequent words, most frequent first."""
        if not 1 <= n <= self.vocab_size:
            raise ValueError(f"n: need between 1 and vocab_size = {self.vocab_size} words, got {n}")
        return np.arange(n, dtype=np.int32)

    @property
    def drawn_tokens(self) -> Int[np.ndarray, " token"]:
        """The words that a figure shows."""
        return self.most_frequent_tokens(min(20, self.vocab_size))

    @property
    def token_names(self) -> tuple[str, ...]:
        """The words."""
        return self._encoded.vocabulary.words

    def drawn_signature(
        self, sig: Any, tokens: Int[np.ndarray, " token"]
    ) -> tuple[str, Float[np.ndarray, "token target"]]:
        """Next-word distributions less the frequencies, which training reaches first."""
        return "next-token signature (centred)", np.asarray(sig.label[tokens] - sig.target[None])

    def facts(self) -> dict[str, Any]:
        """What a run records of the text."""
        population = self.population()
        return {"coverage": population.coverage, "words": population.tokens, "text sha256": population.text_hash}

    @cached_property
    def _encoded(self) -> _Encoded:
        text = read_text(self.text) if self.text else python_documentation()
        split = words(text, self.lowercase)
        if len(split) < 2:
            raise ValueError(f"text: '{self.text}' has {len(split)} words; give a text with at least 2")
        kept = vocabulary(split, self.vocab_size)
        return _Encoded(kept.encode(split), kept, digest(text))
