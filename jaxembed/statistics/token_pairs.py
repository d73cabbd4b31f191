"""How often two tokens stand near each other: sparse, additive, mergeable counts of neighbours within documents."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer
from scipy.sparse import csr_array

from ..base import Progress, silent
from ..keep import read_arrays, write_arrays
from ..machine import GIB
from ._pair_sort import PairTable, Spans, count_table

BUDGET = 0.375 * GIB
"""Bytes that counting may take besides the counts themselves."""

ARRAYS = ("indptr", "indices", "data", "unigrams")
"""Names in a file, the first three of the CSR matrix."""


@dataclass(frozen=True, eq=False)
class TokenPairs:
    """Counts of ordered pairs of tokens; `a + b` are the counts of both corpora, exactly.

    Attributes:
        counts: `[token, token]`, CSR, int64: at (x, y) how often y stood at a distance of 1 .. `window` after x, in the
            same document.
        unigrams: `[token]`, int64, how often each token stood.
        window: the largest distance.
        documents: how many were counted.
        tokenizer: hash of the tokenizer, or empty where it is unknown; counts of different ones are never added.
    """

    counts: Any
    unigrams: Int[np.ndarray, " token"]
    window: int
    documents: int
    tokenizer: str = ""

    def __post_init__(self) -> None:
        if self.counts.shape != (self.vocab, self.vocab):
            raise ValueError(f"counts: need {self.vocab} x {self.vocab}, one row per unigram; got {self.counts.shape}")

    @property
    def vocab(self) -> int:
        return len(self.unigrams)

    @cached_property
    def firsts(self) -> Int[np.ndarray, " token"]:
        """How many pairs begin with each token; below `unigrams` times `window` where documents end."""
        return np.asarray(self.counts.sum(axis=1)).ravel()

    @cached_property
    def seconds(self) -> Int[np.ndarray, " token"]:
        """How many pairs end with each token."""
        return np.asarray(self.counts.sum(axis=0)).ravel()

    @property
    def total(self) -> int:
        """Number of pairs."""
        return int(self.firsts.sum())

    def __add__(self, other: "TokenPairs") -> "TokenPairs":
        return self._combined(other, 1)

    def __sub__(self, part: "TokenPairs") -> "TokenPairs":
        """What is left without a part that was counted in."""
        rest = self._combined(part, -1)
        rest.counts.eliminate_zeros()
        if rest.documents < 0 or rest.unigrams.min() < 0 or rest.counts.data.min(initial=0) < 0:
            raise ValueError("TokenPairs: the part holds more than the whole; subtract only what was added")
        return rest

    def _combined(self, other: "TokenPairs", sign: int) -> "TokenPairs":
        for name in ("vocab", "window", "tokenizer"):
            mine, others = getattr(self, name), getattr(other, name)
            if mine != others and (name != "tokenizer" or (mine and others)):
                raise ValueError(f"TokenPairs: {name} differs ({mine} and {others}); count both alike")
        counts = self.counts + other.counts if sign > 0 else self.counts - other.counts
        unigrams, documents = self.unigrams + sign * other.unigrams, self.documents + sign * other.documents
        return TokenPairs(counts, unigrams, self.window, documents, self.tokenizer or other.tokenizer)

    def equals(self, other: "TokenPairs") -> bool:
        """Whether every integer is the same."""
        if (self.window, self.documents) != (other.window, other.documents):
            return False
        return all(np.array_equal(a, b) for a, b in zip(self._arrays(), other._arrays(), strict=True))

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.counts.indptr, self.counts.indices, self.counts.data, self.unigrams

    def save(self, path: str | Path) -> None:
        """Write to an npz file, whatever its name ends in; a file of that name is replaced when all is written."""
        facts = {"window": self.window, "documents": self.documents, "tokenizer": self.tokenizer}
        write_arrays(Path(path), dict(zip(ARRAYS, self._arrays(), strict=True)) | facts)

    @staticmethod
    def load(path: str | Path) -> "TokenPairs":
        """Read what `save` wrote.

        Raises:
            ValueError: naming a file that holds no pair counts.
        """
        try:
            kept = read_arrays(Path(path))
            starts, indices, data, unigrams = (kept[name] for name in ARRAYS)
            facts = int(kept["window"]), int(kept["documents"]), str(kept["tokenizer"])
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"{path}: holds no pair counts ({error}); write them with `jaxembed count`") from None
        return _pairs(PairTable(starts, indices, data, unigrams), *facts)


def count_neighbours(
    ids: Integer[np.ndarray, " position"],
    ends: Integer[np.ndarray, " document"],
    vocab: int,
    *,
    window: int = 1,
    workers: int = 1,
    documents: Integer[np.ndarray, "..."] | None = None,
    budget: float | int = BUDGET,
    progress: Progress = silent,
) -> TokenPairs:
    """Count how often every token stands at a distance of 1 .. `window` after every other; documents are never crossed.

    Compiled loops where numba is installed (extra `text`), else numpy, several times slower: the same integers. The
    ids are read in place, whatever their integer type, so a memory-mapped corpus of any length will do.

    Args:
        ids: `[position]`, token ids, documents one after the other.
        ends: `[document]`, where each document ends (cumulative lengths).
        vocab: number of tokens.
        window: largest distance; 1 counts next tokens.
        workers: threads.
        documents: numbers of the documents to count; None counts all.
        budget: bytes of memory besides the result; less means more passes over the ids.
        progress: takes the share done.

    Returns:
        The counts; their matrix has sorted rows and 12 bytes for every distinct pair.

    Raises:
        ValueError: for an id outside the vocabulary (naming its position), an empty corpus, ends that do not match the
            ids, or `window` or `workers` below 1.

    >>> pairs = count_neighbours(np.array([0, 1, 1, 0, 1]), np.array([3, 5]), vocab=2)
    >>> print(pairs.counts.toarray().tolist())  # 0 1 1 | 0 1: nothing follows across the bar
    [[0, 2], [0, 1]]
    """
    spans = _checked(ids, ends, vocab, window, workers, documents)
    return _pairs(count_table(ids, spans, vocab, window, workers, budget, progress), window, len(spans.begins))


def merged(parts: Iterable[TokenPairs]) -> TokenPairs:
    """The sum of many counts, two by two, so that no large matrix is added many times.

    Raises:
        ValueError: where there are none, or they were counted differently.
    """
    waiting = list(parts)
    if not waiting:
        raise ValueError("parts: there are none to add; count at least one")
    while len(waiting) > 1:
        added = [a + b for a, b in zip(waiting[::2], waiting[1::2], strict=False)]
        waiting = added + waiting[2 * len(added) :]
    return waiting[0]


def counting_memory(pairs: int, vocab: int, *, budget: float | int = BUDGET, held: int = 1) -> float:
    """Bytes that counting takes at most besides the ids: 4 for every pair up to its budget, 12 for every distinct one.

    Args:
        pairs: tokens times window.
        vocab: number of tokens.
        budget: as in `count_neighbours`.
        held: how many counts there are at once; 3 where two are added.
    """
    return min(budget, 4.0 * pairs) + 12.0 * held * min(pairs, vocab * vocab) + 32.0 * vocab


def _pairs(table: PairTable, window: int, documents: int, tokenizer: str = "") -> TokenPairs:
    vocab = len(table.tokens)
    index = np.int64 if len(table.indices) > np.iinfo(np.int32).max else np.int32
    parts = (table.data, table.indices.astype(index, copy=False), table.starts.astype(index, copy=False))
    counts = csr_array(parts, shape=(vocab, vocab), copy=False)
    counts.has_canonical_format = True  # rows are written sorted, each column once
    return TokenPairs(counts, table.tokens, window, documents, tokenizer)


def _checked(
    ids: np.ndarray, ends: np.ndarray, vocab: int, window: int, workers: int, documents: np.ndarray | None
) -> Spans:
    for name, value in (("vocab", vocab), ("window", window), ("workers", workers)):
        if value < 1:
            raise ValueError(f"{name}: need at least 1, got {value}")
    if len(ids) == 0 or len(ends) == 0:
        raise ValueError("ids: the corpus is empty; there is nothing to count")
    stops = ends.astype(np.int64)
    begins = np.concatenate([np.zeros(1, np.int64), stops[:-1]])
    if stops[-1] != len(ids) or (stops < begins).any():
        raise ValueError(f"ends: need ascending ends, the last one at {len(ids)}, the number of ids; got {stops[-1]}")
    if documents is None:
        return Spans(begins, stops)
    chosen = np.unique(documents)
    if len(chosen) != len(documents) or len(chosen) == 0 or chosen[0] < 0 or chosen[-1] >= len(stops):
        raise ValueError(f"documents: need different numbers in 0..{len(stops) - 1}, at least one")
    return Spans(begins[chosen], stops[chosen])
