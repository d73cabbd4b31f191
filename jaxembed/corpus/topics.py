"""Topic mixtures of documents by latent Dirichlet allocation, as scikit-learn fits it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from ..machine import optional

WORD = re.compile(r"[^\W\d_]{2,}")
"""At least two letters in a row: no digits, no punctuation."""


@dataclass(frozen=True)
class TopicWords:
    """The words that topics are made of, in alphabetical order."""

    words: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)

    def counts(self, texts: Iterable[str]) -> csr_array:
        """How often each word occurs in each text: `[document, token]`, sparse."""
        ids = {word: i for i, word in enumerate(self.words)}
        rows = [Counter(ids[word] for word in words_of(text) if word in ids) for text in texts]
        ends = np.cumsum([0, *(len(row) for row in rows)])
        columns = np.array([i for row in rows for i in sorted(row)], np.int32)
        values = np.array([row[i] for row in rows for i in sorted(row)], np.float64)
        return csr_array((values, columns, ends), shape=(len(rows), len(self)))


def words_of(text: str) -> list[str]:
    """Lower-case words of at least two letters.

    >>> words_of("It's 3 o'clock, X-ray NASA")
    ['it', 'clock', 'ray', 'nasa']
    """
    return WORD.findall(text.lower())


def topic_words(texts: Iterable[str], *, stop: Sequence[str] | None = None, least: int = 2) -> TopicWords:
    """The vocabulary of some texts for topics: lower case, at least two letters, no stop words, no rare ones.

    Args:
        texts: the training documents.
        stop: words that are left out; None takes scikit-learn's English list.
        least: occurrences a word needs.

    Raises:
        ValueError: where no word is left.

    >>> topic_words(["The cat sat.", "A cat and the hat"], stop=["the", "and"]).words
    ('cat',)
    """
    left_out = frozenset(english_stop_words() if stop is None else stop)
    counts = Counter(word for text in texts for word in words_of(text))
    known = tuple(sorted(word for word, count in counts.items() if count >= least and word not in left_out))
    if not known:
        raise ValueError(f"texts: no word occurs {least} times once stop words are left out; give more text")
    return TopicWords(known)


def english_stop_words() -> frozenset[str]:
    """Scikit-learn's list, and the stumps that its words leave where an apostrophe cuts them."""
    return frozenset(optional("sklearn.feature_extraction.text", "topics").ENGLISH_STOP_WORDS) | STUMPS


STUMPS = frozenset(
    ["don", "doesn", "didn", "isn", "wasn", "aren", "couldn", "wouldn", "shouldn", "hasn", "haven", "ll", "ve"]
)


@dataclass(frozen=True)
class Topics:
    """A fitted topic model.

    Attributes:
        words: its vocabulary.
        key: it was fitted from.
        model: scikit-learn's LatentDirichletAllocation.
    """

    words: TopicWords
    key: int
    model: Any

    @property
    def size(self) -> int:
        """Number of topics K."""
        return self.model.n_components

    def mixtures(self, texts: Iterable[str]) -> Float[np.ndarray, "document topic"]:
        """The inferred topic mixture of each text; always the same for the same words."""
        return self.of_counts(self.words.counts(texts))

    def of_counts(self, counts: csr_array) -> Float[np.ndarray, "document topic"]:
        """The same from word counts; a document without a known word has the prior's, which is uniform."""
        weights = np.asarray(self.model.transform(counts), np.float64)
        return weights / weights.sum(axis=1, keepdims=True)

    def top_words(self, count: int = 8) -> list[tuple[str, ...]]:
        """The most frequent words of every topic."""
        ranked: Int[np.ndarray, "topic token"] = np.argsort(-self.model.components_, axis=1, kind="stable")[:, :count]
        return [tuple(self.words.words[i] for i in row) for row in ranked]


def fit_topics(
    words: TopicWords, counts: csr_array, topics: int, *, key: int, passes: int = 10, inner: int = 30
) -> Topics:
    """Fit K topics by variational Bayes over all documents at once; the same key gives the same topics.

    Taking a few documents at a time is faster and leaves most short posts with one topic in common.

    Args:
        words: the vocabulary.
        counts: `[document, token]` of the training documents.
        topics: K.
        key: of the start, a whole number.
        passes: over the documents.
        inner: largest number of updates of a document's mixture in one pass.

    Raises:
        ValueError: for fewer than two topics, or more topics than documents.
    """
    documents = len(counts.indptr) - 1
    if not 2 <= topics <= documents:
        raise ValueError(f"topics: {topics} for {documents} documents; choose 2 to that many, or give more text")
    library = optional("sklearn.decomposition", "topics")
    model = library.LatentDirichletAllocation(
        n_components=topics, learning_method="batch", max_iter=passes, max_doc_update_iter=inner, random_state=key
    )
    return Topics(words, key, model.fit(counts))
