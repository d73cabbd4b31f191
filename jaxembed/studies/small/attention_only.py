"""The first steps of an attention-only transformer from zero weights against their closed forms, matrix by matrix.

Markov chains and the words of Python's documentation; gradient descent against the s-step formula, the exact flow
against its limit, in float64, beside the limit for shuffled sequences. Zero weights need no seed: a seed is a corpus, a
Markov chain or a sample of the text's sequences.

Source: im2026associate.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from ...tables import Table
from ...theory import attention_only as theory
from ...train import train
from ..evidence import Bound, Evidence, Size
from ..rows import control, described, direction, exact, expected
from ..study import Run, Study

MATRICES = ("output", "value", "attention", "position")
TOLERANCES: dict[str, Any] = {"solver": "dopri8", "rtol": 1e-8, "atol": 1e-18}
"""From zero there is no initial scale to take the absolute tolerance from; W is 1e-10 at t = 0.05."""


@dataclass(frozen=True)
class CorpusSizes:
    """Sizes of one kind of corpus: `length` labelled positions of `examples` sequences."""

    kind: str
    vocab: int
    length: int
    examples: int


@dataclass(frozen=True)
class FirstStepsSetting:
    """Corpora, layers, times: gradient descent takes `steps` steps to each of `times`; the flow goes on to `late`."""

    corpora: tuple[CorpusSizes, ...] = (CorpusSizes("markov", 40, 12, 256), CorpusSizes("text", 100, 32, 64))
    layers: int = 3
    steps: int = 50
    times: tuple[float, ...] = (0.05, 0.5, 2.5, 10.0)
    late: tuple[float, ...] = (16.0, 48.0, 160.0)


SETTINGS: dict[Size, FirstStepsSetting] = {
    "tiny": FirstStepsSetting((CorpusSizes("markov", 24, 8, 64),), layers=2, late=(16.0,)),
    "quick": FirstStepsSetting(),
}


@dataclass(frozen=True)
class CorpusSteps:
    """One kind of corpus: training and flow against the leading terms; by matrix (`MATRICES`).

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

    corpus: CorpusSizes
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

    @property
    def words(self) -> str:
        """How claims call the corpus."""
        text = f"text, {self.corpus.vocab} words x {self.corpus.length} positions"
        return text if self.corpus.kind == "text" else "first steps"

    def cosines(self, until: float, *matrices: str) -> tuple[np.ndarray, np.ndarray]:
        """By seed, the smallest cosine of the matrices' layers up to a time, and the largest of shuffled sequences."""
        early = self.times <= until
        worst = [self.cosine[name][:, early].min(axis=(1, 2)) for name in matrices]
        null = [self.null_cosine[name][:, early].max(axis=(1, 2)) for name in matrices]
        return np.min(worst, axis=0), np.max(null, axis=0)


@dataclass(frozen=True)
class FirstSteps:
    """The first steps on every kind of corpus."""

    setting: FirstStepsSetting
    corpora: dict[str, CorpusSteps]


def run(setting: FirstStepsSetting, run: Run) -> FirstSteps:
    """Train from zero weights on several corpora of every kind and compare with the closed forms."""
    return FirstSteps(setting, {corpus.kind: _steps(setting, corpus, run) for corpus in setting.corpora})


def tables(result: FirstSteps) -> tuple[Table, ...]:
    """Relative errors and cosine of every matrix and time, worst layer and seed."""
    header = ("corpus", "t", "matrix", "s-step formula / descent", "limit / flow", "cosine", "shuffled: error / cosine",
              "loss")  # fmt: skip
    rows = [
        (kind, f"{time:g}", matrix, f"{steps.descent[matrix][:, i].max():.1e}" if i < len(result.setting.times) else "",
         f"{steps.flow[matrix][:, i].max():.1e}", f"{steps.cosine[matrix][:, i].min():.6f}",
         f"{steps.null[matrix][:, i].min():.2f} / {steps.null_cosine[matrix][:, i].max():.2f}",
         f"{steps.loss[:, i].mean():.4f}")
        for kind, steps in result.corpora.items() for i, time in enumerate(steps.times) for matrix in MATRICES
    ]  # fmt: skip
    title = "relative errors and cosines, worst layer and seed; losses are means over seeds; float64"
    return (Table(title, header, rows),)


STORIES = "at 3,000 words x 200 positions"
COSINES = {
    "attention": ("attention with its", "0.999496"),
    "value": ("values with their", "0.999169"),
    "output": ("the output with its", "0.998486"),
}
"""By matrix, the words of the claim, and the published smallest cosine."""
WITHOUT = (("output", "value", "8.29 over 6.2..6.5"), ("value", "attention", "6.2..6.5 over 5.35..5.36"))
LABELS = {"markov": "first-steps", "text": "text"}
IDS = (
    *(f"first-steps-{part}" for part in ("factor", "factors", "t48", "t160")),
    *(f"{label}-{part}" for label in LABELS.values() for part in (*MATRICES, "flow", "shuffled", "loss", "random")),
    *(f"{label}-{matrix}-cosine" for label in LABELS.values() for matrix in COSINES),
    *(f"{label}-without-{matrix}" for label in LABELS.values() for matrix, _, _ in WITHOUT),
)
REACH = Bound("expectation", least=0.998, source="the figure to reach; fewer tokens are later in training at one time")
LIMITS = {48: Bound("paper", least=0.9, source=">= 0.9"), 160: Bound("paper", least=0.7, source="> 0.7", strict=True)}
FACTOR = Bound("machinery", 12087075, 12087075, "3 C(s,4) + 2 C(s,3)")


def evidence(result: FirstSteps) -> tuple[Evidence, ...]:
    """The whole-number factors; by kind of corpus, errors at the first time, controls, cosines and ablations."""
    few, last = np.array([theory.coefficients(s).attention for s in (3, 5, 10)]), theory.coefficients(100).attention
    factor = "first steps: factor of attention after 100 steps"
    early = "first steps: distance of the factors after 3, 5 and 10 steps from 2, 35 and 870"
    rows = [row for steps in result.corpora.values() for row in (*_errors_of(steps), *_cosines_of(steps))]
    return (
        Evidence("first-steps-factor", factor, np.array([float(last)]), FACTOR, FACTOR.source, no_null="whole numbers"),
        exact("first-steps-factors", early, np.abs(few - (2, 35, 870)).max(), 0.0),
        *(replace(row, varied="corpora") for row in rows),
    )


def _errors_of(steps: CorpusSteps) -> Iterator[Evidence]:
    """At the first time; the null is shuffled sequences."""
    label, words, t = LABELS[steps.corpus.kind], steps.words, steps.times[0]
    for name in MATRICES:
        error, null = (x[name][:, 0].max(axis=1) for x in (steps.descent, steps.null))
        claim = f"{words}: {name} follows its statistic (error at t = {t:g})"
        yield exact(f"{label}-{name}", claim, error, 1e-3, published="theorem, no number", null=null)
    flow = np.max([steps.flow[name][:, 0].max(axis=1) for name in MATRICES], axis=0)
    null = np.min([steps.null[name][:, 0].min(axis=1) for name in MATRICES], axis=0)
    yield exact(f"{label}-flow", f"{words}: error of the flow limit at the same time", flow, 1e-3, null=null)
    yield control(f"{label}-shuffled", f"{words}: error of shuffled sequences over that", null / flow.max(), 10.0)
    start = np.abs(steps.start - np.log(steps.corpus.vocab))
    claim = f"{words}: loss at zero weights is ln V (distance)"
    yield exact(f"{label}-loss", claim, start, 1e-12, published="8.00 = ln 3000")


def _cosines_of(steps: CorpusSteps) -> Iterator[Evidence]:
    """Smallest cosines up to a time beside the largest of shuffled sequences, and losses without leading terms."""
    label, markov = LABELS[steps.corpus.kind], steps.corpus.kind == "markov"
    for name, (phrase, published) in COSINES.items():
        claim, (worst, null) = f"smallest cosine of {phrase} statistic up to t = 16", steps.cosines(16, name)
        claim = claim if markov else f"{steps.words}: smallest cosine of {name} to t = 16"
        yield Evidence(f"{label}-{name}-cosine", claim, worst, REACH, f"{published} {STORIES}", null, ceiling="1")
    for until, bound in LIMITS.items():
        if markov and until in steps.times:
            claim, (worst, null) = f"all matrices: smallest cosine up to t = {until}", steps.cosines(until, *COSINES)
            yield Evidence(f"{label}-t{until}", claim, worst, bound, f"{bound.source} {STORIES}", null, ceiling="1")
    end, means = f"loss at t = {steps.times[-1]:g} without", {n: x.mean(axis=1) for n, x in steps.ablated.items()}
    for more, less, published in WITHOUT:
        name, claim = f"{label}-without-{more}", f"{end} the leading term: {more} over {less}"
        yield direction(name, claim, means[more] - means[less], published=f"{published} {STORIES}")
    moved = np.abs(steps.random["output"][:, 0] - steps.loss[:, -1]) / (steps.start - steps.loss[:, -1])
    claim = f"{end} a random direction of the output: change over the loss gained"
    yield expected(f"{label}-random", claim, moved, most=0.1, no_null="it is the control", ceiling="0")


STUDY = Study(
    name="attention_only",
    source="im2026associate",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=described(
        "{layers} layers, zero start, exact flow against (A10); mean over corpora, band smallest to largest, layer by "
        "layer the worst; dashed: statistics of shuffled sequences."
    ),
    ids=IDS,
    takes={"tiny": "30 s", "quick": "5 min"},
    smaller={
        "tiny": "24 tokens x 8 positions, 2 layers",
        "quick": "40 tokens x 12 positions and 100 words x 32, for 3,000 words x 200",
    },
    needs=("float64",),
    ledger="quick",
    beyond_tiny=("first-steps-t48", "first-steps-t160", "text-output", "text-value", "text-attention",
                 "text-position", "text-flow", "text-shuffled", "text-loss", "text-random", "text-attention-cosine",
                 "text-value-cosine", "text-output-cosine", "text-without-output", "text-without-value"),
)  # fmt: skip


def _steps(setting: FirstStepsSetting, corpus: CorpusSizes, run: Run) -> CorpusSteps:
    model, compiled, found = AttentionOnly(setting.layers), jax.jit(_run, static_argnames="setting"), []
    for seed in range(run.seeds):
        sequences = _sequences(corpus, seed)
        zero = model.init(jax.random.key(0), corpus.vocab, corpus.length)
        loss = sequence_loss(model, sequences, corpus.vocab)
        data = (sequences, shuffled_sequences(sequences, key=seed))
        sig, null = (sequence_signatures(part, corpus.vocab) for part in data)
        found.append(jax.tree.map(np.asarray, compiled(zero, loss, sig, null, jax.random.key(seed), setting=setting)))
        run.progress(f"{corpus.kind} {seed}: loss {found[-1]['start']:.4f} to {found[-1]['loss'][-1]:.4f}")
    stacked = jax.tree.map(lambda *x: np.stack(x), *found)
    return CorpusSteps(corpus, np.array(setting.times + setting.late), **stacked)


def _sequences(corpus: CorpusSizes, seed: int) -> np.ndarray:
    if corpus.kind == "markov":
        return markov_sequences(corpus.vocab, corpus.length + 1, corpus.examples, key=seed)
    whole, _, _ = text_sequences(python_documentation(), corpus.vocab, corpus.length + 1)
    return sampled_sequences(whole, corpus.examples, key=seed)


def _run(
    zero: dict,
    loss: SequenceLoss,
    sig: SequenceSignatures,
    null: SequenceSignatures,
    key: Array,
    setting: FirstStepsSetting,
) -> dict[str, Any]:
    """One corpus: gradient descent to each time, the exact flow through all of them, and the errors."""
    ts = jnp.asarray((0.0, *setting.times, *setting.late))
    flow = jax.tree.map(lambda x: x[1:], integrate(gradient_flow(loss), zero, ts, **TOLERANCES).ys)
    limit, other = (jax.vmap(theory.closed_form, (0, None, None))(ts[1:], zero, s) for s in (sig, null))

    def descend(t: Array) -> dict:
        eta = t / setting.steps
        ys = train(loss, zero, optax.sgd(eta), dt=eta, save_steps=[setting.steps]).ys
        end = jax.tree.map(lambda x: x[-1], ys)
        return _apart(end, theory.after_steps(setting.steps, eta, zero, sig))[0]

    end = jax.tree.map(lambda x: x[-1], flow)
    ablated, random = _ablations(loss, end, theory.leading(sig, setting.layers), key)
    (error, cosine), (other_error, other_cosine) = (jax.vmap(_apart)(flow, predicted) for predicted in (limit, other))
    return {
        "descent": jax.lax.map(descend, jnp.asarray(setting.times)),
        "flow": error,
        "cosine": cosine,
        "null": other_error,
        "null_cosine": other_cosine,
        "start": loss(zero),
        "loss": jax.lax.map(loss, flow),
        "ablated": ablated,
        "random": random,
    }


def _by_layer(state: dict) -> dict[str, Float[Array, "layer ..."]]:
    """Every matrix as rows, one a layer; the output has one."""
    return {name: state[name].reshape(1 if name == "output" else state[name].shape[0], -1) for name in MATRICES}


def _apart(found: dict, predicted: dict) -> tuple[dict[str, Float[Array, " layer"]], dict[str, Float[Array, " layer"]]]:
    """Relative errors and cosines of every matrix."""
    errors, cosines = {}, {}
    for name, rows in _by_layer(found).items():
        other, size = _by_layer(predicted)[name], jnp.linalg.norm(rows, axis=1)
        errors[name] = jnp.linalg.norm(rows - other, axis=1) / size
        cosines[name] = jnp.sum(rows * other, axis=1) / (size * jnp.linalg.norm(other, axis=1))
    return errors, cosines


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
