"""The first steps of an attention-only transformer from zero weights against their closed forms, matrix by matrix."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...corpus import python_documentation
from ...corpus.sequences import markov_sequences, sampled_sequences, shuffled_sequences, text_sequences
from ...flow import gradient_flow, integrate
from ...losses.sequences import SequenceLoss, sequence_loss
from ...models import AttentionOnly
from ...statistics import SequenceSignatures, sequence_signatures
from ...theory import attention_only as theory
from ...train import train
from ..check import Check, Size, need_float64
from ..measured import silent

MATRICES = ("output", "value", "attention", "position")
TOLERANCES: dict[str, Any] = {"solver": "dopri8", "rtol": 1e-8, "atol": 1e-18}
"""From zero there is no initial scale to take the absolute tolerance from; W is 1e-10 at t = 0.05."""


@dataclass(frozen=True)
class Corpus:
    """Sizes of one corpus: `length` labelled positions of `examples` sequences."""

    kind: str
    vocab: int
    length: int
    examples: int


@dataclass(frozen=True)
class Setting:
    """Corpora, layers, times: gradient descent takes `steps` steps to each of `times`; the flow goes on to `late`."""

    corpora: tuple[Corpus, ...] = (Corpus("markov", 40, 12, 256), Corpus("text", 100, 32, 64))
    layers: int = 3
    steps: int = 50
    times: tuple[float, ...] = (0.05, 0.5, 2.5, 10.0)
    late: tuple[float, ...] = (16.0, 48.0, 160.0)


SETTINGS = {
    "tiny": Setting((Corpus("markov", 24, 8, 64),), layers=2, late=(16.0,)),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Course:
    """One corpus: what training and flow did, and what the leading terms said; by matrix (`MATRICES`).

    Attributes:
        corpus: its sizes.
        times: `[time]`, flow times of the exact flow.
        descent: relative error of the s-step formula against gradient descent, `[seed, time, layer]`, first times only.
        flow: relative error of the flow limit against the exact flow, `[seed, time, layer]`.
        cosine: cosine between the two, likewise.
        null: relative error of the flow limit of shuffled sequences, likewise.
        null_cosine: its cosine, likewise.
        start: loss at zero weights, `[seed]`.
        loss: loss of the exact flow, `[seed, time]`.
        ablated: loss at the last time after removing the leading term from a matrix (of one layer), `[seed, layer]`.
        random: the same with a random direction of as many entries removed.
    """

    corpus: Corpus
    times: Float[np.ndarray, " time"]
    descent: dict[str, Float[np.ndarray, "seed ..."]]
    flow: dict[str, Float[np.ndarray, "seed time layer"]]
    cosine: dict[str, Float[np.ndarray, "seed time layer"]]
    null: dict[str, Float[np.ndarray, "seed time layer"]]
    null_cosine: dict[str, Float[np.ndarray, "seed time layer"]]
    start: Float[np.ndarray, " seed"]
    loss: Float[np.ndarray, "seed time"]
    ablated: dict[str, Float[np.ndarray, "seed layer"]]
    random: dict[str, Float[np.ndarray, "seed layer"]]

    def at(self, time: float) -> int:
        """The index of a saved time."""
        return int(np.argmin(np.abs(self.times - time)))

    def worst_cosine(self, matrix: str, until: float) -> Float[np.ndarray, " seed"]:
        """Smallest cosine over layers and saved times up to `until`."""
        return self.cosine[matrix][:, : self.at(until) + 1].min(axis=(1, 2))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Relative errors and cosine of every matrix and time, worst layer and seed, in the order of `HEADER`."""
        for i, time in enumerate(self.times):
            for matrix in MATRICES:
                descent = f"{self.descent[matrix][:, i].max():.1e}" if i < self.descent[matrix].shape[1] else ""
                errors = [f"{x[matrix][:, i].max():.1e}" for x in (self.flow,)]
                null = f"{self.null[matrix][:, i].min():.2f} / {self.null_cosine[matrix][:, i].max():.2f}"
                yield (self.corpus.kind, f"{time:g}", matrix, descent, *errors,
                       f"{self.cosine[matrix][:, i].min():.6f}", null, f"{self.loss[:, i].mean():.4f}")  # fmt: skip


HEADER = (
    "corpus",
    "t",
    "matrix",
    "s-step formula / descent",
    "limit / flow",
    "cosine",
    "shuffled: error / cosine",
    "loss",
)


@dataclass(frozen=True)
class FirstSteps:
    """The study's result: a course for every corpus."""

    size: Size
    setting: Setting
    courses: dict[str, Course]

    def rows(self) -> list[tuple[str, ...]]:
        return [row for course in self.courses.values() for row in course.rows()]

    def checks(self) -> list[Check]:
        """What is asked: errors at the first time, the controls, the loss at zero, the whole-number factors."""
        counts = [theory.coefficients(s).attention for s in (3, 5, 10, 100)]
        wanted = [2, 35, 870, 12087075]
        checks = [Check("c_s for s = 3, 5, 10, 100", str(wanted), str(counts), counts == wanted)]
        return checks + [check for course in self.courses.values() for check in _checks(course)]


def attention_only(
    size: Size,
    seeds: int = 5,
    corpora: tuple[str, ...] = ("markov", "text"),
    progress: Callable[[str], None] = silent,
) -> FirstSteps:
    """Train the attention-only transformer from zero weights on several corpora and compare with the closed forms.

    Args:
        size: "tiny" (one small Markov corpus, seconds) or "normal" (40 tokens x 12 positions and real text, 3 layers).
        seeds: corpora of each kind: Markov chains, or samples of the text's sequences. Zero weights need no seed.
        corpora: which kinds.
        progress: called with a line of text after each seed.

    Raises:
        ValueError: where JAX computes in float32, which cannot resolve matrices of size t^4.

    Source: im2026associate.
    """
    need_float64("attention_only")
    setting = SETTINGS[size]
    chosen = [corpus for corpus in setting.corpora if corpus.kind in corpora]
    return FirstSteps(size, setting, {c.kind: _course(setting, c, seeds, progress) for c in chosen})


def _course(setting: Setting, corpus: Corpus, seeds: int, progress: Callable[[str], None]) -> Course:
    model, run = AttentionOnly(setting.layers), jax.jit(_run, static_argnames="setting")
    found = []
    for seed in range(seeds):
        sequences = _sequences(corpus, seed)
        data = (sequences, shuffled_sequences(seed, sequences))
        zero, loss = (
            model.init(jax.random.key(0), corpus.vocab, corpus.length),
            sequence_loss(model, sequences, corpus.vocab),
        )
        sig, null = (sequence_signatures(part, corpus.vocab) for part in data)
        found.append(jax.tree.map(np.asarray, run(zero, loss, sig, null, jax.random.key(seed), setting=setting)))
        progress(f"{corpus.kind} {seed}: loss {found[-1]['start']:.4f} to {found[-1]['loss'][-1]:.4f}")
    stacked = jax.tree.map(lambda *x: np.stack(x), *found)
    return Course(corpus, np.array(setting.times + setting.late), **stacked)


def _sequences(corpus: Corpus, seed: int) -> np.ndarray:
    if corpus.kind == "markov":
        return markov_sequences(seed, corpus.vocab, corpus.length + 1, corpus.examples)
    whole, _, _ = text_sequences(python_documentation(), corpus.vocab, corpus.length + 1)
    return sampled_sequences(seed, whole, corpus.examples)


def _run(
    zero: dict, loss: SequenceLoss, sig: SequenceSignatures, null: SequenceSignatures, key: Array, setting: Setting
) -> dict[str, Any]:
    """One corpus: gradient descent to each time, the exact flow through all of them, and the errors."""
    ts = jnp.asarray((0.0, *setting.times, *setting.late))
    flow = jax.tree.map(lambda x: x[1:], integrate(gradient_flow(loss), zero, ts, **TOLERANCES).ys)
    limit, other = (jax.vmap(theory.closed_form, (0, None, None))(ts[1:], zero, s) for s in (sig, null))

    def descend(t: Array) -> dict:
        eta = t / setting.steps
        ys = train(loss, zero, optax.sgd(eta), dt=eta, save_steps=[setting.steps]).ys
        end = jax.tree.map(lambda x: x[-1], ys)
        return _errors(end, theory.after_steps(setting.steps, eta, zero, sig))

    end = jax.tree.map(lambda x: x[-1], flow)
    ablated, random = _ablations(loss, end, theory.leading(sig, setting.layers), key)
    return {
        "descent": jax.lax.map(descend, jnp.asarray(setting.times)),
        "flow": jax.vmap(_errors)(flow, limit),
        "cosine": jax.vmap(_cosines)(flow, limit),
        "null": jax.vmap(_errors)(flow, other),
        "null_cosine": jax.vmap(_cosines)(flow, other),
        "start": loss(zero),
        "loss": jax.lax.map(loss, flow),
        "ablated": ablated,
        "random": random,
    }


def _by_layer(state: dict) -> dict[str, Float[Array, "layer ..."]]:
    """Every matrix as rows, one a layer; the output has one."""
    return {name: state[name].reshape(1 if name == "output" else state[name].shape[0], -1) for name in MATRICES}


def _errors(found: dict, predicted: dict) -> dict[str, Float[Array, " layer"]]:
    return jax.tree.map(
        lambda a, b: jnp.linalg.norm(a - b, axis=1) / jnp.linalg.norm(a, axis=1), _by_layer(found), _by_layer(predicted)
    )


def _cosines(found: dict, predicted: dict) -> dict[str, Float[Array, " layer"]]:
    def cosine(a: Array, b: Array) -> Array:
        return jnp.sum(a * b, axis=1) / (jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1))

    return jax.tree.map(cosine, _by_layer(found), _by_layer(predicted))


def _ablations(loss: SequenceLoss, state: dict, towards: dict, key: Array) -> tuple[dict, dict]:
    """Losses without the projection of one matrix of one layer on its leading term, or on a random direction."""
    draws = {n: jax.random.normal(k, state[n].shape) for n, k in zip(MATRICES, jax.random.split(key, 4), strict=True)}
    layers = {name: len(rows) for name, rows in _by_layer(state).items()}

    def without(name: str, layer: int, directions: dict) -> dict:
        rows, along = _by_layer(state)[name], _by_layer(directions)[name][layer]
        shorter = rows.at[layer].add(-(rows[layer] @ along) / (along @ along) * along)
        return {**state, name: shorter.reshape(state[name].shape)}

    cases = [without(name, i, d) for d in (towards, draws) for name in MATRICES for i in range(layers[name])]
    losses = jax.lax.map(loss, jax.tree.map(lambda *x: jnp.stack(x), *cases))
    halves, ends = losses.reshape(2, -1), np.cumsum(list(layers.values()))
    ablated, random = ({n: half[end - layers[n] : end] for n, end in zip(layers, ends, strict=True)} for half in halves)
    return ablated, random


def _checks(course: Course) -> list[Check]:
    kind, first = course.corpus.kind, f"t = {course.times[0]:g}"
    descent = max(course.descent[m][:, 0].max() for m in MATRICES)
    flow = max(course.flow[m][:, 0].max() for m in MATRICES)
    null = min(course.null[m][:, 0].min() for m in MATRICES)
    gap = float(np.abs(course.start - np.log(course.corpus.vocab)).max())
    means = {m: course.ablated[m].mean(axis=1) for m in MATRICES}
    ordered = bool((means["output"] > means["value"]).all() and (means["value"] > means["attention"]).all())
    order = ", ".join(f"{m} {means[m].mean():.4f}" for m in MATRICES[:3])
    kept = course.loss[:, -1].mean()
    return [
        Check(f"{kind}: s-step formula against descent, {first}", "<= 1e-3", f"{descent:.1e}", bool(descent <= 1e-3)),
        Check(f"{kind}: flow limit against flow, {first}", "<= 1e-3", f"{flow:.1e}", bool(flow <= 1e-3)),
        Check(
            f"{kind}: the limit for shuffled sequences, {first}",
            ">= 10 times that",
            f"{null:.2g}",
            bool(null >= 10 * flow),
        ),
        Check(f"{kind}: loss at zero is ln V", "<= 1e-12 away", f"{gap:.1e}", gap <= 1e-12),
        Check(
            f"{kind}: loss without leading term", "output > value > attention", f"{order}; whole {kept:.4f}", ordered
        ),
    ]
