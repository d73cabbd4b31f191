"""Sampling error of pair counts. Documents are the independent draws; tokens of one document are not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float, Integer, PRNGKeyArray
from scipy import stats

from ..base import generator
from .token_pairs import TokenPairs, count_neighbours, merged

Number = Float[np.ndarray, "..."]


class Estimate(NamedTuple):
    """A statistic of the whole corpus with its standard error over documents; NaN where it is undefined in some part.

    `parts` of documents were left out, one at a time.
    """

    value: Number
    standard_error: Number
    parts: int

    def interval(self, level: float = 0.95) -> tuple[Number, Number]:
        """Lower and upper end of the interval, by Student's t with parts - 1 degrees of freedom."""
        reach = stats.t.ppf((1 + level) / 2, self.parts - 1) * self.standard_error
        return np.asarray(self.value - reach), np.asarray(self.value + reach)


@dataclass(frozen=True, eq=False)
class PairParts:
    """Pair counts of disjoint parts of documents, drawn at random, so that any resample is a sum of parts.

    Attributes:
        parts: counts of each; they hold equally many documents, or one more.
    """

    parts: tuple[TokenPairs, ...]

    def __len__(self) -> int:
        return len(self.parts)

    @cached_property
    def total(self) -> TokenPairs:
        """Counts of all documents."""
        return merged(self.parts)

    def without(self, part: int) -> TokenPairs:
        """Counts of all documents but one part."""
        return self.total - self.parts[part]

    def subsample(self, parts: int, key: PRNGKeyArray | int) -> TokenPairs:
        """Counts of some parts, drawn without replacement: a smaller corpus."""
        if not 1 <= parts <= len(self):
            raise ValueError(f"parts: need 1..{len(self)}, got {parts}")
        return merged(self.parts[k] for k in generator(key).permutation(len(self))[:parts])

    def bootstrap(self, key: PRNGKeyArray | int) -> TokenPairs:
        """Counts of as many parts, drawn with replacement: a corpus as it might have been."""
        drawn = generator(key).integers(len(self), size=len(self))
        return merged(self.parts[k] for k in drawn)


def count_in_parts(
    ids: Integer[np.ndarray, " position"],
    ends: Integer[np.ndarray, " document"],
    vocab: int,
    *,
    parts: int = 20,
    key: PRNGKeyArray | int = 0,
    **options: Any,
) -> PairParts:
    """Count neighbours in random parts of the documents; their sum is `count_neighbours` of all.

    Args:
        ids: `[position]`, token ids; read in place.
        ends: `[document]`, where each document ends.
        vocab: number of tokens.
        parts: how many; 20 give a standard error that is itself known to about 16 %.
        key: which documents go together. At random, so that a corpus sorted by source has no parts unlike the rest.
        **options: `window`, `workers`, `budget` of `count_neighbours`.

    Raises:
        ValueError: where there are fewer documents than parts, or what `count_neighbours` refuses.
    """
    if not 2 <= parts <= len(ends):
        raise ValueError(f"parts: need 2 to {len(ends)}, the number of documents, got {parts}; documents stay whole")
    shares = np.array_split(generator(key).permutation(len(ends)), parts)
    counted = (count_neighbours(ids, ends, vocab, documents=np.sort(share), **options) for share in shares)
    return PairParts(tuple(counted))


def standard_error(parts: PairParts, statistic: Callable[[TokenPairs], ArrayLike]) -> Estimate:
    """Standard error of any smooth statistic of pair counts over documents: the jackknife, leaving out part by part.

    Equation: se^2 = (K - 1)/K sum over k of (f without part k - mean of these)^2, for K parts.

    One corpus-sized count and two arrays of the statistic's shape are held at a time.

    Args:
        parts: counts of parts of documents.
        statistic: a number or an array of pair counts, such as `lambda pairs: next_rows(pairs).select(tokens).dense()`.

    >>> ids, ends = np.array([0, 1, 0, 0, 0, 1, 1, 0]), np.array([2, 4, 6, 8])
    >>> parts = count_in_parts(ids, ends, vocab=2, parts=4)
    >>> found = standard_error(parts, lambda pairs: pairs.counts[0, 1] / pairs.total)  # 1, 0, 1, 0 of the documents
    >>> print(float(found.value), round(float(found.standard_error), 3))
    0.5 0.289

    Source: efron1981jackknife.
    """
    mean, squares = np.zeros(()), np.zeros(())
    for k in range(len(parts)):
        value = np.asarray(statistic(parts.without(k)), np.float64)
        step = value - mean
        mean = mean + step / (k + 1)
        squares = squares + step * (value - mean)
    error = np.asarray(np.sqrt(squares * (len(parts) - 1) / len(parts)))
    return Estimate(np.asarray(statistic(parts.total), np.float64), error, len(parts))
