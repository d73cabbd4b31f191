"""Families of word pairs: do their offsets point one way, and how far does their task vector stand out?"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ..base import generator
from ..text import UNDEFINED, number
from .questions import Questions
from .vectors import WordVectors

Pairs = tuple[tuple[str, str], ...]


def pairs_of(questions: Questions) -> dict[str, Pairs]:
    """The distinct word pairs (a, b) behind the questions of every section; of several right answers the first.

    >>> pairs_of(Questions("few", {"family": (("king", "queen", "man", "woman"), ("man", "woman", "king", "queen"))}))
    {'family': (('king', 'queen'), ('man', 'woman'))}
    """
    cut = "/" if questions.form == "bats" else None
    return {
        name: tuple(dict.fromkeys(pair for a, b, c, d in section for pair in ((a, b), (c, d.split(cut)[0]))))
        for name, section in questions.sections.items()
    }


def covered_pairs(vectors: WordVectors, pairs: Pairs) -> Int[np.ndarray, "example 2"]:
    """Ids of both words of the pairs whose words are there.

    Raises:
        ValueError: where no pair is covered: a score over nothing is none.
    """
    there = [(vectors.ids[a], vectors.ids[b]) for a, b in pairs if a in vectors.ids and b in vectors.ids]
    if not there:
        raise ValueError(
            f"pairs: none of the {len(pairs)} has both words among the {len(vectors.words):,}; "
            "choose a family, or the case, of the vectors' words"
        )
    return np.array(there, np.int64)


@dataclass(frozen=True, eq=False)
class OffsetConsistency:
    """Mean cosine between the offsets of a family, over pairs of word pairs.

    Attributes:
        value: of the family; NaN with fewer than two offsets that have a direction.
        null: `[draw]`, the same after every shuffle of the partners among the pairs. A shuffle keeps the mean offset,
            so this is what the family's two kinds of words give whoever is paired with whom; it is not zero.
        covered: pairs whose words are both there.
        pairs: of the family.
    """

    value: float
    null: Float[np.ndarray, " draw"]
    covered: int
    pairs: int

    @property
    def excess(self) -> float:
        """How far the family stands above the mean of its shuffles."""
        return self.value - float(np.mean(self.null))

    @property
    def p_value(self) -> float:
        """Share of the shuffles that reach the value, the family itself counted in; NaN where it is undefined."""
        if np.isnan(self.value):
            return float("nan")
        return float((1 + np.sum(self.null >= self.value)) / (1 + len(self.null)))

    def __str__(self) -> str:
        pairs = f"{self.covered} of {self.pairs} pairs"
        if np.isnan(self.value):
            return f"{UNDEFINED} ({pairs})"
        value, low, high = (number(x, ".2f") for x in (self.value, *np.quantile(self.null, (0.025, 0.975))))
        return f"{value} (shuffled partners {low} to {high}; {pairs})"


def offset_consistency(
    vectors: WordVectors, pairs: Pairs, *, unit: bool = True, shuffles: int = 200, key: PRNGKeyArray | int = 0
) -> OffsetConsistency:
    """Mean cosine between the offsets w_b - w_a of a family, beside that of shuffled partners.

    Args:
        vectors: a vector for every word.
        pairs: the family.
        unit: give word vectors unit length first, as analogies do.
        shuffles: of the partners b among the pairs.
        key: of the shuffles.

    Raises:
        ValueError: where no pair has both words among the vectors.

    >>> corners = np.array([[1, 1], [1, -1], [-2, 1], [-2, -1]], np.float32)
    >>> vectors = WordVectors(("king", "queen", "man", "woman"), corners)
    >>> family = (("king", "queen"), ("man", "woman"))
    >>> offset_consistency(vectors, family, unit=False, shuffles=1).value
    1.0
    """
    ids = covered_pairs(vectors, pairs)
    a, b = (vectors.matrix[ids[:, side]].astype(np.float64) for side in (0, 1))
    if unit:
        a, b = (_directions(side) for side in (a, b))
    rng = generator(key)
    null = np.array([_mean_cosine(b[rng.permutation(len(b))] - a) for _ in range(shuffles)])
    return OffsetConsistency(_mean_cosine(b - a), null, len(ids), len(pairs))


def _directions(rows: Float[np.ndarray, "example width"]) -> Float[np.ndarray, "example width"]:
    """Unit rows; a zero row stays zero."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)


def _mean_cosine(rows: Float[np.ndarray, "example width"]) -> float:
    """Over pairs of rows, by the length of the sum of their directions; zero rows have none and are left out."""
    unit = _directions(rows[np.any(rows != 0, axis=1)])
    count = len(unit)
    return float((np.sum(unit.sum(axis=0) ** 2) - count) / (count * (count - 1))) if count > 1 else float("nan")


@dataclass(frozen=True, eq=False)
class TaskVectors:
    """The offsets of a family as vectors, and the spectrum of their Gram matrix.

    Attributes:
        offsets: `[example, width]`, w_b - w_a of the covered pairs, vectors as they are (not of unit length).
        pairs: of the family.
    """

    offsets: Float[np.ndarray, "example width"]
    pairs: int

    @cached_property
    def spectrum(self) -> Float[np.ndarray, " example"]:
        """Eigenvalues of R R^T / d, the largest first."""
        return np.linalg.eigvalsh(self.offsets @ self.offsets.T / self.offsets.shape[1])[::-1]

    @cached_property
    def bulk(self) -> Float[np.ndarray, " example"]:
        """The same of the offsets less their mean: what is left when the task vector is taken out."""
        rest = self._rest
        return np.linalg.eigvalsh(rest @ rest.T / rest.shape[1])[::-1]

    @property
    def _rest(self) -> Float[np.ndarray, "example width"]:
        return self.offsets - self.offsets.mean(axis=0, keepdims=True)

    @property
    def noise(self) -> float:
        """sigma^2: mean square of an offset's deviation from the mean, per dimension (N - 1 in the denominator)."""
        count, width = self.offsets.shape
        return float(np.sum(self._rest**2) / ((count - 1) * width)) if count > 1 else float("nan")

    @property
    def dimensions(self) -> float:
        """Effective width of the noise, (tr S)^2 / tr S^2 for its covariance S: d where all directions are alike."""
        return _effective_width(self._rest)

    @property
    def strength(self) -> float:
        """l: squared length of the mean offset, times pairs, in units of the noise of all dimensions, less its own."""
        count, width = self.offsets.shape
        raised = count * np.sum(self.offsets.mean(axis=0) ** 2) / (width * self.noise)
        return float(max(raised - 1, 0))

    @property
    def snr(self) -> float:
        """Largest eigenvalue over the mean of those that can differ from zero: lam_max rank / trace."""
        total = float(np.sum(self.spectrum))
        return float(self.spectrum[0] * min(self.offsets.shape) / total) if total > 0 else float("nan")

    @property
    def mean_overlap(self) -> float:
        """|cosine| between the leading direction of the offsets and their mean: is the spike the task vector?"""
        mean = self.offsets.mean(axis=0)
        leading = np.linalg.svd(self.offsets, full_matrices=False)[2][0]
        length = np.linalg.norm(mean)
        return float(abs(leading @ mean) / length) if length > 0 else float("nan")


def _effective_width(rest: Float[np.ndarray, "example width"]) -> float:
    """(tr S)^2 / tr S^2 of the covariance behind deviations from a sample mean; NaN with fewer than four.

    The sample's own tr S^2 is far too large with few pairs; this estimate of it is unbiased for any distribution.

    Source: himeno2014estimations.
    """
    n, gram = len(rest), rest @ rest.T
    if n < 4:
        return float("nan")
    trace, square = np.trace(gram) / (n - 1), np.sum(gram**2) / (n - 1) ** 2
    fourth = np.sum(np.diag(gram) ** 2) / (n - 1)
    unbiased = (n - 1) / (n * (n - 2) * (n - 3)) * ((n - 1) * (n - 2) * square + trace**2 - n * fourth)
    return float(trace**2 / unbiased) if unbiased > 0 else float("nan")


def task_vectors(
    vectors: WordVectors, pairs: Pairs, width: int | None = None, *, shuffle: int | None = None
) -> TaskVectors:
    """The offsets of a family in the first columns of the vectors.

    Args:
        vectors: not of unit length; columns in order of their eigenvalue where a part of them is to be a smaller model.
        pairs: the family.
        width: columns kept; None for all.
        shuffle: seed by which partners are shuffled first (the null); None leaves them.

    Raises:
        ValueError: where no pair is covered, or there are not so many columns.
    """
    if width is not None and not 1 <= width <= vectors.width:
        raise ValueError(f"width: need 1..{vectors.width}, the columns there are, got {width}")
    ids = covered_pairs(vectors, pairs)
    a, b = (vectors.matrix[ids[:, side], :width].astype(np.float64) for side in (0, 1))
    if shuffle is not None:
        b = b[np.random.default_rng(shuffle).permutation(len(b))]
    return TaskVectors(b - a, len(pairs))


def task_vector_snr(
    vectors: WordVectors, pairs: Pairs, widths: Iterable[int], *, shuffle: int | None = None
) -> Float[np.ndarray, " width"]:
    """Signal-to-noise of a family's task vector against the width: lam_max(G) rank(G) / tr(G) of the offsets' Gram.

    Args:
        vectors: columns in order of their eigenvalue, so that the first d are the model of width d; not of unit length.
        pairs: the family.
        widths: d, each at most the width of the vectors.
        shuffle: seed of the null in which partners are shuffled.

    Raises:
        ValueError: as `task_vectors`.

    >>> corners = np.array([[1, 1], [1, -1], [-2, 1], [-2, -1]], np.float32)
    >>> family = (("king", "queen"), ("man", "woman"))
    >>> task_vector_snr(WordVectors(("king", "queen", "man", "woman"), corners), family, (2,)).tolist()
    [2.0]

    Source: karkada2025closed.
    """
    return np.array([task_vectors(vectors, pairs, width, shuffle=shuffle).snr for width in widths])
