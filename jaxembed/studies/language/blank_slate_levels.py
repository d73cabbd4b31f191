"""What is scored at each level of structure, on one language model or one table of word vectors."""

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...analysis.senses.probes import balanced_mean, bootstrap_interval, read_senses_from
from ...analysis.senses.texts import SenseTask
from ...analysis.senses.tokens import sense_states
from ...keep import digest
from ...models import Decoder
from ...observables.arrival import Arrival, arrival
from ...words.analogy import score_analogies
from ...words.families import offset_consistency, pairs_of
from ...words.questions import Questions
from ...words.similarity import SimilarityPairs, score_similarity
from ...words.vectors import WordVectors

MEASURES = {
    "unigram": "-KL(corpus || average prediction), nats",
    "bigram": "nats gained over the unigram by the prediction after one token",
    "similarity": "Spearman of embedding cosines",
    "offsets": "mean cosine between the offsets of a family",
    "analogies": "accuracy, 3CosAdd",
    "senses": "balanced accuracy, best layer by validation",
}
LEVELS = tuple(MEASURES)
NULLS = {
    "unigram": "uniform prediction",
    "bigram": "0: no gain over the unigram",
    "similarity": "words shuffled",
    "offsets": "partners shuffled within the family",
    "analogies": "chance",
    "senses": "the untrained network, same probe",
}
"""What each score is held against.

0 is not the best score there is on a shuffled corpus: its finite counts look like structure. At size quick the
shuffled text's own pair frequencies would score 0.40 nats on themselves (500 contexts, 10,000 words).
"""
SPECIAL = 2
"""Tokens that are no words: end of document and unknown word come first."""
PENALTIES = (1e-1, 1e-2)
"""Of the probes for senses; few, since they are fitted at every depth of every save."""
ITERATIONS = 25
"""Of their fit, for each penalty."""


@dataclass(frozen=True, eq=False)
class Level:
    """One level's curves, and when they arrive by the rule of `observables.arrival`.

    Attributes:
        name: one of `LEVELS`.
        ts: `[time]` on the clock of the run.
        scores: `[seed, time]`.
        null: `[seed]`, the score of no structure.
        margin: `[seed]`, how far the final score has to exceed it.
    """

    name: str
    ts: Float[np.ndarray, " time"]
    scores: Float[np.ndarray, "seed time"]
    null: Float[np.ndarray, " seed"]
    margin: Float[np.ndarray, " seed"]

    @cached_property
    def arrival(self) -> Arrival:
        return arrival(self.ts, self.scores, self.null, self.margin)

    @property
    def shares(self) -> Float[np.ndarray, "seed time"]:
        """Of the rise from null to final score; NaN in a seed that never arrives."""
        rise = np.where(self.arrival.arrived, self.scores[:, -1] - self.null, np.nan)
        return (self.scores - self.null[:, None]) / rise[:, None]


@dataclass(frozen=True, eq=False)
class Yardsticks:
    """All that levels are measured with; a level without data is named in `missing`, with the reason.

    Attributes:
        words: of the rows of an embedding, after the special tokens.
        unigrams: `[token]`, the corpus's distribution over tokens.
        contexts: `[example]`, tokens after which the prediction is scored.
        next_joint: `[example, token]`, their pair probabilities, which sum to 1.
        passages: `[example, position]`, held-out text over which predictions are averaged.
        similarity: pairs of words with scores.
        questions: analogies.
        senses: tasks of ambiguous words.
        missing: reason by level.
    """

    words: tuple[str, ...]
    unigrams: Float[np.ndarray, " token"]
    contexts: Int[np.ndarray, " example"]
    next_joint: Float[np.ndarray, "example token"]
    passages: Int[np.ndarray, "example position"]
    similarity: SimilarityPairs | None = None
    questions: Questions | None = None
    senses: tuple[SenseTask, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def uniform(self) -> float:
        """The unigram score of a uniform prediction."""
        return unigram_score(np.full(len(self.unigrams), 1 / len(self.unigrams)), self.unigrams)

    @cached_property
    def hash(self) -> str:
        """Of all that is asked, and of how it is scored."""
        similar, asked, tasks = self.similarity, self.questions, [task.hash for task in self.senses]
        pairs = None if similar is None else (similar.name, similar.pairs, digest(similar.scores))
        questions = None if asked is None else (asked.name, asked.form, asked.sections, asked.cased)
        whole = repr((self.words, pairs, questions, tasks, PENALTIES, ITERATIONS, SPECIAL))
        return digest(self.unigrams, self.contexts, self.next_joint, self.passages, whole)


def level_of(name: str, ts: np.ndarray, scores: np.ndarray, ends: list[dict[str, Any]]) -> Level:
    """A level from its curves and what is known of the final model of every seed."""
    null, margin = (np.array([end[name][key] for end in ends], np.float64) for key in ("null", "margin"))
    return Level(name, ts, scores, null, margin)


Scores = dict[str, Any]
"""By level: "score", and where asked for "null" and "margin" (see `Level`)."""


def unigram_score(mean: Float[np.ndarray, " token"], unigrams: Float[np.ndarray, " token"]) -> float:
    """Minus the KL divergence of an average prediction from the distribution of the corpus.

    >>> print(round(unigram_score(np.array([0.5, 0.5]), np.array([1.0, 0.0])), 4))
    -0.6931
    """
    seen = unigrams > 0
    return float(-np.sum(unigrams[seen] * np.log(unigrams[seen] / mean[seen])))


def bigram_score(
    log_p: Float[np.ndarray, "example token"],
    joint: Float[np.ndarray, "example token"],
    unigrams: Float[np.ndarray, " token"],
) -> float:
    """Nats by which predictions after single tokens beat the unigram distribution, on the pairs of the corpus."""
    at = joint > 0
    base = np.broadcast_to(np.log(np.maximum(unigrams, 1e-300)), joint.shape)
    return float(np.sum(joint[at] * (log_p[at] - base[at])))


def word_scores(vectors: WordVectors, yardsticks: Yardsticks, resamples: int = 0) -> Scores:
    """Similarity, offsets and analogies of word vectors; nulls and margins only where resamples are asked for."""
    scores: Scores = {}
    if yardsticks.similarity is not None:
        score = score_similarity(vectors, yardsticks.similarity)
        scores["similarity"] = {"score": score.rho}
        if resamples:
            null = _shuffled_similarity(vectors, yardsticks.similarity)
            scores["similarity"] |= {"null": null, "margin": (score.high - score.low) / 2}
    if yardsticks.questions is not None:
        scores["offsets"] = _offsets(vectors, yardsticks.questions, shuffles=50 if resamples else 0)
        total = score_analogies(vectors, yardsticks.questions, resamples=max(resamples, 1)).total
        scores["analogies"] = {"score": total.accuracy}
        if resamples:
            scores["analogies"] |= {"null": 1 / max(1, len(vectors) - 3), "margin": (total.high - total.low) / 2}
    return scores


def model_scores(model: Decoder, params: Any, yardsticks: Yardsticks, resamples: int = 0) -> Scores:
    """All levels of a decoder."""
    params = jax.tree.map(jnp.asarray, params)
    mean = mean_prediction(model, params, yardsticks.passages)
    log_p = np.asarray(_after_one(params, jnp.asarray(yardsticks.contexts)[:, None], model=model), np.float64)
    gained = bigram_score(log_p, yardsticks.next_joint, yardsticks.unigrams)
    found: Scores = {
        "unigram": {"score": unigram_score(mean, yardsticks.unigrams), "null": yardsticks.uniform, "margin": 0.0},
        "bigram": {"score": gained, "null": 0.0, "margin": 0.0},
    }
    rows = np.asarray(params["embed"], np.float32)[SPECIAL:]
    found |= word_scores(WordVectors(yardsticks.words, rows), yardsticks, resamples)
    if yardsticks.senses:
        hits = [_hits(model, params, task) for task in yardsticks.senses]
        scores = [balanced_mean(hit, task.senses[task.test]) for hit, task in zip(hits, yardsticks.senses, strict=True)]
        found["senses"] = {"score": float(np.mean(scores)), "hits": [hit.astype(int).tolist() for hit in hits]}
    return found


def sense_margin(trained: Scores, untrained: Scores, tasks: tuple[SenseTask, ...], resamples: int = 500) -> float:
    """Half the interval of the gain over the untrained network, sentences drawn again within their sense."""
    halves = []
    for after, before, task in zip(trained["hits"], untrained["hits"], tasks, strict=True):
        gained = np.asarray(after, float) - np.asarray(before, float)
        low, high = bootstrap_interval(gained[None], task.senses[task.test], resamples=resamples)
        halves.append((high - low) / 2)
    return float(np.sqrt(np.sum(np.square(halves))) / len(halves))


@partial(jax.jit, static_argnames="model")
def _probabilities(params: Any, tokens: Int[Array, "example position"], *, model: Decoder) -> Float[Array, " token"]:
    return jnp.mean(jax.nn.softmax(model.apply_batch(params, tokens), axis=-1), axis=(0, 1))


@partial(jax.jit, static_argnames="model")
def _after_one(params: Any, tokens: Int[Array, "example position"], *, model: Decoder) -> Float[Array, "example token"]:
    return jax.nn.log_softmax(model.apply_batch(params, tokens)[:, 0], axis=-1)


def mean_prediction(
    model: Decoder, params: Any, passages: Int[np.ndarray, "example position"], batch: int = 8
) -> Float[np.ndarray, " token"]:
    """The next-token distribution averaged over all positions."""
    params = jax.tree.map(jnp.asarray, params)
    parts = [passages[at : at + batch] for at in range(0, len(passages), batch)]
    found = [np.asarray(_probabilities(params, jnp.asarray(part), model=model), np.float64) for part in parts]
    return np.average(found, axis=0, weights=[len(part) for part in parts])


def _hits(model: Decoder, params: Any, task: SenseTask) -> Float[np.ndarray, " example"]:
    """Test sentences decided rightly at the depth that validation chooses; the static embedding is left out."""
    states = sense_states(model, params, task.tokens)[1:]
    probes = read_senses_from(states, task, penalties=PENALTIES, iterations=ITERATIONS)
    return probes.right[probes.best()]


def _shuffled_similarity(vectors: WordVectors, pairs: SimilarityPairs, shuffles: int = 20) -> float:
    """Mean score when every word wears another word's vector; the same few shuffles for every model."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(vectors)) for _ in range(shuffles)]
    dealt = (WordVectors(vectors.words, vectors.matrix[order]) for order in orders)
    return float(np.mean([score_similarity(each, pairs).rho for each in dealt]))


def _offsets(vectors: WordVectors, questions: Questions, shuffles: int) -> dict[str, float]:
    """Mean over families with two pairs or more; the margin is over families, or over shuffles where they are few."""
    families = [[p for p in pairs if all(word in vectors.ids for word in p)] for pairs in pairs_of(questions).values()]
    known = [tuple(pairs) for pairs in families if len(pairs) > 1]
    found = [offset_consistency(vectors, pairs, shuffles=max(shuffles, 1)) for pairs in known]
    score = {"score": float(np.mean([each.value for each in found]))}
    if not shuffles:
        return score
    excess = np.array([each.excess for each in found])
    reach = max(float(np.quantile(each.null, 0.975) - np.mean(each.null)) for each in found)
    margin = 2 * float(np.std(excess, ddof=1)) / len(excess) ** 0.5 if len(excess) > 2 else reach
    return score | {"null": float(np.mean([float(np.mean(each.null)) for each in found])), "margin": margin}
