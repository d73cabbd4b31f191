"""Reasoning bias: at small initialisation anchors that add are learned long before anchors that map at random.

Mixed anchors are trained from large and small initial weights until every seed has learned to reason, and the smallest
weights once more with the labels of all training examples shuffled. AdamW with optax's default weight decay, fresh
minibatches, float32; a seed varies initialisation and data order together.

Source: yao2025reasoning.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ...base import Dataset
from ...ensemble import ensemble
from ...losses.population import minibatch_loss, population_loss
from ...models import Feedforward
from ...observables import cosine, order, pair_cosines, r_cos
from ...observables.crossing import crossing
from ...tables import Table, spread
from ...tasks import MixedAnchors, shuffled
from ...train import TrainingState, advance, single_precision, start
from ..evidence import Bound, Evidence, Size
from ..rows import control, described, direction
from ..study import Run, Study

PARTS = ("reasoning", "memory", "held-out")


@dataclass(frozen=True)
class ReasoningSetting:
    """Task, model and training.

    Attributes:
        task: mixed anchors.
        width: embedding width.
        hidden: hidden width.
        gammas: exponents of the initial standard deviation d_in^(-gamma); above 0.5 is small.
        learning_rate: of AdamW.
        batch: examples in a minibatch, drawn with replacement.
        steps_per_save: steps between saves.
        saves_per_chunk: saves after which training stops if all seeds have reached `target`.
        max_steps: steps after which an exponent is given up.
        target: reasoning loss at which the losses are compared.
    """

    task: MixedAnchors = field(default_factory=MixedAnchors)
    width: int = 200
    hidden: int = 400
    gammas: tuple[float, ...] = (0.3, 0.5, 0.8)
    learning_rate: float = 1e-3
    batch: int = 2000
    steps_per_save: int = 25
    saves_per_chunk: int = 10
    max_steps: int = 2000
    target: float = 0.6

    @property
    def optimizer(self) -> optax.GradientTransformation:
        return optax.adamw(self.learning_rate)

    def model(self, gamma: float) -> Feedforward:
        return Feedforward(self.width, hidden=self.hidden, gamma=gamma)


SETTINGS: dict[Size, ReasoningSetting] = {
    "tiny": ReasoningSetting(
        MixedAnchors(keys=12, memory_anchors=4, reasoning_anchors=4), width=16, hidden=32, gammas=(0.3, 0.8),
        learning_rate=5e-3, batch=200, steps_per_save=20, saves_per_chunk=8, max_steps=480, target=1.0,
    ),
    "published": ReasoningSetting(),
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """What was seen of an ensemble during training.

    Attributes:
        steps: `[time]`, saved steps, from 0.
        cosines: `[seed, time, token, token]`, the anchors' cosine matrices.
        values: by name, `[seed, time]`.

    >>> run = Series(np.array([0, 10]), np.ones((1, 2, 1, 1)), {"loss": np.array([[4.0, 2.0]])})
    >>> run.crossing("loss", np.array([3.5])), run.at("loss", np.array([5.0]))
    (array([2.5]), array([3.]))
    """

    steps: Int[np.ndarray, " time"]
    cosines: Float[np.ndarray, "seed time token token"]
    values: dict[str, Float[np.ndarray, "seed time"]]

    def crossing(self, name: str, level: Float[np.ndarray, " seed"] | float) -> Float[np.ndarray, " seed"]:
        """The step at which each seed's value first falls to `level`, linear between saves; NaN where it never does."""
        return np.asarray(crossing(self.steps, self.values[name], level, rising=False))

    def at(self, name: str, steps: Float[np.ndarray, " seed"]) -> Float[np.ndarray, " seed"]:
        """Each seed's value at its own step, linear between saves; NaN where the step is NaN or past the end."""
        pairs = zip(self.values[name], steps, strict=True)
        return np.array([np.interp(step, self.steps, series, right=np.nan) for series, step in pairs])

    def cosines_at(self, steps: Float[np.ndarray, " seed"]) -> Float[np.ndarray, "token token"]:
        """The mean over seeds of the cosine matrices saved next to each seed's step; NaN where a step is NaN."""
        if np.isnan(steps).any():
            return np.full(self.cosines.shape[2:], np.nan)
        nearest = np.argmin(np.abs(self.steps[None, :] - steps[:, None]), axis=1)
        return self.cosines[np.arange(len(steps)), nearest].mean(axis=0)


@dataclass(frozen=True)
class ReasoningBias:
    """Losses and anchors over training, for every exponent and for shuffled labels at the largest.

    Attributes:
        setting: task, model and training.
        runs: by exponent.
        control: the largest exponent again, with the labels of all training examples shuffled, for as many steps.
    """

    setting: ReasoningSetting
    runs: dict[float, Series]
    control: Series

    @property
    def small(self) -> float:
        """The exponent of the smallest initialisation."""
        return max(self.runs)

    @property
    def large(self) -> float:
        """The exponent of the largest initialisation."""
        return min(self.runs)

    def at_target(self, gamma: float) -> Float[np.ndarray, " seed"]:
        """Steps at which each seed's reasoning loss reaches `setting.target`; NaN where it does not."""
        return self.runs[gamma].crossing("reasoning", self.setting.target)

    def at_half_fall(self, gamma: float) -> Float[np.ndarray, " seed"]:
        """Steps at which each seed's reasoning loss reaches half of its value before training."""
        run = self.runs[gamma]
        return run.crossing("reasoning", run.values["reasoning"][:, 0] / 2)


def run(setting: ReasoningSetting, run: Run) -> ReasoningBias:
    """Train every exponent, then the control; a line of progress after each chunk of training."""
    data = setting.task.dataset()
    runs = {gamma: _trained(setting, gamma, data, _parts(setting.task), run) for gamma in setting.gammas}
    small, relabelled = max(runs), shuffled(data, 0)
    as_long = replace(setting, target=-np.inf, max_steps=int(runs[small].steps[-1]))
    parts = _relabelled_parts(setting.task, relabelled)
    return ReasoningBias(setting, runs, _trained(as_long, small, relabelled, parts, run, "shuffled labels, "))


def tables(result: ReasoningBias) -> tuple[Table, ...]:
    """Mean ± sd over seeds where the reasoning loss has fallen to half, and where it reaches the target."""
    losses = tuple(f"{part} loss" for part in PARTS)
    header = ("gamma", "step", *losses, "memory cosine, order", "reasoning cosine, order")
    title = "losses and anchors where the reasoning loss has halved, and where it reaches the target; mean ± sd"
    rows = []
    for gamma, series in result.runs.items():
        for steps in (result.at_half_fall(gamma), result.at_target(gamma)):
            text = {name: spread(series.at(name, steps)) for name in series.values}
            anchors = [f"{text[f'{kind} cosine']}, {text[f'{kind} order']}" for kind in ("memory", "reasoning")]
            rows.append((f"{gamma:g}", f"{steps.mean():.0f}", *(text[part] for part in PARTS), *anchors))
    return (Table(title, header, rows),)


CURVES, HEAT = "loss curves, no number", "heat maps, no number"
CLAIMS = (
    ("reasoning-first", "small init (gamma 0.8): memory unlearnt when reasoning is learnt (memory loss)", CURVES,
     "small", "memory", 4.2, None),
    ("reasoning-generalises", "small init (gamma 0.8): held-out reasoning is learnt (held-out loss)", CURVES,
     "small", "held-out", None, 1.3),
    ("memory-at-large-init", "large init (gamma 0.3): memory is learnt along with reasoning (memory loss)", CURVES,
     "large", "memory", None, 3.0),
    ("large-init-overfits", "large init (gamma 0.3): held-out reasoning is not learnt (held-out loss)", CURVES,
     "large", "held-out", 2.5, None),
    ("memory-anchors-collinear", "small init: memory anchors stay collinear (mean cosine at half fall)", HEAT,
     "small", "memory cosine", 0.85, None),
    ("reasoning-anchors-order", "small init: reasoning anchors' cosine falls with distance (order at half fall)", HEAT,
     "small", "reasoning order", 0.9, None),
    ("reasoning-kernel", "an early reasoning anchor is close to exp(-(j-s)^2/12) - 1/d (R_cos)",
     "exp(-(j-s)^2/12) - 1/d", "small", "kernel", 0.85, None),
)  # fmt: skip
"""Id, claim, what is published, initialisation, quantity and bounds; losses at the target, the rest at half fall."""
SEEDS = "seeds of init and data order"


def evidence(result: ReasoningBias) -> tuple[Evidence, ...]:
    """The published comparison; the null is the opposite initialisation, at its own step."""
    rows = []
    for name, claim, published, init, quantity, least, most in CLAIMS:
        bound = Bound("expectation", least, most, "expected of the published setting")
        when, ceiling = (result.at_target, "0") if quantity in PARTS else (result.at_half_fall, "1")
        gammas = (result.small, result.large) if init == "small" else (result.large, result.small)
        values, null = (result.runs[gamma].at(quantity, when(gamma)) for gamma in gammas)
        rows.append(Evidence(name, claim, values, bound, published, null, ceiling=ceiling, varied=SEEDS))
    return (*rows, *_controls(result))


def _controls(result: ReasoningBias) -> list[Evidence]:
    """Memory comes later from small weights; with shuffled labels neither kind of anchor is easier."""
    small, steps, half = result.small, result.at_target(result.small), result.at_half_fall(result.small)
    later = result.runs[small].at("memory", steps)
    later -= result.runs[result.large].at("memory", result.at_target(result.large))
    gap = np.abs(result.control.at("reasoning", steps) - result.control.at("memory", steps))
    ahead = np.mean(result.runs[small].at("kernel", half)) - np.mean(result.control.at("kernel", half))
    together = Bound("machinery", most=0.3, source="a control that must fail")
    return [
        direction("reasoning-memory-later", "memory loss where reasoning is learnt, small init minus large init", later,
                  published=CURVES, varied=SEEDS),
        Evidence("reasoning-shuffled", "shuffled labels: distance of reasoning and memory loss at the same step", gap,
                 together, no_null="it is the control", ceiling="0", varied=SEEDS, every=True),
        control("reasoning-kernel-shuffled", "R_cos of the published form minus that of shuffled labels, means", ahead),
    ]  # fmt: skip


STUDY = Study(
    name="reasoning_bias",
    source="yao2025reasoning",
    settings=SETTINGS,
    seeds={"tiny": 2, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=described(
        "Feedforward, width {width}, hidden {hidden}, weights of standard deviation d_in^-gamma; AdamW "
        "{learning_rate:g}, batch {batch}, float32; seeds: init and data order, band: smallest to largest."
    ),
    ids=(*(claim[0] for claim in CLAIMS), "reasoning-memory-later", "reasoning-shuffled", "reasoning-kernel-shuffled"),
    takes={"tiny": "30 s", "published": "10 min"},
    smaller={"tiny": "12 keys and 8 anchors, width 16 for 200, two exponents for three"},
    ledger="published",
)


def _parts(task: MixedAnchors) -> dict[str, Dataset]:
    return dict(zip(PARTS, (task.reasoning_dataset(), task.memory_dataset(), task.held_out_dataset()), strict=True))


def _relabelled_parts(task: MixedAnchors, relabelled: Dataset) -> dict[str, Dataset]:
    """The relabelled examples by the type of their anchors; the held-out ones keep their labels."""
    memory = np.isin(relabelled.tokens[:, 1], task.memory_anchor_tokens)

    def part(rows: np.ndarray) -> Dataset:
        weights = relabelled.weights[rows] / relabelled.weights[rows].sum()
        return replace(relabelled, tokens=relabelled.tokens[rows], targets=relabelled.targets[rows], weights=weights)

    return dict(zip(PARTS, (part(~memory), part(memory), task.held_out_dataset()), strict=True))


def _trained(
    setting: ReasoningSetting, gamma: float, data: Dataset, parts: dict[str, Dataset], run: Run, label: str = ""
) -> Series:
    """Train all seeds chunk by chunk until the slowest has reached the target."""
    model = setting.model(gamma)
    training = single_precision(minibatch_loss(model, data, setting.batch))
    shared = (training, {name: single_precision(population_loss(model, part)) for name, part in parts.items()})
    gaps = jnp.full(setting.saves_per_chunk, setting.steps_per_save)

    def begun(now: TrainingState, training: Any, parts: dict) -> dict[str, Array]:
        return jax.tree.map(lambda x: x[None], _kept(setting.task, parts, now.params))

    def go_on(now: TrainingState, training: Any, parts: dict) -> tuple[TrainingState, dict[str, Array]]:
        now, chunk = advance(training, setting.optimizer, now, gaps, save=partial(_kept, setting.task, parts))
        return now, chunk.ys

    now = jax.vmap(partial(_started, setting, model, data))(jax.random.split(jax.random.key(0), run.seeds))
    kept = [ensemble(begun, now, *shared)]
    steps, began = 0, perf_counter()
    while steps < setting.max_steps and not np.all(kept[-1]["reasoning"].min(axis=1) < setting.target):
        now, saved = ensemble(go_on, now, *shared)
        kept.append(saved)
        steps += setting.saves_per_chunk * setting.steps_per_save
        losses = ", ".join(f"{name} {float(saved[name][:, -1].mean()):.2f}" for name in PARTS)
        run.progress(f"{label}gamma {gamma:g}, step {steps}: {losses}, {perf_counter() - began:.0f} s")
    return _series(setting, kept)


def _started(setting: ReasoningSetting, model: Feedforward, data: Dataset, key: Array) -> TrainingState:
    init_key, data_key = jax.random.split(key)
    params = single_precision(model.init(init_key, data.vocab, data.length))
    return start(params, setting.optimizer, data_key)


def _kept(task: MixedAnchors, parts: dict, params: dict[str, Array]) -> dict[str, Array]:
    """Population losses and the anchors' embeddings: all that is saved of a state."""
    return {name: loss(params) for name, loss in parts.items()} | {"anchors": params["embed"][task.anchor_tokens]}


def _series(setting: ReasoningSetting, kept: list[dict[str, Array]]) -> Series:
    """All chunks on one axis, with what is read off the anchors."""
    saved = {name: jnp.concatenate([part[name] for part in kept], axis=1) for name in kept[0]}
    anchors = saved.pop("anchors").astype(float)
    kernel = jnp.asarray(published_kernel(setting.task.reasoning_anchor_tokens, setting.width), float)
    observed = jax.jit(jax.vmap(jax.vmap(_observed, (0, None)), (0, None)))(anchors, kernel)
    values = {name: np.asarray(x, np.float64) for name, x in {**saved, **observed}.items()}
    steps = np.arange(values["reasoning"].shape[1]) * setting.steps_per_save
    return Series(steps, values.pop("cosines"), values)


def _observed(anchors: Float[Array, "token width"], kernel: Float[Array, "target width"]) -> dict[str, Array]:
    """What is read off the anchors' embeddings: memory anchors come first, then one per row of `kernel`."""
    memory, reasoning = anchors[: -len(kernel)], anchors[-len(kernel) :]
    return {
        "cosines": cosine(anchors),
        "memory cosine": jnp.mean(pair_cosines(memory)),
        "reasoning cosine": jnp.mean(pair_cosines(reasoning)),
        "memory order": order(memory),
        "reasoning order": order(reasoning),
        "kernel": r_cos(reasoning, kernel),
    }


def published_kernel(anchors: np.ndarray, width: int) -> Float[np.ndarray, "token width"]:
    """What a reasoning anchor's early embedding is said to be, up to a right factor.

    Equation: row s is exp(-(j - s)^2 / 12) - 1 / width for j = 1 .. width.

    >>> published_kernel(np.array([2]), 3).round(2).tolist()
    [[0.59, 0.67, 0.59]]

    Source: yao2025reasoning.
    """
    distance = np.arange(1, width + 1)[None, :] - anchors[:, None]
    return np.exp(-(distance**2) / 12) - 1 / width
