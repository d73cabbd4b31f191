"""What is read from word vectors along training, and what the modes alone predict of it."""

from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...observables import subspace_overlap
from ...observables.analogies import answer_analogies
from ...observables.crossing import crossing
from ...theory import analogy_modes, word_pairs
from ...words.families import offset_consistency, pairs_of
from ...words.similarity import score_similarity
from ...words.vectors import WordVectors
from .emergence_texts import Language

TIE = float(np.finfo(np.float32).eps) ** 0.5
"""Cosines that differ by less are equal, for training in float32 and for theory in float64 alike."""
TOP = 5
"""Leading modes whose space is compared."""

Measures = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Families:
    """The families with enough covered questions, one after the other in the file's order."""

    language: Language
    least: int

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, ids in self.language.covered.items() if len(ids) >= self.least)

    @cached_property
    def questions(self) -> Int[np.ndarray, "example 4"]:
        return np.concatenate([self.language.covered[name] for name in self.names])

    @property
    def ends(self) -> Int[np.ndarray, " topic"]:
        """Where the questions of a family end and another's begin."""
        return np.cumsum([len(self.language.covered[name]) for name in self.names])[:-1]

    def means(self, won: Float[np.ndarray, "... example"]) -> Float[np.ndarray, "... topic"]:
        """Accuracy of every family from the outcome of every question."""
        return np.stack([part.mean(axis=-1) for part in np.split(won, self.ends, axis=-1)], axis=-1)

    def dealt(self) -> Int[np.ndarray, "example 4"]:
        """The answers of each family dealt out anew, never to a word of the question: no relation is left."""
        rng, parts = np.random.default_rng(0), []
        for family in np.split(self.questions, self.ends):
            answers = family[rng.permutation(len(family)), 3]
            parts.append(np.column_stack([family[:, :3], answers])[~np.any(family == answers[:, None], axis=1)])
        return np.concatenate(parts)

    def offsets(self, rows: Float[np.ndarray, "token width"]) -> Float[np.ndarray, "2 topic"]:
        """Consistency of every family's offsets, and that of shuffled partners."""
        pairs, vectors = pairs_of(self.language.questions), WordVectors(self.language.words, rows)
        found = [offset_consistency(vectors, pairs[name], shuffles=20) for name in self.names]
        return np.array([[one.value for one in found], [one.null.mean() for one in found]])

    def similarities(self, rows: Float[np.ndarray, "token width"]) -> list[float]:
        """Spearman's correlation with the human scores of every file."""
        vectors = WordVectors(self.language.words, np.asarray(rows, np.float32))
        return [score_similarity(vectors, pairs).rho for pairs in self.language.similarity.values()]


def measured(
    embed: Float[np.ndarray, "time token width"], modes: word_pairs.WordModes, families: Families, shown: str
) -> Measures:
    """Everything that is read of trained vectors, at every save.

    Returns:
        `power [time, width]`: of every mode, v_k^T W W^T v_k; `accuracy [time, topic]`: by family; `dealt []`: with
        dealt-out answers, at the end; `offsets [time, topic]` and `offsets_null`: consistency, and that of shuffled
        partners; `rho [time, topic]`: by similarity file; `overlap [2]`: of the leading space with that of the modes at
        the end, and at the start; `shown [time, example, 2]`: the words of the drawn family.
    """
    won = np.array([np.asarray(answer_analogies(w, families.questions, tie=TIE).won) for w in embed])
    along = np.asarray(modes.vectors).T @ embed.astype(np.float64)
    offsets = np.array([families.offsets(w) for w in embed])
    leading = modes.vectors[:, :TOP].astype(embed.dtype)
    return {
        "power": np.sum(along**2, axis=-1),
        "accuracy": families.means(won),
        "dealt": np.array(np.mean(np.asarray(answer_analogies(embed[-1], families.dealt(), tie=TIE).won))),
        "offsets": offsets[:, 0],
        "offsets_null": offsets[:, 1],
        "rho": np.array([families.similarities(w) for w in embed]),
        "overlap": np.array([subspace_overlap(jnp.asarray(w), leading, TOP) for w in (embed[-1], embed[0])]),
        "shown": drawn(embed, families.language.word_pairs[shown]),
    }


def drawn(
    embed: Float[np.ndarray, "time token width"], pairs: Int[np.ndarray, "example 2"]
) -> Float[np.ndarray, "time example 2"]:
    """The words of a family in one plane for all times: along its mean offset at the end, and along what varies most.

    Returns:
        First words of all pairs, then second words.
    """
    last = embed[-1].astype(np.float64)
    offset = np.mean(last[pairs[:, 1]] - last[pairs[:, 0]], axis=0)
    across = offset / np.linalg.norm(offset)
    centred = last[pairs.T.ravel()] - last[pairs.T.ravel()].mean(axis=0)
    rest = centred - np.outer(centred @ across, across)
    plane = np.stack([across, np.linalg.svd(rest, full_matrices=False)[2][0]], axis=1)
    return embed[:, pairs.T.ravel()].astype(np.float64) @ plane


def predicted(
    times: Float[np.ndarray, " time"],
    start_at: Float[np.ndarray, "token width"],
    modes: word_pairs.WordModes,
    families: Families,
) -> Measures:
    """The same from the modes alone, in float64: nothing of the training but its start and its clock.

    Returns:
        `half_rises [width]`, `wrong [width]`: half-rise times from the QR diagonal, and from singular values of the
        start; `power [time, width]`; `accuracy [time, topic]`; `rho [time, topic]`.
    """
    embed, ts = jnp.asarray(start_at, float), jnp.asarray(times)
    start = word_pairs.qr_start(embed, modes)
    vectors = jax.vmap(analogy_modes.alone, (0, None, None))
    parts = [np.asarray(vectors(part, start, modes)) for part in np.array_split(ts, max(1, len(ts) // 10))]
    questions = jnp.asarray(families.questions)
    return {
        "half_rises": np.asarray(analogy_modes.half_rises(embed, modes)),
        "wrong": np.asarray(word_pairs.half_time(word_pairs.svd_start(embed, modes), modes.strengths)),
        "power": np.asarray(jax.vmap(word_pairs.power, (0, None, None))(ts, start, modes.strengths)),
        "accuracy": families.means(np.array([np.asarray(_solved(w, questions)) for part in parts for w in part])),
        "rho": np.array([families.similarities(w) for part in parts for w in part]),
    }


_solved = jax.jit(partial(analogy_modes.solved, tie=TIE))
_ladder = jax.jit(partial(analogy_modes.ladder, tie=TIE))


def ladders(modes: word_pairs.WordModes, families: Families, orders: int, spacing: int) -> Measures:
    """Accuracy by family of the first modes.

    Returns:
        `true [hidden, topic]`: of the first K = 1, 2, ..; `mixed [draw, hidden, topic]`: of modes in random orders, at
        every `spacing`-th K.
    """
    questions, width = jnp.asarray(families.questions), len(modes.strengths)
    true = np.asarray(_ladder(modes, questions, jnp.arange(1, width + 1)))
    rng, mixed = np.random.default_rng(0), []
    for _ in range(orders):
        order = rng.permutation(width)
        shuffled = word_pairs.WordModes(modes.vectors[:, order], modes.strengths[order])
        mixed.append(np.asarray(_ladder(shuffled, questions, jnp.arange(spacing, width + 1, spacing))))
    return {"true": families.means(true), "mixed": families.means(np.array(mixed))}


def half_of_maximum(
    times: Float[np.ndarray, " time"], curves: Float[np.ndarray, "time topic"]
) -> Float[np.ndarray, " topic"]:
    """When every curve first reaches half of its maximum; NaN for one that stays at zero."""
    half = curves.max(axis=0) / 2
    return np.where(half > 0, crossing(times, curves.T, half), np.nan)
