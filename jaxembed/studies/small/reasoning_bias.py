"""Reasoning bias: at small initialisation anchors that add are learned long before anchors that map at random."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...base import Dataset
from ...ensemble import ensemble
from ...losses.population import minibatch_loss, population_loss
from ...models import Feedforward
from ...observables import cosine, order, pair_cosines, r_cos
from ...tasks import MixedAnchors, shuffled
from ...train import Progress, advance, start
from ..check import Check, Size
from ..measured import Measured, silent, single_precision
from .reasoning_checks import checks_of
from .series import Series

PARTS = ("reasoning", "memory", "held-out")


@dataclass(frozen=True)
class Setting:
    """Task, model and training: AdamW with optax's default weight decay, fresh minibatches, float32.

    Attributes:
        task: mixed anchors.
        width: embedding width.
        hidden: hidden width.
        gammas: exponents of the initial standard deviation d_in^(-gamma); above 0.5 is small.
        learning_rate: of AdamW.
        batch: examples in a minibatch, drawn with replacement.
        steps_per_save: steps between saves.
        saves_per_chunk: saves between looks at whether all seeds have reached `target`.
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


SETTINGS = {
    "tiny": Setting(
        MixedAnchors(keys=12, memory_anchors=4, reasoning_anchors=4),
        width=16,
        hidden=32,
        gammas=(0.3, 0.8),
        learning_rate=5e-3,
        batch=200,
        steps_per_save=20,
        saves_per_chunk=8,
        max_steps=480,
        target=1.0,
    ),
    "normal": Setting(),
}


@dataclass(frozen=True)
class ReasoningBias:
    """Losses and anchors over training, for every exponent and for shuffled labels at the largest.

    Attributes:
        size: of the study.
        seeds: number of seeds (initialisation and data order vary together).
        setting: task, model and training.
        runs: by exponent.
        control: the largest exponent again, with the labels of all training examples shuffled, for as many steps.
    """

    size: Size
    seeds: int
    setting: Setting
    runs: dict[float, Series]
    control: Series

    @property
    def small(self) -> float:
        """The exponent of the smallest initialisation."""
        return max(self.runs)

    def at_target(self, gamma: float) -> Float[np.ndarray, " seed"]:
        """Steps at which each seed's reasoning loss reaches `setting.target`; NaN where it does not."""
        return self.runs[gamma].crossing("reasoning", np.full(self.seeds, self.setting.target))

    def at_half_fall(self, gamma: float) -> Float[np.ndarray, " seed"]:
        """Steps at which each seed's reasoning loss reaches half of its value before training."""
        run = self.runs[gamma]
        return run.crossing("reasoning", run.values["reasoning"][:, 0] / 2)

    def measured(self, gamma: float, name: str, steps: Float[np.ndarray, " seed"]) -> Measured:
        """A quantity at one step a seed, beside the shuffled control at the same steps."""
        return Measured(self.runs[gamma].at(name, steps), self.control.at(name, steps))

    def checks(self) -> list[Check]:
        """What the published comparison asks; at size tiny only what holds there (see `reasoning_checks.tiny`)."""
        return checks_of(self)


def reasoning_bias(
    size: Size,
    seeds: int = 5,
    progress: Callable[[str], None] = silent,
    gammas: tuple[float, ...] | None = None,
) -> ReasoningBias:
    """Train mixed anchors from large and small initial weights until every seed has learned to reason.

    Args:
        size: "tiny" (smaller task, seconds) or "normal" (the published setting).
        seeds: runs of each exponent.
        progress: called with a line of text after each chunk of training.
        gammas: only these exponents; all of the setting's unless given.

    Source: yao2025reasoning.
    """
    setting = SETTINGS[size] if gammas is None else replace(SETTINGS[size], gammas=gammas)
    data = setting.task.dataset()
    runs = {gamma: _run(setting, gamma, seeds, data, _parts(setting.task), progress) for gamma in setting.gammas}
    small = max(runs)
    as_long = replace(setting, target=-np.inf, max_steps=int(runs[small].steps[-1]))
    relabelled = shuffled(data, 0)
    parts = _relabelled_parts(setting.task, relabelled)
    control = _run(as_long, small, seeds, relabelled, parts, lambda line: progress(f"shuffled labels, {line}"))
    return ReasoningBias(size, seeds, setting, runs, control)


def _parts(task: MixedAnchors) -> dict[str, Dataset]:
    return dict(zip(PARTS, (task.reasoning_dataset(), task.memory_dataset(), task.held_out_dataset()), strict=True))


def _relabelled_parts(task: MixedAnchors, relabelled: Dataset) -> dict[str, Dataset]:
    """The relabelled examples by the type of their anchors; the held-out ones keep their labels."""
    memory = np.isin(relabelled.tokens[:, 1], task.memory_anchor_tokens)

    def part(rows: np.ndarray) -> Dataset:
        weights = relabelled.weights[rows] / relabelled.weights[rows].sum()
        return replace(relabelled, tokens=relabelled.tokens[rows], targets=relabelled.targets[rows], weights=weights)

    return dict(zip(PARTS, (part(~memory), part(memory), task.held_out_dataset()), strict=True))


def _run(
    setting: Setting,
    gamma: float,
    seeds: int,
    data: Dataset,
    parts: dict[str, Dataset],
    progress: Callable[[str], None],
) -> Series:
    """Train all seeds chunk by chunk until the slowest has reached the target."""
    model = setting.model(gamma)
    training = single_precision(minibatch_loss(model, data, setting.batch))
    shared = (training, {name: single_precision(population_loss(model, part)) for name, part in parts.items()})
    gaps = jnp.full(setting.saves_per_chunk, setting.steps_per_save)

    def begun(now: Progress, training: Any, parts: dict) -> dict[str, Array]:
        return jax.tree.map(lambda x: x[None], _kept(setting.task, parts, now.params))

    def chunk(now: Progress, training: Any, parts: dict) -> tuple[Progress, dict[str, Array]]:
        now, run = advance(training, setting.optimizer, now, gaps, save=partial(_kept, setting.task, parts))
        return now, run.ys

    now = jax.vmap(partial(_started, setting, model, data))(jax.random.split(jax.random.key(0), seeds))
    kept = [ensemble(begun, now, *shared)]
    steps, began = 0, perf_counter()
    while steps < setting.max_steps and not _all_below(kept[-1]["reasoning"], setting.target):
        now, saved = ensemble(chunk, now, *shared)
        kept.append(saved)
        steps += setting.saves_per_chunk * setting.steps_per_save
        progress(f"gamma {gamma:g}, step {steps}: {_losses_text(saved)}, {perf_counter() - began:.0f} s")
    return _series(setting, kept)


def _started(setting: Setting, model: Feedforward, data: Dataset, key: Array) -> Progress:
    init_key, data_key = jax.random.split(key)
    params = single_precision(model.init(init_key, data.vocab, data.length))
    return start(params, setting.optimizer, data_key)


def _kept(task: MixedAnchors, parts: dict, params: dict[str, Array]) -> dict[str, Array]:
    """Population losses and the anchors' embeddings: all that is saved of a state."""
    return {name: loss(params) for name, loss in parts.items()} | {"anchors": params["embed"][task.anchor_tokens]}


def _all_below(losses: Float[Array, "seed time"], target: float) -> bool:
    return bool(np.all(np.asarray(losses).min(axis=1) < target))


def _losses_text(saved: dict[str, Array]) -> str:
    return ", ".join(f"{name} {float(saved[name][:, -1].mean()):.2f}" for name in PARTS)


def _series(setting: Setting, kept: list[dict[str, Array]]) -> Series:
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
