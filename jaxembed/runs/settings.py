"""What an experiment on a task is: task, model, training, precision; the command line's flags are these fields."""

import math
from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp

from ..corpus import TextBigram
from ..models import Feedforward, Linear, TwoPosition
from ..tasks import Addition, BinaryTable, LabelNeutral, Memory, MixedAnchors, Modular

AnyTask = Addition | LabelNeutral | Modular | Memory | MixedAnchors | BinaryTable | TextBigram
AnyModel = Linear | Feedforward | TwoPosition
Precision = Literal["float64", "float32"]


@dataclass(frozen=True)
class Experiment:
    """A task, a model, and how to train it; the command line's flags are these fields."""

    task: AnyTask
    """The data."""
    model: AnyModel
    """The model and its initial scale."""
    seeds: int = 5
    """Independent initialisations, trained in one call."""
    init_seed: int = 0
    """Seed of the initial weights."""
    data_seed: int = 0
    """Seed of minibatches and of the shuffled control."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """Plain gradient descent runs on the flow's clock; the others count steps and are not compared with flow. AdamW has
    optax's own decay of 1e-4 besides `weight_decay`."""
    learning_rate: float | None = None
    """Step size; none with sgd spreads the flow time over the steps."""
    batch: int | None = None
    """Examples per step, or none for the whole population."""
    steps: int = 1000
    """Training steps."""
    saves: int = 40
    """Saved times after the start."""
    plateaus: float = 2.5
    """Length of the run in units of the predicted plateau time t1."""
    flow_time: float | None = None
    """Length of the run in flow time instead."""
    rtol: float = 1e-6
    """Relative tolerance of the flow and theory integrations."""
    weight_decay: float = 0.0
    """Strength lambda of a decay that is part of the flow: the loss gains lambda / 2 times the squared weights."""
    dtype: Precision = "float64"
    """Precision; theory at small initial scales needs float64."""

    def __post_init__(self) -> None:
        check_lengths(self.seeds, self.steps, self.saves)
        for name in ("learning_rate", "plateaus", "flow_time", "rtol"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}: must be a positive number, got {value}")
        if self.optimizer != "sgd" and self.learning_rate is None:
            raise ValueError(f"learning_rate: {self.optimizer} needs one; 1e-3 is usual")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch: must be at least 1, or none for the whole population; got {self.batch}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay: must be 0 or a positive number, got {self.weight_decay}")


def memory_estimate(experiment: Experiment) -> float:
    """Bytes that the saved trajectories and the loss tables will take, roughly; said before a run starts."""
    vocab, examples = _sizes(experiment.task)
    width, hidden = experiment.model.width, getattr(experiment.model, "hidden", None) or experiment.model.width
    itemsize = 8 if experiment.dtype == "float64" else 4
    tables = 3 if isinstance(experiment.model, TwoPosition) else 2
    parameters = vocab * ((tables - 1) * width + hidden) + width * hidden
    rows = experiment.batch or examples
    return itemsize * (6 * experiment.seeds * (experiment.saves + 1) * parameters + 6 * rows * vocab)


def init_scale(model: AnyModel) -> float:
    """Initial scale as a caption names it; by gamma that of a matrix with `width` inputs."""
    if isinstance(model, TwoPosition):
        return model.scale
    return model.init_scale if model.gamma is None else model.width ** (-model.gamma)


def check_lengths(seeds: int, steps: int, saves: int) -> None:
    """Refuse a run without seeds, steps or saves, or with more saves than steps.

    Raises:
        ValueError: naming the setting.
    """
    for name, value in (("seeds", seeds), ("steps", steps), ("saves", saves)):
        if value < 1:
            raise ValueError(f"{name}: must be at least 1, got {value}")
    if saves > steps:
        raise ValueError(f"saves: {saves} saves need at least as many steps, got {steps}")


def check_dtype(dtype: Precision) -> None:
    """Refuse a precision that JAX is not set to.

    Raises:
        ValueError: saying what to switch.
    """
    wide = jnp.zeros((), float).dtype == jnp.float64
    if dtype == "float64" and not wide:
        raise ValueError('dtype: float64 needs jax.config.update("jax_enable_x64", True) first, or choose float32')
    if dtype == "float32" and wide:
        raise ValueError("dtype: float32 was asked for but JAX runs in float64; switch jax_enable_x64 off first")


def _sizes(task: AnyTask) -> tuple[int, int]:
    if isinstance(task, TextBigram):
        return task.vocab_size, task.vocab_size
    if isinstance(task, BinaryTable):
        return task.size, task.size**2
    return task.vocab, task.population().size
