"""Settings of one pretraining run, its learning rates and its clock."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
import optax
from jaxtyping import Float

EPSILON = 1e-8
"""What Adam adds to the root of the second moment."""


@dataclass(frozen=True)
class Update:
    """The rule of one update, without its learning rate.

    Attributes:
        optimizer: "adamw" or "sgd" (plain gradient descent, whose clock is flow time).
        weight_decay: pull of AdamW towards zero, on the matrices inside the blocks only (see `decayed`).
        clip: largest global norm of the gradient; 0 leaves it as it is.
        beta1: memory of the mean of the gradient.
        beta2: memory of its square.
    """

    optimizer: Literal["adamw", "sgd"]
    weight_decay: float
    clip: float
    beta1: float
    beta2: float

    def transform(self) -> optax.GradientTransformation:
        """The optax transformation; the step multiplies its result by minus the learning rate."""
        parts = [optax.clip_by_global_norm(self.clip) if self.clip else optax.identity()]
        if self.optimizer == "adamw":
            parts.append(optax.scale_by_adam(self.beta1, self.beta2, EPSILON))
            parts.append(optax.add_decayed_weights(self.weight_decay, mask=decayed))
        return optax.chain(*parts)


def decayed(params: Any) -> Any:
    """Which parameters AdamW pulls towards zero: matrices inside the blocks.

    Embedding, unembedding, position table, gains and biases are left alone.

    >>> import numpy as np
    >>> decayed({"embed": np.ones((3, 2)), "blocks": {"up": np.ones((2, 2)), "bias": np.ones(2)}})
    {'blocks': {'bias': False, 'up': True}, 'embed': False}
    """

    def one(path: Any, leaf: Any) -> bool:
        return leaf.ndim >= 2 and any(getattr(part, "key", None) == "blocks" for part in path)

    return jax.tree_util.tree_map_with_path(one, params)


@dataclass(frozen=True)
class Pretraining:
    """How long, on what batches and by what rule a language model is trained.

    The learning rate rises linearly over `warmup` steps and then falls as half a cosine, which would reach
    `final_ratio` of the top after the last step.

    Attributes:
        steps: number of updates.
        batch: sequences of one update.
        length: tokens that one sequence predicts; each is cut with one more, its first input.
        learning_rate: at the top of the schedule.
        warmup: steps of linear rise, fewer than `steps`.
        final_ratio: learning rate that the cosine would reach after the last step, over the top one; 1 keeps it
            constant.
        weight_decay: pull of AdamW towards zero, on the matrices inside the blocks only.
        clip: largest global norm of the gradient; 0 leaves it as it is.
        accumulate: pieces that a batch is taken in, one after the other: for memory, and on processors for speed.
        compute_dtype: of activations; "float32" computes in the parameters' own dtype. Parameters, moments and the
            loss are never bfloat16.
        init_seed: of the initial parameters.
        data_seed: of the order of the data.
        optimizer: "adamw", or "sgd" for comparison with gradient flow.
        beta1: memory of AdamW's mean.
        beta2: memory of AdamW's square.
        save_steps: increasing numbers of updates after which something is kept, 0 for the start; none keeps the end.
    """

    steps: int = 1000
    batch: int = 16
    length: int = 128
    learning_rate: float = 1e-3
    warmup: int = 0
    final_ratio: float = 0.1
    weight_decay: float = 0.1
    clip: float = 1.0
    accumulate: int = 1
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    init_seed: int = 0
    data_seed: int = 0
    optimizer: Literal["adamw", "sgd"] = "adamw"
    beta1: float = 0.9
    beta2: float = 0.95
    save_steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "length", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("warmup", "init_seed", "data_seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must not be negative, got {getattr(self, name)}")
        if self.warmup >= self.steps:
            raise ValueError(f"warmup: must be fewer than the {self.steps} steps, got {self.warmup}")
        for name in ("learning_rate", "final_ratio", "weight_decay", "clip"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name}: must be a finite number, not negative, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 0 and below 1, got {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate: {self.accumulate} pieces do not share out {self.batch} sequences evenly")
        if self.optimizer == "sgd" and (self.weight_decay or self.clip):
            raise ValueError("optimizer: plain sgd follows gradient flow only with weight_decay=0 and clip=0; set both")
        _check_saves(self.save_steps, self.steps)

    @property
    def saves(self) -> tuple[int, ...]:
        """The steps that are saved."""
        return self.save_steps or (self.steps,)

    @property
    def clock(self) -> str:
        """ "flow" for plain gradient descent, else "step"."""
        return "flow" if self.optimizer == "sgd" else "step"

    @property
    def update(self) -> Update:
        """The rule of one update."""
        return Update(self.optimizer, self.weight_decay, self.clip, self.beta1, self.beta2)

    @property
    def predicted(self) -> int:
        """Tokens that one update predicts."""
        return self.batch * self.length

    def rates(self) -> Float[np.ndarray, " time"]:
        """The learning rate of every update.

        >>> Pretraining(steps=4, warmup=2, learning_rate=1.0, final_ratio=0.0).rates()
        array([0.5, 1. , 1. , 0.5])
        """
        step = np.arange(self.steps)
        fallen = np.clip((step - self.warmup) / max(1, self.steps - self.warmup), 0.0, 1.0)
        cosine = self.final_ratio + (1.0 - self.final_ratio) * 0.5 * (1.0 + np.cos(np.pi * fallen))
        return self.learning_rate * np.minimum(1.0, (step + 1) / max(1, self.warmup)) * cosine

    def times(self) -> Float[np.ndarray, " time"]:
        """The clock at every save: updates, or flow time, the sum of the learning rates so far."""
        passed = np.arange(self.steps + 1.0) if self.clock == "step" else np.append(0.0, np.cumsum(self.rates()))
        return passed[list(self.saves)]


def _check_saves(save_steps: tuple[int, ...], steps: int) -> None:
    if save_steps and (save_steps[0] < 0 or np.any(np.diff(save_steps) <= 0) or save_steps[-1] > steps):
        raise ValueError(f"save_steps: need increasing step numbers from 0 to {steps}, got {save_steps}")
