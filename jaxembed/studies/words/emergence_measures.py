"""What is read from word vectors along training, and what the modes alone predict of it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...observables import subspace_overlap
from ...observables.analogies import answer_analogies
from ...theory import analogy_modes, word_pairs
from ...words.families import offset_consistency, pairs_of
from ...words.similarity import score_similarity
from ...words.vectors import WordVectors
from .emergence_cells import Setting
from .emergence_texts import Language

TIE = float(np.finfo(np.float32).eps) ** 0.5
"""Cosines that differ by less are equal, for training in float32 and for theory in float64 alike."""
TOP = 5
"""Leading modes whose space is compared."""

Read = dict[str, np.ndarray]


def families(language: Language, least: int) -> tuple[str, ...]:
    """Families with at least so many covered questions, in the file's order."""
    return tuple(name for name, asked in language.covered.items() if len(asked) >= least)


def questions_of(language: Language, names: tuple[str, ...]) -> Int[np.ndarray, "example 4"]:
    """Their questions, one family after the other."""
    return np.concatenate([language.covered[name] for name in names])


def by_family(
    won: Float[np.ndarray, "... example"], language: Language, names: tuple[str, ...]
) -> Float[np.ndarray, "... topic"]:
    """Accuracy of every family from the outcome of every question of `questions_of`."""
    ends = np.cumsum([len(language.covered[name]) for name in names])
    return np.stack([part.mean(axis=-1) for part in np.split(won, ends[:-1], axis=-1)], axis=-1)


def strangers(
    questions: Int[np.ndarray, "example 4"], language: Language, names: tuple[str, ...]
) -> Int[np.ndarray, "example 4"]:
    """The questions with the answers of each family dealt out anew, never to a word of the question: no relation."""
    rng, parts = np.random.default_rng(0), []
    for asked in np.split(questions, np.cumsum([len(language.covered[name]) for name in names])[:-1]):
        answers = asked[rng.permutation(len(asked)), 3]
        parts.append(np.column_stack([asked[:, :3], answers])[~np.any(asked == answers[:, None], axis=1)])
    return np.concatenate(parts)


def followed(
    embed: Float[np.ndarray, "time token width"],
    found: word_pairs.Modes,
    language: Language,
    names: tuple[str, ...],
    setting: Setting,
) -> Read:
    """Everything asked of trained vectors, at every save.

    Returns:
        `power [time, width]`: of every mode, v_k^T W W^T v_k; `singular [time, width]`: squared singular values;
        `accuracy [time, topic]`: by family; `unrelated []`: with dealt-out answers, at the end; `offsets [time, topic]`
        and `offsets_null`: consistency, and that of shuffled partners; `rho [time, topic]`: by similarity file;
        `overlap [2]`: of the leading space with that of the modes at the end, and at the start; `shown [time, example,
        2]`: the words of the drawn family.
    """
    asked = questions_of(language, names)
    dealt = strangers(asked, language, names)
    won = np.array([np.asarray(answer_analogies(w, asked, tie=TIE).won) for w in embed])
    along = np.asarray(found.vectors).T @ embed.astype(np.float64)
    offsets = np.array([_offsets(w, language, names) for w in embed])
    return {
        "power": np.sum(along**2, axis=-1),
        "singular": np.array([np.linalg.svd(w, compute_uv=False) for w in embed], np.float64) ** 2,
        "accuracy": by_family(won, language, names),
        "unrelated": np.array(np.mean(np.asarray(answer_analogies(embed[-1], dealt, tie=TIE).won))),
        "offsets": offsets[:, 0],
        "offsets_null": offsets[:, 1],
        "rho": np.array([similarities(w, language) for w in embed]),
        "overlap": np.array([subspace_overlap(jnp.asarray(w), found.vectors[:, :TOP].astype(w.dtype), TOP)
                             for w in (embed[-1], embed[0])]),
        "shown": drawn(embed, language.word_pairs[setting.shown]),
    }  # fmt: skip


def _offsets(rows: np.ndarray, language: Language, names: tuple[str, ...]) -> np.ndarray:
    pairs = pairs_of(language.questions)
    found = [offset_consistency(WordVectors(language.words, rows), pairs[name], shuffles=20) for name in names]
    return np.array([[one.value for one in found], [one.null.mean() for one in found]])


def similarities(rows: Float[np.ndarray, "token width"], language: Language) -> list[float]:
    """Spearman's correlation with the human scores of every file."""
    vectors = WordVectors(language.words, np.asarray(rows, np.float32))
    return [score_similarity(vectors, pairs, resamples=0).rho for pairs in language.similarity.values()]


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
    middle = last[pairs.T.ravel()]
    rest = middle - middle.mean(axis=0) - np.outer((middle - middle.mean(axis=0)) @ across, across)
    plane = np.stack([across, np.linalg.svd(rest, full_matrices=False)[2][0]], axis=1)
    return embed[:, pairs.T.ravel()].astype(np.float64) @ plane


def predicted(
    times: Float[np.ndarray, " time"],
    begun: Float[np.ndarray, "token width"],
    found: word_pairs.Modes,
    language: Language,
    names: tuple[str, ...],
) -> Read:
    """The same from the modes alone, in float64: nothing of the training but its start and its clock.

    Returns:
        `half_rises [width]`, `wrong [width]`: half-rise times from the QR diagonal, and from singular values of the
        start; `power [time, width]`; `accuracy [time, topic]`; `rho [time, topic]`.
    """
    embed, ts = jnp.asarray(begun, float), jnp.asarray(times)
    start = word_pairs.qr_start(embed, found)
    rows = jax.vmap(analogy_modes.alone, (0, None, None))
    parts = [np.asarray(rows(part, start, found)) for part in np.array_split(ts, max(1, len(ts) // 10))]
    asked = jnp.asarray(questions_of(language, names))
    won = np.array([np.asarray(_solved(w, asked)) for part in parts for w in part])
    return {
        "half_rises": np.asarray(analogy_modes.half_rises(embed, found)),
        "wrong": np.asarray(word_pairs.half_time(word_pairs.svd_start(embed, found), found.strengths)),
        "power": np.asarray(jax.vmap(word_pairs.power, (0, None, None))(ts, start, found.strengths)),
        "accuracy": by_family(won, language, names),
        "rho": np.array([similarities(w, language) for part in parts for w in part]),
    }


_solved = jax.jit(partial(analogy_modes.solved, tie=TIE))
_ladder = jax.jit(partial(analogy_modes.ladder, tie=TIE))


def ladders(
    found: word_pairs.Modes, language: Language, names: tuple[str, ...], orders: int, spacing: int
) -> tuple[Float[np.ndarray, "hidden topic"], Float[np.ndarray, "seed hidden topic"]]:
    """Accuracy by family of the first K = 1, 2, .. modes, and of modes in random orders at every `spacing`-th K."""
    asked, width = jnp.asarray(questions_of(language, names)), len(found.strengths)
    true = _ladder(found, asked, jnp.arange(1, width + 1))
    rng, others = np.random.default_rng(0), []
    for _ in range(orders):
        order = rng.permutation(width)
        mixed = word_pairs.Modes(found.vectors[:, order], found.strengths[order])
        others.append(np.asarray(_ladder(mixed, asked, jnp.arange(spacing, width + 1, spacing))))
    return by_family(np.asarray(true), language, names), by_family(np.array(others), language, names)


def half_of_maximum(
    places: Float[np.ndarray, " time"], curves: Float[np.ndarray, "time topic"]
) -> Float[np.ndarray, " topic"]:
    """Where every curve first reaches half of its maximum, straight between places; NaN for one that stays at zero."""
    found = []
    for curve in curves.T:
        half = curve.max() / 2
        after = int(np.argmax(curve >= half))
        if half == 0 or after == 0:
            found.append(np.nan if half == 0 else float(places[0]))
            continue
        share = (half - curve[after - 1]) / (curve[after] - curve[after - 1])
        found.append(float(places[after - 1] + share * (places[after] - places[after - 1])))
    return np.array(found)


def offset_modes(found: word_pairs.Modes, language: Language, names: tuple[str, ...]) -> Float[Array, "topic width"]:
    """How every family's mean offset is divided among the full modes."""
    pairs = [jnp.asarray(language.word_pairs[name]) for name in names]
    return jnp.stack([analogy_modes.offset_shares(found.vectors, found.strengths, one) for one in pairs])
