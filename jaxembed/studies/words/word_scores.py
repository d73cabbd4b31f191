"""Scores of word vectors as redraws of the items, the same redraws for every model: differences are paired."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from ...observables.analogies import answer_analogies
from ...words import Questions, SimilarityPairs, WordVectors
from ...words.analogy import TIE, without_query_words

ANALOGIES = "analogies"
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Items:
    """What vectors of one vocabulary can be asked: questions and pairs whose words are all there.

    Attributes:
        questions: `[example, 4]`, ids of the covered analogy questions.
        ends: `[example, 2]`, numbers of the word pairs (a, b) and (c, d) of each question; sections share none.
        sections: `[example]`, number of each question's section.
        pairs: by file, `[example, 2]`, ids of the covered pairs.
        human: by file, `[example]`, their human scores.
        asked: by measure, questions or pairs of the file.
    """

    questions: Int[np.ndarray, "example 4"]
    ends: Int[np.ndarray, "example 2"]
    sections: Int[np.ndarray, " example"]
    pairs: dict[str, Int[np.ndarray, "example 2"]]
    human: dict[str, Float[np.ndarray, " example"]]
    asked: dict[str, int]

    @property
    def measures(self) -> tuple[str, ...]:
        return ANALOGIES, *self.pairs

    def covered(self, measure: str) -> int:
        """How many of them are asked here."""
        return len(self.questions if measure == ANALOGIES else self.pairs[measure])

    @cached_property
    def digest(self) -> str:
        """What tells these items from others."""
        found = hashlib.sha256(f"{self.asked}".encode())
        for numbers in (self.questions, self.ends, self.sections, *self.pairs.values(), *self.human.values()):
            found.update(numbers.tobytes())
        return found.hexdigest()[:16]

    @cached_property
    def weights(self) -> Float[np.ndarray, "seed example"]:
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

    def drawn_pairs(self, measure: str) -> Int[np.ndarray, "seed example"]:
        """Resamples of the pairs of a file."""
        count = self.covered(measure)
        return np.random.default_rng(0).integers(count, size=(DRAWS, count))


def items(
    words: tuple[str, ...], questions: Questions, files: dict[str, SimilarityPairs], top: int | None = 30_000
) -> Items:
    """What a vocabulary, the most frequent words first, can be asked.

    Args:
        words: of the vocabulary.
        questions: analogies, lower-cased; those with a word beyond the first `top` are not asked.
        files: similarity, by name.
        top: words searched for the answer of an analogy.

    Raises:
        ValueError: where no question, or no pair of a file, is covered.
    """
    known = {word: place for place, word in enumerate(words)}
    numbers: dict[tuple[str, str, str], int] = {}
    rows, ends, sections = [], [], []
    for number, (section, asked) in enumerate(questions.sections.items()):
        for question in asked:
            ids = [known.get(word, len(words)) for word in question]
            if max(ids) < min(top or len(words), len(words)):
                rows.append(ids)
                sections.append(number)
                both = ((section, *question[:2]), (section, *question[2:]))
                ends.append([numbers.setdefault(pair, len(numbers)) for pair in both])
    if not rows:
        raise ValueError(f"{questions.name}: none of its {len(questions):,} questions has all its words; ask others")
    pairs, human = {}, {}
    for name, file in files.items():
        there = [k for k, (a, b) in enumerate(file.pairs) if a in known and b in known]
        if len(there) < 3:
            raise ValueError(f"{name}: {len(there)} of its {len(file):,} pairs have both words; ask others")
        pairs[name] = np.array([[known[word] for word in file.pairs[k]] for k in there], np.int64)
        human[name] = file.scores[there]
    asked = {ANALOGIES: len(questions)} | {name: len(file) for name, file in files.items()}
    ids, numbered, places = (np.array(found, np.int64) for found in (rows, ends, sections))
    return Items(ids, numbered, places, pairs, human, asked)


def answers(vectors: WordVectors, asked: Items, top: int | None = 30_000) -> dict[str, np.ndarray]:
    """By measure: which questions were won (3CosAdd, unit vectors, query words left out, ties lost), or cosines.

    A question whose answer is one of its query words is lost, as in `score_analogies`.
    """
    found = answer_analogies(vectors.matrix[:top], without_query_words(asked.questions), tie=TIE)
    result: dict[str, np.ndarray] = {ANALOGIES: np.asarray(found.won).astype(np.float64)}
    length = np.linalg.norm(vectors.matrix.astype(np.float64), axis=1)
    unit = vectors.matrix / np.where(length > 0, length, 1)[:, None]
    return result | {name: np.sum(unit[ids[:, 0]] * unit[ids[:, 1]], axis=1) for name, ids in asked.pairs.items()}


@dataclass(frozen=True, eq=False)
class Score:
    """A score of a model: a share of won questions, or a rank correlation.

    Attributes:
        seeds: `[seed]`, of each training.
        draws: `[seed]`, the mean over trainings in every redraw of the items; the same redraws for all models.
    """

    seeds: Float[np.ndarray, " seed"]
    draws: Float[np.ndarray, " time"]

    @property
    def mean(self) -> float:
        return float(self.seeds.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, over redraws of the items."""
        return bounds(self.draws)


def bounds(draws: Float[np.ndarray, " time"]) -> tuple[float, float]:
    """95 % quantiles; NaN where a draw is undefined."""
    if not np.isfinite(draws).all():
        return float("nan"), float("nan")
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def score(measure: str, found: list[np.ndarray], asked: Items) -> Score:
    """The score of answers of one or several trainings."""
    if measure == ANALOGIES:
        total = np.maximum(asked.weights.sum(axis=1), 1)
        draws = [asked.weights @ won.astype(np.float32) / total for won in found]
        return Score(np.array([won.mean() for won in found]), np.mean(draws, axis=0).astype(np.float64))
    human, drawn = asked.human[measure], asked.drawn_pairs(measure)
    ranked = rankdata(human[drawn], axis=1)
    draws = [_rows_correlation(rankdata(cosines[drawn], axis=1), ranked) for cosines in found]
    whole = [_rows_correlation(rankdata(x)[None], rankdata(human)[None])[0] for x in found]
    return Score(np.array(whole), np.mean(draws, axis=0))


def _rows_correlation(
    one: Float[np.ndarray, "seed example"], other: Float[np.ndarray, "seed example"]
) -> Float[np.ndarray, " seed"]:
    """Pearson correlation row by row; NaN where a row does not vary."""
    one, other = (rows - rows.mean(axis=1, keepdims=True) for rows in (one, other))
    size = np.sqrt(np.sum(one**2, axis=1) * np.sum(other**2, axis=1))
    return np.where(size > 0, np.sum(one * other, axis=1) / np.where(size > 0, size, 1), np.nan)


def redrawn_difference(one: Score, other: Score) -> tuple[float, float, float, Bool[np.ndarray, ""]]:
    """Mean difference of two models, its 95 % interval over the same redraws, and whether all trainings agree."""
    apart = one.seeds[:, None] - other.seeds[None, :]
    agree = np.all(apart > 0) | np.all(apart < 0)
    return one.mean - other.mean, *bounds(one.draws - other.draws), np.asarray(agree)
