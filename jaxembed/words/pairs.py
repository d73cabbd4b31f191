"""How often two words meet, under a stated convention: the one table that every word model here learns from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from ..base import Progress, silent
from ..statistics import count_neighbours
from .text import WordText

Weighting = Literal["flat", "dynamic", "harmonic"]


@dataclass(frozen=True)
class Convention:
    """What counts as one meeting of two words.

    Attributes:
        window: L, the largest distance; rare words left the text before.
        weighting: by distance j, "flat" 1, "dynamic" (L + 1 - j) / ((L + 1) / 2), which is word2vec's random window on
            average, scaled to a mean of 1 over distances, "harmonic" 1 / j, which is GloVe's.
        subsample: word2vec's threshold t: a word of frequency f is kept with chance min(1, sqrt(t / f) + t / f), and a
            pair weighs the product of both chances. Nothing is drawn, and windows do not widen over words left out.
    """

    window: int = 10
    weighting: Weighting = "dynamic"
    subsample: float | int | None = None

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window: need at least 1, got {self.window}")
        if self.weighting not in get_args(Weighting):
            raise ValueError(f"weighting: choose {', '.join(get_args(Weighting))}, got {self.weighting!r}")
        if self.subsample is not None and not 0 < self.subsample < np.inf:
            raise ValueError(f"subsample: need a positive threshold, such as 1e-5, got {self.subsample}; None is off")

    def weights(self) -> Float[np.ndarray, " position"]:
        """The weight at each distance 1 .. L.

        >>> Convention(3, "dynamic").weights().tolist()
        [1.5, 1.0, 0.5]
        """
        distance = np.arange(1.0, self.window + 1)
        if self.weighting == "harmonic":
            return 1 / distance
        return (
            np.ones(self.window) if self.weighting == "flat" else (self.window + 1 - distance) * 2 / (self.window + 1)
        )

    def kept(self, counts: Int[np.ndarray, " token"]) -> Float[np.ndarray, " token"]:
        """The chance that a word of each count is kept."""
        if self.subsample is None:
            return np.ones(len(counts))
        rarity = self.subsample * counts.sum() / np.maximum(counts, 1)
        return np.minimum(1, np.sqrt(rarity) + rarity)

    def __str__(self) -> str:
        thinned = "" if self.subsample is None else f", frequent words thinned at {self.subsample:g}"
        return f"window {self.window} on each side, {self.weighting} weights{thinned}"


@dataclass(frozen=True, eq=False)
class Cooccurrence:
    """Weighted counts of pairs of words; both orders of a pair count, so the table is symmetric.

    Attributes:
        matrix: `[token, token]`, scipy CSR, float64, sorted rows.
        words: the word of each row.
        unigrams: `[token]`, how often each word stands in the text.
        convention: what a meeting is.
    """

    matrix: Any
    words: tuple[str, ...]
    unigrams: Float[np.ndarray, " token"]
    convention: Convention

    @property
    def vocab(self) -> int:
        return len(self.words)

    @cached_property
    def marginal(self) -> Float[np.ndarray, " token"]:
        """Weight of all pairs of each word: the row sums, whose shares are P_i of the pairs."""
        return np.asarray(self.matrix.sum(axis=1)).ravel()

    @cached_property
    def joint_total(self) -> float:
        """Weight of all pairs, both orders."""
        return float(self.marginal.sum())


def cooccurrence(
    text: WordText,
    convention: Convention = Convention(),
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> Cooccurrence:
    """Count how often words meet within documents.

    Distances are counted one by one: every j-th word of a document, from each of its first j words on, is a document
    whose neighbours are the words at distance j. That is L counts of next words, instead of one for every window.

    Args:
        text: the words.
        convention: what a meeting is.
        workers: threads that count.
        progress: takes the distances counted so far.

    Raises:
        ValueError: where no two words meet.

    >>> from jaxembed.words import word_text
    >>> found = cooccurrence(word_text(["a b c"], min_count=1), Convention(2, "harmonic"))
    >>> found.matrix.toarray().tolist()
    [[0.0, 1.0, 0.5], [1.0, 0.0, 1.0], [0.5, 1.0, 0.0]]
    """
    after = _ordered(text, convention, workers, progress)
    if after.nnz == 0:
        raise ValueError("text: no two words meet; give documents of two words or more")
    matrix = csr_array(after + after.T)
    matrix.sort_indices()
    chance = convention.kept(text.counts)
    if convention.subsample is not None:
        matrix.data *= np.repeat(chance, np.diff(matrix.indptr)) * chance[matrix.indices]
    return Cooccurrence(matrix, text.words, text.counts.astype(np.float64), convention)


def reach(text: WordText, window: int) -> int:
    """The largest distance of a window at which two words of a document can be; at least 1."""
    longest = int(np.diff(text.ends, prepend=0).max(initial=0))
    return max(1, min(window, longest - 1))


def _ordered(text: WordText, convention: Convention, workers: int, progress: Progress) -> Any:
    """Weighted counts of (word, word after it)."""
    far = reach(text, convention.window)
    if convention.weighting == "flat":
        counts = count_neighbours(text.ids, text.ends, text.vocab, window=far, workers=workers)
        progress(f"distance {far} of {far}", 1.0)
        return counts.counts.astype(np.float64)
    total: Any = None
    for distance, weight in enumerate(convention.weights()[:far], start=1):
        ids, ends = every(text, distance)
        weighted = count_neighbours(ids, ends, text.vocab, workers=workers).counts * float(weight)
        total = weighted if total is None else total + weighted
        progress(f"distance {distance} of {far}", distance / far)
    return total


def every(text: WordText, distance: int) -> tuple[Int[np.ndarray, " position"], Int[np.ndarray, " document"]]:
    """The text read with a stride: a document's places 0, j, 2j, .. first, then 1, j + 1, .., each a document."""
    if distance == 1:
        return text.ids, text.ends
    begins = np.concatenate([np.zeros(1, np.int64), text.ends[:-1]])
    lengths = text.ends - begins
    class_sizes = (lengths[:, None] + distance - 1 - np.arange(distance)[None, :]) // distance
    ends = np.cumsum(class_sizes)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]]).reshape(-1, distance)
    inside = np.arange(len(text.ids)) - np.repeat(begins, lengths)
    document = np.repeat(np.arange(len(lengths)), lengths)
    moved = np.empty_like(text.ids)
    moved[starts[document, inside % distance] + inside // distance] = text.ids
    return moved, ends
