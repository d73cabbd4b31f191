"""Scores of word vectors with redraws of the items, the same redraws for every model: differences are paired."""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...keep import digest
from ...observables import spearman
from ...words import Questions, SimilarityPairs, WordVectors, score_analogies, score_similarity

ANALOGIES = "analogies"
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class WordItems:
    """What word vectors are asked: analogy questions, and pairs with human scores by name of their file."""

    questions: Questions
    files: dict[str, SimilarityPairs]

    @property
    def measures(self) -> tuple[str, ...]:
        return (ANALOGIES, *self.files)

    @cached_property
    def digest(self) -> str:
        """What tells these items from others."""
        files = [(name, file.pairs, file.scores.tolist()) for name, file in self.files.items()]
        return digest(f"{self.questions.sections} {files}")[:16]


def measured(vectors: WordVectors, items: WordItems, top: int | None = 30_000) -> dict[str, np.ndarray]:
    """What one model scores, and how.

    Args:
        vectors: of lower-cased words, the most frequent first.
        items: that are asked.
        top: words searched for the answer of an analogy.

    Returns:
        By measure `[1 + draw]`, the score and that of every redraw; by measure and " coverage" the items whose words
        all have a vector, and all.
    """
    total = score_analogies(vectors, items.questions, top=top, resamples=DRAWS).total
    found = {
        ANALOGIES: np.array([total.accuracy, *total.draws]),
        f"{ANALOGIES} coverage": np.array([total.covered, total.questions]),
    }
    for name, file in items.files.items():
        score = score_similarity(vectors, file)
        kept = [k for k, (a, b) in enumerate(file.pairs) if a in vectors.ids and b in vectors.ids]
        first, second = vectors.matrix[[[vectors.ids[word] for word in file.pairs[k]] for k in kept]].swapaxes(0, 1)
        cosines = np.sum(first * second, axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
        found[name] = np.array([score.rho, *spearman_redrawn(cosines, file.scores[kept])])
        found[f"{name} coverage"] = np.array([score.covered, score.pairs])
    return found


def spearman_redrawn(
    first: Float[np.ndarray, " example"], second: Float[np.ndarray, " example"]
) -> Float[np.ndarray, " draw"]:
    """Rank correlation in `DRAWS` redraws of the pairs of numbers; NaN where one side does not vary."""
    drawn = np.random.default_rng(0).integers(len(first), size=(DRAWS, len(first)))
    return np.asarray(jax.vmap(spearman)(*(jnp.asarray(side[drawn]) for side in (first, second))), np.float64)


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
        """95 %, over the redraws of the items in which the score is defined."""
        return middle_95(self.draws)

    def above(self, worse: "Score") -> "Score":
        """The difference of two models, for every pair of trainings and in every redraw of the items."""
        return Score((self.seeds[:, None] - worse.seeds[None, :]).ravel(), self.draws - worse.draws)

    @property
    def decided(self) -> bool:
        """Of a difference: whether its interval excludes 0 and all trainings agree."""
        low, high = self.interval
        agree = bool(np.all(self.seeds > 0) | np.all(self.seeds < 0))
        return agree and (low > 0 or high < 0)


def middle_95(draws: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    """The middle 95 % of the draws that are defined; NaN where none is."""
    low, high = np.quantile(draws[~np.isnan(draws)], (0.025, 0.975)) if not np.isnan(draws).all() else (np.nan, np.nan)
    return float(low), float(high)


def score(measure: str, trainings: list[dict[str, np.ndarray]]) -> Score:
    """The score of one or several trainings, each `measured`."""
    values = np.array([found[measure] for found in trainings])
    return Score(values[:, 0], values[:, 1:].mean(axis=0))
