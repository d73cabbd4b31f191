"""Unigram and bigrams in a model that theory can follow: E U^T on the pair counts of a text, by gradient descent.

When every mode arrives is predicted from the counts and the start alone (theory/order_of_arrival.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int

from ...corpus import EncodedCorpus
from ...ensemble import ensemble
from ...keep import kept_json
from ...observables.arrival import Arrival, arrival
from ...statistics import count_neighbours
from ...theory import order_of_arrival
from ...theory.order_of_arrival import TextModes
from ...train import train
from ..study import Run
from .blank_slate_levels import SPECIAL, Level

Names = Callable[[int], str]
"""The word of a token."""


@dataclass(frozen=True)
class BigramSetting:
    """Sizes of the bigram model and its training.

    Attributes:
        words: most frequent words.
        width: of their vectors.
        init_scale: standard deviation of the start.
        rate: learning rate, which is the flow time of one step.
        steps: of it.
        modes: that are followed, besides the unigram's.
        saves: along training.
        controls: seeds that are trained on the shuffled text too.
    """

    words: int = 2000
    width: int = 32
    init_scale: float = 1e-3
    rate: float = 4.0
    steps: int = 1800
    modes: int = 12
    saves: int = 40
    controls: int = 2


@partial(register_dataclass, data_fields=["joint"], meta_fields=[])
@dataclass(frozen=True)
class NextWordLoss:
    """Cross-entropy of softmax(E U^T) over all pairs of a corpus, nats a position.

    Attributes:
        joint: `[token, target]`, pair probabilities.
    """

    joint: Float[Array, "token target"]

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        return -jnp.sum(self.joint * jax.nn.log_softmax(params["embed"] @ params["unembed"].T, axis=1))


@dataclass(frozen=True, eq=False)
class ModeTimes:
    """When single modes arrive, as predicted and as trained.

    Attributes:
        names: of the modes, in theory's order of strength.
        predicted: one arrival a mode, over seeds.
        observed: the same by training; the whole mode is the final score.
        strengths: `[mode]`, growth rates, 1 / flow time.
    """

    names: tuple[str, ...]
    predicted: tuple[Arrival, ...]
    observed: tuple[Arrival, ...]
    strengths: Float[np.ndarray, " mode"]

    def pairs(self) -> Float[np.ndarray, "mode 2"]:
        """Geometric means over seeds, predicted and observed; NaN for what does not arrive in every seed."""
        both = zip(self.predicted, self.observed, strict=True)
        return np.array([(theory.interval()[0], trained.interval()[0]) for theory, trained in both])

    def ratios(self) -> Float[np.ndarray, " mode"]:
        """Observed over predicted time; NaN for a mode that does not arrive in every seed."""
        predicted, observed = self.pairs().T
        return observed / predicted


def mode_times(
    names: tuple[str, ...],
    strengths: Array,
    predicted: Float[np.ndarray, "seed mode"],
    ts: Float[np.ndarray, " time"],
    shares: Float[np.ndarray, "seed time mode"],
) -> ModeTimes:
    """Of the modes that have a name, from predicted half times and the shares along training."""
    modes, never = range(len(names)), np.zeros(len(shares), bool)
    theory = tuple(Arrival(predicted[:, k], never) for k in modes)
    trained = tuple(arrival(ts, shares[:, :, k], final=1.0) for k in modes)
    return ModeTimes(names, theory, trained, np.asarray(strengths[: len(names)], np.float64))


@dataclass(frozen=True, eq=False)
class FlowRun:
    """One model along its training on a flow clock.

    Attributes:
        name: of the model.
        modes: predicted and observed times.
        levels: as trained.
        predicted: the same levels by theory alone.
        control: the same model trained on the shuffled text, scored on the intact one.
    """

    name: str
    modes: ModeTimes
    levels: dict[str, Level]
    predicted: dict[str, Level]
    control: dict[str, Level]


def next_word_joint(text: EncodedCorpus, words: Int[np.ndarray, " token"]) -> Float[np.ndarray, "token target"]:
    """How often one of the words follows another, as shares of all such pairs."""
    counts = count_neighbours(text.ids, text.ends, text.vocab).counts
    joint = counts[words][:, words].toarray().astype(np.float64)
    return joint / joint.sum()


def frequent_words(text: EncodedCorpus, count: int) -> Int[np.ndarray, " token"]:
    """Ids of the most frequent words; the special tokens are none."""
    order = np.argsort(-text.unigrams, kind="stable")
    return order[order >= SPECIAL][:count]


def bigram_run(text: EncodedCorpus, names: Names, setting: BigramSetting, run: Run) -> FlowRun:
    """Train the bigram model from small starts, and predict when each of its modes arrives.

    `run` has the seeds of the start, and where the curves are kept.
    """
    words = frequent_words(text, setting.words)
    joint = next_word_joint(text, words)
    paired = (joint.sum(axis=0) > 0) & (joint.sum(axis=1) > 0)
    words = words[paired]
    joint = joint[paired][:, paired] / joint[paired][:, paired].sum()
    modes = _modes(jnp.asarray(joint), min(setting.width, len(words)))
    run.progress("bigram model: modes found")
    starts, steps = _starts(setting, len(words), run.seeds), _save_steps(setting)
    ts = np.array([0, *steps]) * setting.rate
    theory = {name: np.asarray(x, np.float64) for name, x in _theory(jnp.asarray(ts, float), starts, modes).items()}
    tables = jnp.asarray(np.stack([joint, next_word_joint(text.shuffled(0), words)]), jnp.float32)
    shared = tables, *(tuple(leaf.astype(jnp.float32) for leaf in each) for each in modes)
    member = partial(_member, rate=setting.rate, steps=steps)

    def curves(which: int, seeds: int) -> dict[str, np.ndarray]:
        """`[seed, time]` or `[seed, time, mode]` by name, of training on the text (0) or on its shuffle (1)."""
        rows = []
        for seed in range(seeds):
            one = jax.tree.map(lambda leaf, seed=seed: leaf[seed : seed + 1], starts), jnp.array([which])
            compute = partial(ensemble, member, one, shared, mapping="loop")
            rows.append(kept_json(run.keep, "bigram", (setting, seed, which, text.hash), compute))
            run.progress(f"bigram model, seed {seed}{', shuffled text' if which else ''}: trained")
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    whole, control = curves(0, run.seeds), curves(1, setting.controls)
    uniform = -float(np.sum(joint.sum(axis=0) * np.log(joint.sum(axis=0) * len(words))))
    zero = np.zeros(run.seeds)
    predicted = {name: Level(name, ts, theory[name], zero, zero) for name in ("unigram", "bigram")}
    shares = np.concatenate([whole["unigram"][:, :, None], whole["modes"][:, :, : setting.modes]], axis=2)
    labels = ("unigram", *(_label(modes[1], k, names, words) for k in range(shares.shape[2] - 1)))
    times = mode_times(labels, jnp.concatenate([each.rate for each in modes]), theory["times"], ts, shares)
    return FlowRun("bigram model", times, _levels(ts, whole, uniform), predicted, _levels(ts, control, uniform))


def _starts(setting: BigramSetting, vocab: int, seeds: int) -> dict[str, Array]:
    shape, keys = (seeds, vocab, setting.width), jax.random.split(jax.random.key(0))
    drawn = (jax.random.normal(key, shape, jnp.float32) * setting.init_scale for key in keys)
    return dict(zip(("embed", "unembed"), drawn, strict=True))


def _save_steps(setting: BigramSetting) -> tuple[int, ...]:
    """After the start, closer together at the beginning."""
    spread = np.geomspace(max(1, setting.steps / 50), setting.steps, setting.saves)
    return tuple(int(step) for step in np.unique(np.round(spread)))


@partial(jax.jit, static_argnames="count")
def _modes(joint: Array, count: int) -> tuple[TextModes, TextModes]:
    """The mode of the unigram, and those of the bigrams."""
    return order_of_arrival.unigram_mode(joint), order_of_arrival.modes(joint, jnp.sum(joint, axis=0), count)


@jax.jit
def _theory(ts: Array, starts: dict[str, Array], modes: tuple[TextModes, TextModes]) -> dict[str, Array]:
    """Times of all modes `[seed, mode]`, and nats gained by each level `[seed, time]`."""
    wide = jax.tree.map(lambda leaf: leaf.astype(ts.dtype), starts)
    times, gained = [], []
    for each in modes:
        begun = jax.vmap(order_of_arrival.start, (0, None))(wide, each)
        times.append(jax.vmap(order_of_arrival.arrival_time, (0, None))(begun, each))
        over_time = jax.vmap(jax.vmap(order_of_arrival.gain, (0, None, None)), (None, 0, None))
        gained.append(over_time(ts, begun, each))
    return {"times": jnp.concatenate(times, axis=1), "unigram": gained[0], "bigram": gained[1]}


def _member(
    member: tuple[dict[str, Array], Array], shared: Any, *, rate: float, steps: tuple[int, ...]
) -> dict[str, Array]:
    (start, which), (joints, first, modes) = member, shared
    measure = lambda params: _measured(params, joints[0], TextModes(*modes), TextModes(*first))  # noqa: E731
    return train(NextWordLoss(joints[which]), start, optax.sgd(rate), dt=rate, save_steps=steps, save=measure).ys


def _measured(params: dict[str, Array], joint: Array, modes: TextModes, first: TextModes) -> dict[str, Array]:
    """Shares of theory/order_of_arrival.md, (O2) of bigram modes, (O11) of the unigram; and both levels' scores."""
    log_p = jax.nn.log_softmax(params["embed"] @ params["unembed"].T, axis=1)
    rates, unigrams = jnp.sum(joint, axis=1), jnp.sum(joint, axis=0)
    held = rates[:, None] * jnp.exp(log_p)
    mean = jnp.sum(held, axis=0)
    along = jnp.sum(modes.left * ((held - rates[:, None] * mean[None, :]) @ modes.right), axis=0) / modes.rate
    frequent = (first.left[:, 0] @ rates) * ((mean - 1 / len(mean)) @ first.right[:, 0]) / first.rate[0]
    divergence = jnp.sum(unigrams * (jnp.log(unigrams) - jnp.log(mean)))
    gain = jnp.sum(joint * (log_p - jnp.log(unigrams)[None, :]))
    return {"modes": along, "unigram": frequent, "divergence": divergence, "gain": gain}


def _levels(ts: np.ndarray, curves: dict[str, np.ndarray], uniform: float) -> dict[str, Level]:
    zero = np.zeros(len(curves["gain"]))
    return {
        "unigram": Level("unigram", ts, -curves["divergence"], zero + uniform, zero),
        "bigram": Level("bigram", ts, curves["gain"], zero, zero),
    }


def _label(modes: TextModes, k: int, names: Names, words: Int[np.ndarray, " token"]) -> str:
    """The words that weigh most on either side, those of one sign: "of, in > the"."""
    left, right = np.asarray(modes.left[:, k]), np.asarray(modes.right[:, k])
    sign = np.sign(left[np.argmax(np.abs(left))])
    return " > ".join(heaviest(sign * side, 2, lambda row: names(int(words[row]))) for side in (left, right))


def heaviest(weights: Float[np.ndarray, " token"], count: int, name: Names) -> str:
    """The words with the largest weights."""
    return ", ".join(name(int(row)) for row in np.argsort(-weights)[:count])
