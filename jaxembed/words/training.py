"""Training of word models: on all pairs at once with the flow clock, or by samples for large vocabularies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from ..base import Progress, Trajectory, silent
from ..keep import digest
from ..machine import GIB, device_memory
from ..train import TrainingState, advance, start
from ._glove_steps import GloveSteps
from ._passes import run_passes
from ._quadratic_steps import QuadraticSteps
from ._skip_gram_steps import SkipGramSteps
from .glove import Glove
from .pairs import Cooccurrence
from .quadratic import Quadratic, TargetLoss
from .recipe import GLOVE, QUADRATIC, SKIP_GRAM, Recipe
from .skip_gram import SkipGram
from .text import WordText
from .vectors import WordVectors

WordModel = SkipGram | Quadratic | Glove

NUMBER = 4
"""Bytes of a float32."""


def train_full(
    model: WordModel,
    pairs: Cooccurrence,
    *,
    key: PRNGKeyArray | None = None,
    save_steps: Sequence[int] | np.ndarray,
    dt: float | None = None,
    optimizer: optax.GradientTransformation | None = None,
    params0: Mapping[str, Array | np.ndarray] | None = None,
    save: Callable[[dict[str, Array]], Any] = lambda params: params,
    dtype: Literal["float32", "float64"] = "float32",
    progress: Progress = silent,
) -> Trajectory:
    """Gradient descent on the exact gradient of a word model's loss over all pairs; memory grows as V^2.

    Args:
        model: `SkipGram`, `Quadratic` or `Glove`.
        pairs: counts of pairs.
        key: of the start.
        save_steps: increasing numbers of updates after which to save, from 0 (added where missing); may be uneven.
        dt: flow time of an update. None takes, for `Quadratic` with constant weights, 1 over the largest row sum of
            |M*|, which is at least as small as 1 over its largest eigenvalue; the other losses need a number.
        optimizer: instead of gradient descent, any optimiser of optax; the clock then counts updates.
        params0: parameters to begin at instead of `model.init(key, V)`.
        save: reduces the parameters to what is kept.
        dtype: of the training, whatever JAX's default is.
        progress: takes the updates made at every save.

    Returns:
        Trajectory of `embed` (and `unembed`, and GloVe's biases); `info["mean_loss"]` as in `train`.

    Raises:
        ValueError: where it would not fit the memory, or a setting is missing or wrong.

    >>> from jaxembed.words import Convention, cooccurrence, word_text
    >>> pairs = cooccurrence(word_text(["a b a c a b c b"], min_count=1), Convention(2))
    >>> run = train_full(Quadratic(width=2), pairs, key=jax.random.key(0), save_steps=[0, 1, 10])
    >>> run.ys["embed"].shape, run.clock
    ((3, 3, 2), 'flow')
    """
    gaps = np.diff(_checked_steps(save_steps), prepend=0)
    check_memory(full_memory(model, pairs.vocab, dtype), pairs.vocab)
    if (key is None) == (params0 is None):
        raise ValueError("key, params0: give one of them, the key of a random start or the start")
    begin = model.init(key, pairs.vocab) if key is not None else params0 or {}
    begin = jax.tree.map(lambda x: jnp.array(x, dtype), dict(begin))
    loss = model.loss(pairs, dtype)
    if optimizer is None:
        dt = _largest_dt(loss) if dt is None else dt
        optimizer = optax.sgd(dt)
    else:
        dt = None
    now, parts = start(begin, optimizer), []
    compiled = jax.jit(partial(_until_save, optimizer=optimizer, dt=dt, save=save), donate_argnums=1)
    for gap, done in zip(gaps, np.cumsum(gaps), strict=True):
        now, part = compiled(loss, now, np.array([gap], np.int32))
        parts.append(replace(part, ys=jax.device_get(part.ys)))
        progress(f"{done:,} of {gaps.sum():,} updates", float(done / max(gaps.sum(), 1)))
    return _joined(parts)


def _until_save(
    loss: Any, now: TrainingState, gap: Array, *, optimizer: optax.GradientTransformation, dt: float | None, save: Any
) -> tuple[TrainingState, Trajectory]:
    return advance(loss, optimizer, now, gap, dt=dt, save=save)


def _joined(parts: list[Trajectory]) -> Trajectory:
    """Saves one after the other as one trajectory."""
    info = {
        "mean_loss": jnp.concatenate([part.info["mean_loss"] for part in parts]),
        "nonfinite_time": jnp.min(jnp.stack([part.info["nonfinite_time"] for part in parts])),
    }
    ys = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(part.ys for part in parts))
    return Trajectory(jnp.concatenate([part.ts for part in parts]), ys, info, parts[0].clock)


def _checked_steps(save_steps: Sequence[int] | np.ndarray) -> np.ndarray:
    steps = np.asarray(save_steps, np.int64)
    if steps.ndim != 1 or len(steps) == 0 or steps[0] < 0 or np.any(np.diff(steps) <= 0):
        raise ValueError("save_steps: need increasing numbers of updates from 0 upward, for example [0, 1, 10, 100]")
    return steps if steps[0] == 0 else np.concatenate([[0], steps])


def _largest_dt(loss: Any) -> float:
    if not isinstance(loss, TargetLoss):
        raise ValueError("dt: only the quadratic model with constant weights knows its curvature; give the step")
    return 1 / float(jnp.max(jnp.sum(jnp.abs(loss.target), axis=1)))


def train_sampled(
    model: WordModel,
    source: WordText | Cooccurrence,
    recipe: Recipe | None = None,
    *,
    key: PRNGKeyArray,
    keep: str | Path | None = None,
    progress: Progress = silent,
) -> WordVectors:
    """Train a word model by samples, in float32: vocabularies of many thousand words in minutes.

    `SkipGram` reads a text as word2vec does, thinned and windowed anew in every pass, a piece of consecutive words at a
    time, whose windows and shared negatives are matrix products. `Quadratic` takes random blocks of words of counted
    pairs, each against all words. `Glove` takes counted pairs in a random order, with AdaGrad.

    Args:
        model: what to train.
        source: a text for `SkipGram`, counted pairs for the others.
        recipe: passes and learning rate; None is the model's own (`SKIP_GRAM`, `QUADRATIC`, `GLOVE`).
        key: decides everything that is random; the same key gives the same bits.
        keep: an npz file to write after every pass and to go on from; the result is the same bit for bit.
        progress: takes the pass, and the share done.

    Returns:
        One vector per word: `embed`; for `Glove` the sum of both tables, as published.

    Raises:
        ValueError: for a source that the model does not read, too little memory, a file that holds another run, or
            numbers that grow without bound.

    >>> from jaxembed.words import word_text
    >>> text = word_text(["a b a c a b c b"] * 9, min_count=1)
    >>> vectors = train_sampled(SkipGram(width=4), text, Recipe(epochs=2, batch=64), key=jax.random.key(0))
    >>> vectors.words, vectors.matrix.shape
    (('a', 'b', 'c'), (3, 4))
    """
    kind, own = {
        SkipGram: (SkipGramSteps, SKIP_GRAM),
        Quadratic: (QuadraticSteps, QUADRATIC),
        Glove: (GloveSteps, GLOVE),
    }[type(model)]
    wanted, name = (WordText, "a WordText") if isinstance(model, SkipGram) else (Cooccurrence, "a Cooccurrence")
    if not isinstance(source, wanted):
        raise ValueError(f"source: {type(model).__name__} is trained on {name}, got {type(source).__name__}")
    recipe = own if recipe is None else recipe
    check_memory(sampled_memory(source, model), len(source.words))
    identity = {"model": repr(model), "recipe": repr(recipe), "key": str(jax.random.key_data(key).tolist())}
    identity |= {"data": _digest(source), "jax": jax.__version__, "device": jax.devices()[0].device_kind}
    tables = run_passes(kind(source, model, recipe, key), identity, None if keep is None else Path(keep), progress)
    matrix = tables["embed"] + tables["unembed"] if isinstance(model, Glove) else tables["embed"]
    facts = {"model": repr(model), "recipe": repr(recipe)}
    return WordVectors(tuple(source.words), np.asarray(matrix, np.float32), facts)


def _digest(source: WordText | Cooccurrence) -> str:
    if isinstance(source, WordText):
        return digest(source.ids, source.ends)
    return digest(source.matrix.data, source.matrix.indices, source.matrix.indptr)


def full_memory(model: WordModel, vocab: int, dtype: str = "float32") -> float:
    """Bytes that `train_full` takes: its matrices over all pairs of words.

    >>> round(full_memory(Quadratic(), 5_000) / 1e9, 1), round(full_memory(SkipGram(), 5_000) / 1e9, 1)
    (0.3, 0.8)
    """
    number = np.dtype(dtype).itemsize
    lean = isinstance(model, Quadratic) and model.weighting == "constant"
    # M* while it is cast; otherwise two weights, the scores, what the gradient keeps of them, and one of each cast.
    return (2 + lean if lean else 8) * float(vocab) ** 2 * number


def sampled_memory(source: WordText | Cooccurrence, model: WordModel) -> float:
    """Bytes that `train_sampled` takes: tables, with copies, and its view of the data."""
    tables = {SkipGram: 4, Quadratic: 2, Glove: 8}[type(model)] * len(source.words) * model.width * NUMBER
    held = 16 * len(source.ids) if isinstance(source, WordText) else 28 * source.matrix.nnz
    return float(tables + held)


def check_memory(need: float, vocab: int) -> None:
    """Refuse what does not fit.

    Raises:
        ValueError: saying how much is missing and what to change.
    """
    there = device_memory()
    if need > there:
        raise ValueError(
            f"pairs: {vocab:,} words need about {need / GIB:.2f} GiB, there are {there / GIB:.2f}; take a smaller "
            "vocabulary or width, or train_sampled instead of train_full"
        )
