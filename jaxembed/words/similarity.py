"""Word similarity: rank correlation of cosines with human scores, over the pairs that are there."""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata
from scipy.stats import t as student

from ..observables import ends_within
from ..text import number, span
from ._spelling import folded
from .similarity_files import SimilarityPairs as SimilarityPairs
from .similarity_files import read_similarity as read_similarity
from .vectors import WordVectors

LEAST = 4
"""Different pairs below which their spread tells nothing: two of them always agree perfectly or not at all."""
LEMMA = re.compile(r"(.+)[-_][nvjar]")
"""A lemma with its part of speech, as in MEN's second form."""


@dataclass(frozen=True)
class SimilarityScore:
    """Spearman's rank correlation of cosines with human scores.

    Attributes:
        rho: over the covered pairs; NaN where one side does not vary.
        low: lower end of the 95 % interval over words; NaN below 4 different pairs, and where all pairs agree.
        high: upper end.
        covered: pairs whose words both have a vector with a direction.
        pairs: in the file.
        name: of the file.
        convention: how it was scored, in a sentence.
    """

    rho: float
    low: float
    high: float
    covered: int
    pairs: int
    name: str
    convention: str = ""

    def __str__(self) -> str:
        ends = "" if np.isnan(self.rho) else f" {span(self.low, self.high, '.3f') or 'interval undefined'}"
        return f"{self.name}: {number(self.rho, '.3f')}{ends}, {self.covered:,} of {self.pairs:,} pairs"


def looked_up(pairs: SimilarityPairs) -> set[str]:
    """All words by which the pairs may be looked up: as they are, and without the parts of speech of lemmas."""
    return {word for found in (pairs.pairs, _without_suffix(pairs.pairs)) for pair in found for word in pair}


def _without_suffix(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The pairs without the suffixes -n, -v, -j of lemmas, if all words have one; else none."""
    bare = [[LEMMA.fullmatch(word) for word in pair] for pair in pairs]
    if not all(one and other for one, other in bare):
        return ()
    return tuple((one[1], other[1]) for one, other in bare if one and other)


def score_similarity(vectors: WordVectors, pairs: SimilarityPairs) -> SimilarityScore:
    """Spearman's correlation of cosines with human scores over the covered pairs; ties share their mean rank.

    Pairs that share a word are no independent draws, so that the interval is over words: the variance is that of a sum
    over pairs in which all pairs of a word go together, V = (sum over words of u_w^2 - sum over pairs of psi_p^2) / n^2
    with psi the influence of a pair on the correlation and u_w the sum over the pairs of a word; it is at least that of
    independent pairs. Fisher's transformation keeps the interval in -1..1. It takes words and pairs as draws from many.
    (A bootstrap that redraws words counts the noise of single pairs two or three times: its intervals are too wide.)

    Args:
        vectors: a vector for every word; where the pairs are uncased, words that differ in case only are one, the
            first of them.
        pairs: with their human scores. Where none is there as it is and all words end like lemmas (dog-n), they are
            looked up without that ending.

    Raises:
        ValueError: where no pair is covered.

    >>> rows = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    >>> human = SimilarityPairs("three", (("sun", "moon"), ("sun", "tax"), ("moon", "tax")), np.array([9.0, 1.0, 2.0]))
    >>> score_similarity(WordVectors(("sun", "moon", "tax"), rows), human).rho
    1.0

    Source: aronow2015cluster, cameron2011robust, fisher1921probable.
    """
    vectors = vectors if pairs.cased else folded(vectors)
    ids, kept = _covered(vectors, pairs.pairs)
    taken_off = ""
    if not len(ids) and (bare := _without_suffix(pairs.pairs)):
        ids, kept = _covered(vectors, bare)
        taken_off = ", suffixes of lemmas (such as -n) taken off"
    if not len(ids):
        raise ValueError(
            f"{pairs.name}: none of its {len(pairs):,} pairs has both words among the {len(vectors.words):,}; a score "
            "needs at least one, check language and case"
        )
    rho, influence = _spearman(_cosines(vectors, ids), pairs.scores[kept])
    low, high = _interval(rho, influence, ids)
    case = "cased" if pairs.cased else "lower-cased"
    convention = (
        f"Spearman over the pairs whose words both have vectors, ties at their mean rank, {case}{taken_off}; 95 % "
        "interval over words, since pairs share them"
    )
    return SimilarityScore(rho, low, high, len(ids), len(pairs), pairs.name, convention)


def _covered(
    vectors: WordVectors, pairs: tuple[tuple[str, str], ...]
) -> tuple[Int[np.ndarray, "example 2"], Int[np.ndarray, " example"]]:
    """Ids of the pairs that have two directions to compare, and where they stand."""
    known = vectors.ids
    rows = [(known[a], known[b], place) for place, (a, b) in enumerate(pairs) if a in known and b in known]
    table = np.array(rows, np.int64).reshape(-1, 3)
    table = table[np.all(np.any(vectors.matrix[table[:, :2]] != 0, axis=2), axis=1)]
    return table[:, :2], table[:, 2]


def _cosines(vectors: WordVectors, ids: Int[np.ndarray, "example 2"]) -> Float[np.ndarray, " example"]:
    one, other = (vectors.matrix[ids[:, side]].astype(np.float64) for side in (0, 1))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.sum(one * other, axis=1) / lengths


def _spearman(
    one: Float[np.ndarray, " example"], other: Float[np.ndarray, " example"]
) -> tuple[float, Float[np.ndarray, " example"]]:
    """The correlation of ranks, and the influence of each pair on it; NaN where a side does not vary.

    A pair acts on the products of ranks by its own, and by moving the ranks of those that lie above it.
    """
    count = len(one)
    x, y = (rankdata(side) / count - (count + 1) / (2 * count) for side in (one, other))
    xy, xx, yy = x @ y / count, x @ x / count, y @ y / count
    if xx == 0 or yy == 0:
        return float("nan"), np.full(count, np.nan)
    rho = xy / np.sqrt(xx * yy)
    moved = {"xy": _moved(x, y) + _moved(y, x), "xx": 2 * _moved(x, x), "yy": 2 * _moved(y, y)}
    influence = (x * y + moved["xy"]) / np.sqrt(xx * yy)
    influence -= rho / 2 * ((x**2 + moved["xx"]) / xx + (y**2 + moved["yy"]) / yy)
    return float(rho), influence - influence.mean()


def _moved(ranks: Float[np.ndarray, " example"], other: Float[np.ndarray, " example"]) -> Float[np.ndarray, " example"]:
    """For every pair the mean of `other` over those above it, and half of it over those that tie."""
    _, place = np.unique(ranks, return_inverse=True)
    sums = np.bincount(place, other)
    return (sums.sum() - np.cumsum(sums) + sums / 2)[place] / len(other)


def _interval(
    rho: float, influence: Float[np.ndarray, " example"], ids: Int[np.ndarray, "example 2"]
) -> tuple[float, float]:
    """Fisher's interval with the variance of pairs that share words."""
    words, place = np.unique(ids, return_inverse=True)
    place = place.reshape(-1, 2)
    _, same = np.unique(np.sort(place, axis=1), axis=0, return_inverse=True)
    alone = np.bincount(same.ravel(), influence)
    if not abs(rho) < 1 - 1e-12 or len(alone) < LEAST:
        return float("nan"), float("nan")
    apart = place[:, 0] != place[:, 1]
    of_words = np.bincount(place[:, 0], influence, len(words)) + np.bincount(
        place[apart, 1], influence[apart], len(words)
    )
    twice = np.bincount(same.ravel()[apart], influence[apart], len(alone))
    together = (of_words @ of_words - twice @ twice) * len(words) / (len(words) - 1)
    error = np.sqrt(max(together, alone @ alone)) / len(ids)
    low, high = ends_within(rho, float(student.ppf(0.975, len(words) - 1)) * error, (-1, 1))
    return float(low), float(high)
