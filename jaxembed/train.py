"""Simulation: any optax optimiser, population or minibatch loss, one compiled scan -> Trajectory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import register_dataclass
from jaxtyping import Array, ArrayLike, Float, Int, Key, PRNGKeyArray, UInt32

from .base import Loss, State, Trajectory, all_finite


@partial(register_dataclass, data_fields=["params", "opt_state", "step", "key"], meta_fields=[])
@dataclass(frozen=True)
class TrainingState:
    """Everything that continues a run exactly: parameters, optimiser state, step and data key."""

    params: Any
    opt_state: Any
    step: Int[Array, "..."]
    key: Key[Array, "..."] | UInt32[Array, "..."] | None


def start(params0: State, optimizer: optax.GradientTransformation, key: PRNGKeyArray | None = None) -> TrainingState:
    """The state before the first step. Give a data `key` for losses that take one (minibatches)."""
    return TrainingState(params0, optimizer.init(params0), jnp.zeros((), jnp.int32), key)


def advance(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    state: TrainingState,
    gaps: Int[ArrayLike, " time"],
    *,
    dt: Float[ArrayLike, ""] | float | None = None,
    save: Callable[[State], Any] = lambda params: params,
) -> tuple[TrainingState, Trajectory]:
    """Take `gaps[i]` steps, save, and so on, in one compiled scan; continues a run bit for bit.

    Args:
        loss: `loss(params)`, or `loss(params, key)` where `state` carries a key.
        optimizer: any optax optimiser.
        state: from `start` or an earlier `advance`.
        gaps: `[time]`, steps before each save; they may differ.
        dt: flow time of one step (see `train`).
        save: reduces the parameters to what is kept.

    Returns:
        The new state, and the Trajectory saved on the way with `info["mean_loss"]` `[time]`: the mean of the loss
        over the steps since the previous save (undefined, NaN, where there was none).
    """
    dtype = jnp.result_type(*(jnp.result_type(leaf) for leaf in jax.tree.leaves(state.params)))
    clock = jnp.asarray(1.0 if dt is None else dt, dtype)

    def one(_: Array, carry: tuple[TrainingState, Array, Array]) -> tuple[TrainingState, Array, Array]:
        now, total, lost = carry
        value, now = _step(loss, optimizer, now)
        # Kahan's sum: in float32 a plain running total stops growing after 2^24 steps.
        corrected = value.astype(total.dtype) - lost
        new_total = total + corrected
        return now, new_total, (new_total - total) - corrected

    def until_save(now: TrainingState, gap: Array) -> tuple[TrainingState, tuple[Any, ...]]:
        zero = jnp.zeros((), dtype)
        now, total, _ = jax.lax.fori_loop(0, gap, one, (now, zero, zero))
        mean = total / gap.astype(dtype)
        return now, (now.step.astype(dtype) * clock, save(now.params), mean, all_finite(now.params))

    state, (ts, ys, mean_loss, finite) = jax.lax.scan(until_save, state, jnp.asarray(gaps, jnp.int32))
    broken = jnp.min(jnp.where(finite, jnp.inf, ts))
    info = {"mean_loss": mean_loss, "nonfinite_time": broken}
    return state, Trajectory(ts, ys, info, "step" if dt is None else "flow")


def train(
    loss: Loss,
    params0: State,
    optimizer: optax.GradientTransformation,
    *,
    dt: Float[ArrayLike, ""] | float | None = None,
    steps_per_save: int | None = None,
    num_saves: int | None = None,
    save_steps: Sequence[int] | np.ndarray | None = None,
    key: PRNGKeyArray | None = None,
    save: Callable[[State], Any] = lambda params: params,
) -> Trajectory:
    """Train and save along the way; the start is the first thing saved.

    Pure and un-jitted: wrap it in a function of key, learning rate or initial scale and `jax.jit(jax.vmap(...))` that.

    Args:
        loss: `loss(params)` for a population, `loss(params, key)` for minibatches (then `key` is needed).
        params0: initial parameters.
        optimizer: any optax optimiser, also one that needs the loss (`optax.lbfgs`); parameters keep their dtype.
        dt: flow time of one step: the learning rate, for plain gradient descent. Leave None for any other optimiser:
            the trajectory then counts steps and is not compared with gradient flow.
        steps_per_save: steps between saves, with `num_saves` saves after the start.
        num_saves: see `steps_per_save`.
        save_steps: instead of these two, the increasing steps to save at, from 0; they may be uneven.
        key: data key; the key of a step is derived from it and the step's number.
        save: reduces the parameters to what is kept, so that memory does not grow with the model.

    Returns:
        Trajectory with `ts [time]`, `ys` with a leading `[time]` axis, and `info` as in `advance`.

    Raises:
        ValueError: if the save times are missing, given twice, negative or not increasing.

    >>> import jax.numpy as jnp, optax
    >>> run = train(lambda p: jnp.sum(p["x"] ** 2), {"x": jnp.ones(2)}, optax.sgd(0.1), dt=0.1, save_steps=[0, 1, 10])
    >>> [round(float(t), 3) for t in run.ts]
    [0.0, 0.1, 1.0]
    """
    gaps = np.diff(_save_steps(steps_per_save, num_saves, save_steps), prepend=0)
    return advance(loss, optimizer, start(params0, optimizer, key), gaps, dt=dt, save=save)[1]


def single_precision(tree: Any) -> Any:
    """The tree with its floating leaves in float32, the precision networks train in, whatever their data is in."""
    return jax.tree.map(lambda x: x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def _save_steps(steps_per_save: int | None, num_saves: int | None, save_steps: Any) -> np.ndarray:
    if save_steps is None:
        if steps_per_save is None or num_saves is None or steps_per_save < 1 or num_saves < 1:
            raise ValueError("steps_per_save, num_saves: give both, at least 1, or give save_steps instead")
        return np.arange(num_saves + 1) * steps_per_save
    if steps_per_save is not None or num_saves is not None:
        raise ValueError("save_steps: give either save_steps or steps_per_save and num_saves, not both")
    steps = np.asarray(save_steps)
    if steps.ndim != 1 or steps.size == 0 or steps[0] < 0 or np.any(np.diff(steps) <= 0):
        raise ValueError("save_steps: need increasing step numbers from 0 upward, for example [0, 1, 10, 100]")
    return steps if steps[0] == 0 else np.concatenate([[0], steps])


def _step(loss: Loss, optimizer: optax.GradientTransformation, now: TrainingState) -> tuple[Array, TrainingState]:
    extra = () if now.key is None else (jax.random.fold_in(now.key, now.step),)

    def value_fn(params: State) -> Array:
        return loss(params, *extra)

    value, gradient = jax.value_and_grad(value_fn)(now.params)
    line = {"value": value, "grad": gradient, "value_fn": value_fn}  # what those that search along a line ask for
    # Optax mixes dtypes on purpose; the parameters keep theirs.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        update = optax.with_extra_args_support(optimizer).update
        updates, opt_state = update(gradient, now.opt_state, now.params, **line)
    params = jax.tree.map(lambda p, u: p + u.astype(p.dtype), now.params, updates)
    opt_state = jax.tree.map(lambda new, old: jnp.asarray(new, jnp.result_type(old)), opt_state, now.opt_state)
    return value, TrainingState(params, opt_state, now.step + 1, now.key)
