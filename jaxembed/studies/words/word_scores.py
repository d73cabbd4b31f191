"""Scores of word vectors as redraws of the items, the same redraws for every model: differences are paired."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from ...keep import digest
from ...observables.analogies import answer_analogies
from ...words import Questions, SimilarityPairs, WordVectors
from ...words.analogy import TIE, without_query_words

ANALOGIES = "analogies"
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class WordItems:
    """Questions and pairs whose words all have a vector.

    Attributes:
        questions: `[example, 4]`, ids of the covered analogy questions.
        ends: `[example, 2]`, numbers of the word pairs (a, b) and (c, d) of each question; sections share none.
        sections: `[example]`, number of each question's section.
        pairs: by file, `[example, 2]`, ids of the covered pairs.
        human: by file, `[example]`, their human scores.
        total: by measure, questions or pairs of the file.
    """

    questions: Int[np.ndarray, "example 4"]
    ends: Int[np.ndarray, "example 2"]
    sections: Int[np.ndarray, " example"]
    pairs: dict[str, Int[np.ndarray, "example 2"]]
    human: dict[str, Float[np.ndarray, " example"]]
    total: dict[str, int]

    @property
    def covered(self) -> dict[str, int]:
        """By measure, how many of them are here."""
        return {ANALOGIES: len(self.questions)} | {name: len(ids) for name, ids in self.pairs.items()}

    @cached_property
    def digest(self) -> str:
        """What tells these items from others."""
        arrays = (self.questions, self.ends, self.sections, *self.pairs.values(), *self.human.values())
        return digest(f"{self.total}", *arrays)[:16]

    @cached_property
    def weights(self) -> Float[np.ndarray, "draw example"]:
        """How often each question is there when the pairs of every section are redrawn, as in `score_analogies`."""
        rng = np.random.default_rng(0)
        weights = np.empty((DRAWS, len(self.questions)), np.float32)
        for section in np.unique(self.sections):
            inside = self.sections == section
            numbers, ends = np.unique(self.ends[inside], return_inverse=True)
            drawn = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), DRAWS)
            first, second = ends.reshape(-1, 2).T
            weights[:, inside] = drawn[:, first] * drawn[:, second]
        return weights


def word_items(
    words: tuple[str, ...], questions: Questions, files: dict[str, SimilarityPairs], top: int | None = 30_000
) -> WordItems:
    """The items that a vocabulary, the most frequent words first, covers.

    Args:
        words: of the vocabulary.
        questions: analogies, lower-cased; those with a word beyond the first `top` are left out.
        files: similarity, by name.
        top: words searched for the answer of an analogy.

    Raises:
        ValueError: where no question, or no pair of a file, is covered.
    """
    known = {word: place for place, word in enumerate(words)}
    last = min(top or len(words), len(words))
    covered = [
        (number, section, question)
        for number, (section, whole) in enumerate(questions.sections.items())
        for question in whole
        if all(known.get(word, last) < last for word in question)
    ]
    if not covered:
        raise ValueError(f"{questions.name}: none of its {len(questions):,} questions has all its words; ask others")
    numbers: dict[tuple[str, ...], int] = {}
    ends = [
        [numbers.setdefault((section, *pair), len(numbers)) for pair in (question[:2], question[2:])]
        for _, section, question in covered
    ]
    pairs, human = {}, {}
    for name, file in files.items():
        there = [k for k, (a, b) in enumerate(file.pairs) if a in known and b in known]
        if len(there) < 3:
            raise ValueError(f"{name}: {len(there)} of its {len(file):,} pairs have both words; ask others")
        pairs[name] = np.array([[known[word] for word in file.pairs[k]] for k in there], np.int64)
        human[name] = file.scores[there]
    total = {ANALOGIES: len(questions)} | {name: len(file) for name, file in files.items()}
    ids = np.array([[known[word] for word in question] for *_, question in covered], np.int64)
    sections = np.array([number for number, *_ in covered], np.int64)
    return WordItems(ids, np.array(ends, np.int64), sections, pairs, human, total)


def answers(vectors: WordVectors, items: WordItems, top: int | None = 30_000) -> dict[str, np.ndarray]:
    """By measure: which questions were won (3CosAdd, unit vectors, query words left out, ties lost), or cosines.

    A question whose answer is one of its query words is lost, as in `score_analogies`.
    """
    won = answer_analogies(vectors.matrix[:top], without_query_words(items.questions), tie=TIE).won
    length = np.linalg.norm(vectors.matrix.astype(np.float64), axis=1)
    unit = vectors.matrix / np.where(length > 0, length, 1)[:, None]
    cosines = {name: np.sum(unit[ids[:, 0]] * unit[ids[:, 1]], axis=1) for name, ids in items.pairs.items()}
    return {ANALOGIES: np.asarray(won).astype(np.float64)} | cosines


@dataclass(frozen=True, eq=False)
class Score:
    """A score of a model: a share of won questions, or a rank correlation.

    Attributes:
        seeds: `[seed]`, of each training.
        draws: `[draw]`, the mean over trainings in every redraw of the items; the same redraws for all models.
    """

    seeds: Float[np.ndarray, " seed"]
    draws: Float[np.ndarray, " draw"]

    @property
    def mean(self) -> float:
        return float(self.seeds.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, over redraws of the items; NaN where a draw is undefined."""
        if not np.isfinite(self.draws).all():
            return float("nan"), float("nan")
        low, high = np.quantile(self.draws, (0.025, 0.975))
        return float(low), float(high)

    def above(self, worse: "Score") -> "Score":
        """The difference of two models, for every pair of trainings and in every redraw of the items."""
        return Score((self.seeds[:, None] - worse.seeds[None, :]).ravel(), self.draws - worse.draws)

    @property
    def decided(self) -> bool:
        """Of a difference: whether its interval excludes 0 and all trainings agree."""
        low, high = self.interval
        agree = bool(np.all(self.seeds > 0) | np.all(self.seeds < 0))
        return agree and (low > 0 or high < 0)


def score(measure: str, found: list[np.ndarray], items: WordItems) -> Score:
    """The score of answers of one or several trainings."""
    if measure == ANALOGIES:
        total = np.maximum(items.weights.sum(axis=1), 1)
        draws = [items.weights @ won.astype(np.float32) / total for won in found]
        return Score(np.array([won.mean() for won in found]), np.mean(draws, axis=0).astype(np.float64))
    human, count = items.human[measure], items.covered[measure]
    drawn = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    ranked = rankdata(human[drawn], axis=1)
    draws = [_row_correlations(rankdata(cosines[drawn], axis=1), ranked) for cosines in found]
    whole = [_row_correlations(rankdata(x)[None], rankdata(human)[None])[0] for x in found]
    return Score(np.array(whole), np.mean(draws, axis=0))


def _row_correlations(
    a: Float[np.ndarray, "draw example"], b: Float[np.ndarray, "draw example"]
) -> Float[np.ndarray, " draw"]:
    """Pearson correlation row by row; NaN where a row does not vary."""
    a, b = (rows - rows.mean(axis=1, keepdims=True) for rows in (a, b))
    size = np.sqrt(np.sum(a**2, axis=1) * np.sum(b**2, axis=1))
    return np.where(size > 0, np.sum(a * b, axis=1) / np.where(size > 0, size, 1), np.nan)
