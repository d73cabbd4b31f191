"""Similarity and analogies in word vectors that theory can follow: quadratic word vectors on the counts of a text."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...corpus import EncodedCorpus
from ...ensemble import ensemble
from ...keep import digest, kept_json
from ...theory import word_pairs
from ...train import train
from ...words.pairs import Convention, cooccurrence
from ...words.quadratic import Quadratic, TargetLoss
from ...words.targets import quadratic_target
from ...words.text import WordText
from ...words.vectors import WordVectors
from ..study import Run
from .blank_slate_flow import FlowRun, Names, frequent_words, heaviest, mode_times
from .blank_slate_levels import Level, Yardsticks, level_of, word_scores

STEP = 0.1
"""Learning rate times the largest eigenvalue: an Euler step of the flow is then late by 2.5 % for the first mode."""

RESAMPLES = 300
"""Of pairs and questions, for the margins."""


@dataclass(frozen=True)
class VectorSetting:
    """Sizes of the word vectors and their training.

    Attributes:
        words: most frequent words.
        width: of their vectors.
        init_scale: standard deviation of the start.
        modes: that are followed.
        window: within which words meet.
        patience: training lasts so many half-times of the slowest mode that is followed.
        saves: along training.
        controls: seeds that are trained on the shuffled text too.
    """

    words: int = 3000
    width: int = 30
    init_scale: float = 1e-3
    modes: int = 12
    window: int = 5
    patience: float = 1.6
    saves: int = 24
    controls: int = 2


def vector_text(text: EncodedCorpus, names: Names, count: int) -> WordText:
    """The text of its most frequent words alone, as word models read it."""
    words = frequent_words(text, count)
    renamed = np.full(text.vocab, -1, np.int32)
    renamed[words] = np.arange(len(words), dtype=np.int32)
    ids = renamed[np.asarray(text.ids)]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(ids >= 0)])
    kept = ids[ids >= 0]
    counts = np.bincount(kept, minlength=len(words))
    return WordText(kept, before[text.ends], tuple(names(int(word)) for word in words), counts)


def vector_run(text: EncodedCorpus, names: Names, yardsticks: Yardsticks, setting: VectorSetting, run: Run) -> FlowRun:
    """Train quadratic word vectors from small starts, and predict their modes, similarity and analogies.

    `run` has the seeds of the start, and where the scores are kept.
    """
    targets, words = _targets(text, names, setting)
    modes = word_pairs.modes(jnp.asarray(targets[0], float), len(words))
    leading = word_pairs.WordModes(modes.vectors[:, : setting.width], modes.strengths[: setting.width])
    run.progress("word vectors: modes found")
    model, keys = (
        Quadratic(setting.width, init_scale=setting.init_scale),
        jax.random.split(jax.random.key(1), run.seeds),
    )
    starts = jnp.stack([model.init(key, len(words))["embed"] for key in keys])
    half_times = np.asarray(_half_times(jnp.asarray(starts, modes.vectors.dtype), leading), np.float64)
    rate = STEP / float(leading.strengths[0])
    steps = _save_steps(setting, int(setting.patience * half_times[:, : setting.modes].max() / rate))
    ts, yardsticks = np.array([0, *steps]) * rate, replace(yardsticks, words=words)
    member, tables = partial(_member, rate=rate, steps=steps), jnp.asarray(targets)
    parts: dict[str, list[dict[str, Any]]] = {"trained": [], "theory": [], "control": []}
    for kind, seed in (*((kind, seed) for kind in ("trained", "theory") for seed in range(run.seeds)),
                       *(("control", seed) for seed in range(setting.controls))):  # fmt: skip
        compute = partial(_scores, kind, member, tables, modes, starts[seed], ts, yardsticks, setting.modes)
        hashes = digest(targets, starts[seed]), yardsticks.hash
        identity = (setting, STEP, RESAMPLES, seed, kind, text.hash, hashes)
        parts[kind].append(kept_json(run.keep, "vectors", identity, compute))
        run.progress(f"word vectors, seed {seed}: {kind}, {steps[-1]} steps")
    shares = np.array([each["shares"] for each in parts["trained"]])
    labels = _labels(leading, words, min(setting.modes, setting.width))
    times = mode_times(labels, leading.strengths, half_times, ts, shares)
    return FlowRun("word vectors", times, *(_levels(ts, parts[kind]) for kind in parts))


@jax.jit
def _half_times(starts: Array, modes: word_pairs.WordModes) -> Array:
    begun = jax.vmap(word_pairs.qr_start, (0, None))(starts, modes)
    return jax.vmap(word_pairs.half_time, (0, None))(begun, modes.strengths)


@jax.jit
def _solved(ts: Array, start: Array, modes: word_pairs.WordModes) -> Array:
    """One time after the other: side by side their bases would fill the memory."""
    return jax.lax.map(lambda t: word_pairs.exact_rows(t, start, modes), ts)


def _targets(
    text: EncodedCorpus, names: Names, setting: VectorSetting
) -> tuple[Float[np.ndarray, "draw token token"], tuple[str, ...]]:
    """M* of the text and of the shuffled text, of the words that meet others in both."""
    convention = Convention(setting.window)
    pairs = [cooccurrence(vector_text(each, names, setting.words), convention) for each in (text, text.shuffled(0))]
    meet = np.flatnonzero(np.min([each.marginal for each in pairs], axis=0) > 0)
    words = tuple(pairs[0].words[row] for row in meet)
    dense = [quadratic_target(each).dense()[meet][:, meet] for each in pairs]
    return np.stack(dense).astype(np.float32), words


def _save_steps(setting: VectorSetting, steps: int) -> tuple[int, ...]:
    spread = np.linspace(steps / setting.saves, steps, setting.saves)
    return tuple(int(step) for step in np.unique(np.round(spread)))


def _scores(
    kind: str,
    member: Callable[..., Any],
    targets: Array,
    modes: word_pairs.WordModes,
    start: Array,
    ts: Float[np.ndarray, " time"],
    yardsticks: Yardsticks,
    count: int,
) -> dict[str, Any]:
    """Shares of the first modes `[time, mode]` and the levels of one run, or of theory in its place, as JSON data."""
    if kind == "theory":
        rows = np.asarray(_solved(jnp.asarray(ts, modes.vectors.dtype), start.astype(modes.vectors.dtype), modes))
    else:
        one = start[None], jnp.array([int(kind == "control")])
        rows = np.asarray(ensemble(member, one, targets, mapping="loop"))[0]
    along = np.einsum("tk,mtw->mkw", np.asarray(modes.vectors[:, :count]), rows.astype(np.float64))
    vectors = [WordVectors(yardsticks.words, at.astype(np.float32)) for at in rows]
    curves = [word_scores(each, yardsticks) for each in vectors]
    end = word_scores(vectors[-1], yardsticks, resamples=RESAMPLES)
    return {
        "shares": np.sum(along**2, axis=2) / np.asarray(modes.strengths[:count])[None],
        "scores": {name: [at[name]["score"] for at in curves] for name in end},
        "end": end,
    }


def _member(member: tuple[Array, Array], targets: Array, *, rate: float, steps: tuple[int, ...]) -> Array:
    start, which = member
    return train(TargetLoss(targets[which]), {"embed": start}, optax.sgd(rate), dt=rate, save_steps=steps).ys["embed"]


def _levels(ts: np.ndarray, runs: list[dict[str, Any]]) -> dict[str, Level]:
    ends = [run["end"] for run in runs]
    return {name: level_of(name, ts, np.array([run["scores"][name] for run in runs]), ends) for name in ends[0]}


def _labels(modes: word_pairs.WordModes, words: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The words that weigh most in each mode, those of one sign."""
    vectors = np.asarray(modes.vectors)[:, :count]
    heavy = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(count)]
    signed = vectors * np.sign(heavy)[None]
    return tuple(heaviest(column, 3, words.__getitem__) for column in signed.T)
