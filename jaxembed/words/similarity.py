"""Word similarity: rank correlation of cosines with human scores, over the pairs that are there."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ..base import generator
from ..text import number, span
from ._spelling import OnError, folded, numbered_lines, spelt
from .vectors import WordVectors

LEAST = 4
"""Pairs below which resampling tells nothing: two of them always agree perfectly or not at all."""
CELLS = 1 << 20
"""Resampled pairs that are held at once."""


@dataclass(frozen=True, eq=False)
class SimilarityPairs:
    """Word pairs with human scores, in the file's order; a pair that stands there twice counts twice.

    Attributes:
        name: of the file.
        pairs: of words.
        scores: `[example]`, the human score of each pair.
        damaged: rows that were left out: line number and what is wrong.
        cased: whether words are as in the file; else they are in lower case.
    """

    name: str
    pairs: tuple[tuple[str, str], ...]
    scores: Float[np.ndarray, " example"]
    damaged: tuple[tuple[int, str], ...] = ()
    cased: bool = False

    def __len__(self) -> int:
        return len(self.pairs)

    def note(self) -> str:
        """What was read and what was left out, in a sentence."""
        read = f"{self.name}: {len(self):,} pairs"
        if not self.damaged:
            return read
        line, why = self.damaged[0]
        return f"{read}; left out: {len(self.damaged)} malformed rows (the first: line {line}, {why})"


@dataclass(frozen=True)
class SimilarityScore:
    """Spearman's rank correlation of cosines with human scores.

    Attributes:
        rho: over the covered pairs; NaN where one side does not vary.
        low: lower end of the 95 % interval over resampled pairs; NaN below 4 pairs, whose resamples mostly repeat.
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


def read_similarity(path: str | Path, on_error: OnError = "skip", *, cased: bool = False) -> SimilarityPairs:
    """Read rows of two words and a number, separated by tabs, commas, semicolons or blanks.

    Args:
        path: the file; further columns are left alone.
        on_error: "skip" malformed rows and list them, or "stop" at the first. A heading is such a row.
        cased: keep upper and lower case apart; otherwise all is put in lower case.

    Raises:
        ValueError: where the path is no file, no row is a pair, or at a malformed row if asked to stop.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f"{path}: does not exist; name a file of word pairs with scores")
    pairs, scores, damaged = [], [], []
    for line, text in numbered_lines(path):
        if text is not None and not text.strip():
            continue
        row, why = _row(text, cased)
        if row is not None:
            pairs.append(row[0])
            scores.append(row[1])
        elif on_error == "stop":
            raise ValueError(f"{path}:{line}: {why}; mend the row, or skip malformed rows")
        else:
            damaged.append((line, why))
    if not pairs:
        bad = f"; {len(damaged)} malformed rows, the first: line {damaged[0][0]}, {damaged[0][1]}" if damaged else ""
        raise ValueError(f"{path}: holds no row of two words and a score{bad}")
    return SimilarityPairs(path.stem, tuple(pairs), np.array(scores, np.float64), tuple(damaged), cased)


def _row(text: str | None, cased: bool) -> tuple[tuple[tuple[str, str], float] | None, str]:
    if text is None:
        return None, "is not UTF-8"
    separator = next((sign for sign in "\t;," if sign in text), None)
    cells = [cell.strip() for cell in text.split(separator)]
    if len(cells) < 3 or not (cells[0] and cells[1]):
        return None, f"has {len(cells)} columns, needs two words and a score"
    try:
        score = float(cells[2])
    except ValueError:
        return None, f"score {cells[2]!r} is no number"
    if not np.isfinite(score):
        return None, f"score {cells[2]!r} is not finite"
    return ((spelt(cells[0], cased), spelt(cells[1], cased)), score), ""


def score_similarity(
    vectors: WordVectors, pairs: SimilarityPairs, *, resamples: int = 1000, key: PRNGKeyArray | int = 0
) -> SimilarityScore:
    """Spearman's correlation of cosines with human scores over the covered pairs; ties share their mean rank.

    Args:
        vectors: a vector for every word; where the pairs are uncased, words that differ in case only are one, the
            first of them.
        pairs: with their human scores.
        resamples: of the pairs, for the interval; 0 leaves it undefined, and so do fewer than 4 covered pairs.
        key: of the resampling.

    Raises:
        ValueError: where no pair is covered.

    >>> rows = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    >>> human = SimilarityPairs("three", (("sun", "moon"), ("sun", "tax"), ("moon", "tax")), np.array([9.0, 1.0, 2.0]))
    >>> score_similarity(WordVectors(("sun", "moon", "tax"), rows), human, resamples=0).rho
    1.0
    """
    from scipy.stats import spearmanr

    vectors = vectors if pairs.cased else folded(vectors)
    ids, kept = _covered(vectors, pairs)
    if not len(ids):
        raise ValueError(
            f"{pairs.name}: none of its {len(pairs):,} pairs has both words among the {len(vectors.words):,}; a score "
            "needs at least one, check language and case"
        )
    cosines, human = _cosines(vectors, ids), pairs.scores[kept]
    varied = len(ids) > 1 and np.ptp(cosines) > 0 and np.ptp(human) > 0
    rho = float(np.asarray(spearmanr(cosines, human))[0]) if varied else float("nan")
    low, high = _interval(cosines, human, resamples if varied and len(ids) >= LEAST else 0, key)
    case = "cased" if pairs.cased else "lower-cased"
    convention = (
        f"Spearman over the pairs whose words both have vectors, ties at their mean rank, {case}, "
        f"{len(vectors.words):,} words; 95 % interval over {resamples:,} resamples of the pairs, which share words"
    )
    return SimilarityScore(rho, low, high, len(ids), len(pairs), pairs.name, convention)


def _covered(
    vectors: WordVectors, pairs: SimilarityPairs
) -> tuple[Int[np.ndarray, "example 2"], Int[np.ndarray, " example"]]:
    """Ids of the pairs that have two directions to compare, and where they stand."""
    known = vectors.ids
    rows = [(known[a], known[b], place) for place, (a, b) in enumerate(pairs.pairs) if a in known and b in known]
    table = np.array(rows, np.int64).reshape(-1, 3)
    table = table[np.all(np.any(vectors.matrix[table[:, :2]] != 0, axis=2), axis=1)]
    return table[:, :2], table[:, 2]


def _cosines(vectors: WordVectors, ids: Int[np.ndarray, "example 2"]) -> Float[np.ndarray, " example"]:
    one, other = (vectors.matrix[ids[:, side]].astype(np.float64) for side in (0, 1))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.sum(one * other, axis=1) / lengths


def _interval(
    one: Float[np.ndarray, " example"], other: Float[np.ndarray, " example"], resamples: int, key: PRNGKeyArray | int
) -> tuple[float, float]:
    """Quantiles of the correlation of ranks over resamples; those in which a side does not vary are left out."""
    rng, rho = generator(key), []
    at_once = max(1, CELLS // len(one))
    for begin in range(0, resamples, at_once):
        drawn = rng.integers(len(one), size=(min(at_once, resamples - begin), len(one)))
        rho += _rank_correlations(one[drawn], other[drawn])
    if not rho:
        return float("nan"), float("nan")
    low, high = np.quantile(rho, (0.025, 0.975))
    return float(low), float(high)


def _rank_correlations(one: Float[np.ndarray, "draw example"], other: Float[np.ndarray, "draw example"]) -> list[float]:
    """Spearman's correlation row by row, where both sides vary."""
    from scipy.stats import rankdata

    one, other = (rankdata(rows, axis=1) for rows in (one, other))
    one, other = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (one, other))
    size = np.sqrt(np.sum(one**2, axis=1) * np.sum(other**2, axis=1))
    return (np.sum(one * other, axis=1)[size > 0] / size[size > 0]).tolist()
