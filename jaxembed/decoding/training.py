"""Training a network on fresh draws of a process: many seeds in one call, each with a world of its own."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..base import Progress, all_finite, silent
from ..ensemble import ensemble
from ..keep import Pieces, made_by, tree_of
from ..losses.prediction import Network, masked_loss, next_item_loss
from ..models import Head, SquaredError
from ..processes.process import check_squared_error
from ..train import advance, single_precision, start

PIECES = 20
"""Calls that a run is taken in: after each it reports and, where it is kept, writes down its whole state."""
WORLD, INIT, DATA = range(3)
"""What is folded into a seed's key for each of its draws."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How a network is trained: AdamW with a warm-up, a cosine and clipped gradients, on fresh draws at every step.

    Attributes:
        model: the network.
        head: what its answers mean.
        batch: sequences of a step.
        length: items of a sequence.
        steps: updates.
        learning_rate: the largest.
        warmup: steps of its linear rise from zero.
        final_ratio: the last learning rate over the largest.
        weight_decay: of AdamW, on all parameters.
        clip: largest norm of a gradient, over all parameters.
        masked: items to fill in per sequence, for a model that is not causal; 0 predicts the next item.
        save_steps: steps whose parameters are kept, besides 0 and the last.
    """

    model: Network
    head: Head
    batch: int = 64
    length: int = 128
    steps: int = 1000
    learning_rate: float = 1e-3
    warmup: int = 50
    final_ratio: float = 0.1
    weight_decay: float = 0.0
    clip: float = 1.0
    masked: int = 0
    save_steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("batch", "length", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be positive, got {getattr(self, name)}")
        if self.save_steps and not 0 <= min(self.save_steps) <= max(self.save_steps) <= self.steps:
            raise ValueError(f"save_steps: must lie in 0..{self.steps}, got {self.save_steps}")
        longest = getattr(self.model, "max_positions", self.length)
        if self.length > longest:
            raise ValueError(f"length: {self.length} items, but max_positions is {longest}; cut or raise it")

    @property
    def saves(self) -> tuple[int, ...]:
        """All steps whose parameters are kept, in order."""
        return tuple(sorted({0, self.steps, *self.save_steps}))

    @property
    def predicted(self) -> int:
        """Items predicted in a step."""
        return self.batch * (self.masked or self.length - 1)

    @property
    def schedule(self) -> optax.Schedule:
        """The learning rate of a step."""
        end = self.learning_rate * self.final_ratio
        longest = max(self.steps, self.warmup + 1)
        return optax.warmup_cosine_decay_schedule(0.0, self.learning_rate, self.warmup, longest, end)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """The update rule."""
        rule = optax.adamw(self.schedule, weight_decay=self.weight_decay)
        return optax.chain(optax.clip_by_global_norm(self.clip), rule)

    def loss(self, process: Any, world: Any) -> Callable[[Any, PRNGKeyArray], Array]:
        """`loss(params, key)` on a fresh draw of the process in that world."""
        if isinstance(self.head, SquaredError):
            check_squared_error(process)
        parts, sizes = (self.model, self.head, process, world), {"batch": self.batch, "length": self.length}
        if self.masked:
            return masked_loss(*parts, **sizes, predictions=self.masked)
        return next_item_loss(*parts, **sizes)

    def init(self, process: Any, key: PRNGKeyArray) -> dict[str, Any]:
        """Parameters before the first step, in float32 whatever the process computes in."""
        if self.model.reads != process.reads:
            raise ValueError(f"model: reads {self.model.reads}, but the process makes {process.reads}; set reads")
        return self.model.init(key, process.size, self.head.outputs(process.size), jnp.float32)


@partial(register_dataclass, data_fields=["params", "steps", "losses", "loss_steps", "worlds"], meta_fields=["seeds"])
@dataclass(frozen=True)
class Trained:
    """What training kept.

    Attributes:
        params: the network's tree, every leaf with leading `[seed, time]` axes, float32.
        steps: `[time]`, the saved steps, from 0.
        losses: `[seed, time]`: mean loss over the steps of every piece of the run.
        loss_steps: `[time]`, the step at the end of every piece.
        worlds: the processes' worlds, every leaf with a leading `[seed]` axis.
        seeds: of the members.
    """

    params: Any
    steps: Int[np.ndarray, "..."]  # saved steps are other times than those of the losses
    losses: Float[np.ndarray, "seed time"]
    loss_steps: Int[np.ndarray, " time"]
    worlds: Any
    seeds: tuple[int, ...]

    def at(self, seed: int, time: int = -1) -> Any:
        """The parameters of one member (by its index) at one saved step (by its index; the last by default)."""
        return jax.tree.map(lambda leaf: leaf[seed, time], self.params)

    def world(self, seed: int) -> Any:
        """The world of one member, by its index."""
        return jax.tree.map(lambda leaf: leaf[seed], self.worlds)


def train_models(
    process: Any, recipe: TrainingRecipe, seeds: Sequence[int], *, keep: Path | None = None, progress: Progress = silent
) -> Trained:
    """Train one network per seed, all in one compiled call that is continued piece by piece.

    Args:
        process: draws the sequences; every seed has a world, an initial network and data of its own.
        recipe: network, head and update rule.
        seeds: of the members.
        keep: a folder for the run's state: a killed run goes on from its last piece bit for bit.
        progress: takes one line per piece, with loss and items per second.

    Raises:
        ValueError: for a loss that is not finite, or a folder that holds another run.

    >>> from jaxembed.models import Categorical, SequenceTransformer
    >>> from jaxembed.processes import BetaBernoulli
    >>> recipe = TrainingRecipe(SequenceTransformer(8, 1, 2, 8), Categorical(), batch=4, length=6, steps=3)
    >>> trained = train_models(BetaBernoulli(), recipe, (0, 1))
    >>> trained.params["head"].shape, trained.steps.tolist()
    ((2, 2, 8, 2), [0, 3])
    """
    run = _Run(process, recipe, tuple(int(seed) for seed in seeds), keep)
    run.go(progress)
    return run.trained()


def memory_estimate(process: Any, recipe: TrainingRecipe, seeds: Sequence[int]) -> float:
    """Bytes of a run: parameters, gradients and moments of all seeds, what is saved, and what one gradient holds.

    The last is the sum of all arrays that the backward pass takes over from the forward pass, counted by tracing; it
    is held once per seed where seeds run side by side, so that this is an upper bound.

    Args:
        process: draws the sequences.
        recipe: network, head and update rule.
        seeds: of the members.
    """
    shapes = jax.eval_shape(lambda: recipe.init(process, jax.random.key(0)))
    world = jax.eval_shape(lambda: process.world(jax.random.key(0)))
    weights = sum(_bytes(leaf) for leaf in jax.tree.leaves(shapes))

    def held(params: Any, world: Any, key: Array) -> Any:
        return jax.vjp(lambda p: recipe.loss(process, world)(p, key), params)[1]

    kept = jax.eval_shape(held, shapes, world, jax.random.key(0))
    residuals = sum(_bytes(leaf) for leaf in jax.tree.leaves(kept))
    return float(len(seeds) * ((4 + len(recipe.saves)) * weights + residuals))


class _Run:
    """The members' state, moved on piece by piece."""

    def __init__(self, process: Any, recipe: TrainingRecipe, seeds: tuple[int, ...], keep: Path | None) -> None:
        self.process, self.recipe, self.seeds = process, recipe, seeds
        self.worlds = _stack([process.world(_key(seed, WORLD)) for seed in seeds])
        self.state, self.losses, self.loss_steps = _start(process, recipe, seeds), [], []
        self.saved = {0: jax.device_get(self.state.params)}
        self.folder = None if keep is None else Pieces(Path(keep), _identity(process, recipe, seeds))
        self._recall()

    @property
    def step(self) -> int:
        return self.loss_steps[-1] if self.loss_steps else 0

    def go(self, progress: Progress) -> None:
        """Take all pieces that are left."""
        for end in piece_ends(self.recipe):
            if end > self.step:
                begin, before = time.perf_counter(), self.step
                self._advance(end)
                seconds = time.perf_counter() - begin
                speed = len(self.seeds) * (end - before) * self.recipe.predicted / seconds
                loss = f"{np.mean(self.losses[-1]):.4f}"
                progress(f"step {end} of {self.recipe.steps}, loss {loss}, {speed:,.0f} items/s")

    def trained(self) -> Trained:
        """What the finished run kept."""
        params = _stack([self.saved[step] for step in self.recipe.saves], axis=1)
        losses = np.stack(self.losses, axis=1)
        return Trained(params, np.array(self.recipe.saves), losses, np.array(self.loss_steps), self.worlds, self.seeds)

    def _advance(self, end: int) -> None:
        gaps = jnp.asarray([end - self.step], jnp.int32)
        members = {"progress": self.state, "world": self.worlds}
        on_processor = jax.default_backend() == "cpu"
        run = _runner(self.process, self.recipe)
        self.state, loss = ensemble(run, members, gaps, mapping="auto" if on_processor else "vmap")
        losses = np.asarray(loss, np.float64)[:, 0]
        fine = np.isfinite(losses) & np.asarray(jax.vmap(all_finite)(self.state.params))
        if not fine.all():
            raise ValueError(
                f"learning_rate: the loss of seed {self.seeds[int(np.argmin(fine))]} is not finite by step {end}; "
                f"lower --learning-rate ({self.recipe.learning_rate:g}) or raise --warmup ({self.recipe.warmup})"
            )
        self.losses.append(losses)
        self.loss_steps.append(end)
        if end in self.recipe.saves:
            self.saved[end] = jax.device_get(self.state.params)
            if self.folder is not None:
                self.folder.save(f"step_{end}", jax.tree.leaves(self.saved[end]))
        if self.folder is not None:
            leaves = jax.tree.leaves(self.state)
            self.folder.save("state", [*leaves, np.stack(self.losses), np.array(self.loss_steps)])

    def _recall(self) -> None:
        """Go on from what the folder holds of the run."""
        kept = None if self.folder is None else self.folder.saved("state")
        if kept is None or self.folder is None:
            return
        *state, losses, steps = kept
        saved = {step: self.folder.saved(f"step_{step}") for step in self.recipe.saves if 0 < step <= steps[-1]}
        if any(leaves is None for leaves in saved.values()):
            return  # one is lost or damaged: nothing but training from the start makes it again
        self.state = tree_of(state, self.state)
        self.losses, self.loss_steps = list(losses), steps.tolist()
        self.saved |= {step: tree_of(leaves or [], self.saved[0]) for step, leaves in saved.items()}


@lru_cache(maxsize=32)
def _runner(process: Any, recipe: TrainingRecipe) -> Callable[..., Any]:
    """One member's piece of a run; kept, so that JAX compiles it once for all pieces and later calls."""
    optimizer = recipe.optimizer

    def run(member: dict[str, Any], gaps: Array) -> tuple[Any, Array]:
        world = single_precision(member["world"])
        moved, line = advance(recipe.loss(process, world), optimizer, member["progress"], gaps, save=lambda params: ())
        return moved, line.info["mean_loss"]

    return run


def _start(process: Any, recipe: TrainingRecipe, seeds: tuple[int, ...]) -> Any:
    """Every member before its first step."""
    params = _stack([recipe.init(process, _key(seed, INIT)) for seed in seeds])
    keys = jnp.stack([jax.random.key_data(_key(seed, DATA)) for seed in seeds])
    return jax.vmap(lambda p, key: start(p, recipe.optimizer, key))(params, keys)


def _identity(process: Any, recipe: TrainingRecipe, seeds: tuple[int, ...]) -> dict[str, Any]:
    """What a run is; another device or version of JAX may give other bits."""
    return {"process": repr(process), "recipe": repr(recipe), "seeds": list(seeds), **made_by()}


def _key(seed: int, use: int) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.key(seed), use)


def piece_ends(recipe: TrainingRecipe) -> list[int]:
    """The steps at which pieces of a run end: evenly, and wherever parameters are saved."""
    even = np.linspace(0, recipe.steps, min(PIECES, recipe.steps) + 1).round().astype(int)
    return sorted({*even.tolist(), *recipe.saves} - {0})


def _stack(trees: Sequence[Any], axis: int = 0) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=axis), *trees)


def _bytes(leaf: Any) -> int:
    return leaf.size * leaf.dtype.itemsize
