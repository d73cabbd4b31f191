"""Two trajectories and an observable: how far apart, relative to how far things moved, and until when."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Bool, Float

from .base import Trajectory
from .text import number

_DATA = ["ts", "error", "relative_error", "displacement", "skill", "horizon"]
TIME_TOLERANCE = 1e-6
"""Of the largest time: float32 times of a float64 flow are the same times."""
_CLOCKS = {"flow": "gradient-flow time, learning rate x step", "step": "optimiser steps"}


@partial(register_dataclass, data_fields=_DATA, meta_fields=["threshold", "clock"])
@dataclass(frozen=True)
class Comparison:
    """How a predicted trajectory departs from a reference, at every saved time.

    Attributes:
        ts: `[time]`, in the unit of `clock`.
        error: `[time]`, ||prediction - reference||; infinite where the prediction is not finite.
        relative_error: `[time]`, error / ||reference||; NaN where the reference is zero.
        displacement: `[time]`, ||reference(t) - reference(0)||.
        skill: `[time]`, 1 - error / displacement: 1 is exact, 0 no better than "nothing moves". NaN where the reference
            has not moved by more than can be told; minus infinity where the prediction is not finite.
        horizon: first time the skill falls below `threshold`; infinite if it never does inside the window; NaN if that
            cannot be told: the reference never moves, or ceases to be finite first.
        threshold: the skill that counts as success.
        clock: the clock of both trajectories.
    """

    ts: Float[Array, "..."]
    error: Float[Array, "..."]
    relative_error: Float[Array, "..."]
    displacement: Float[Array, "..."]
    skill: Float[Array, "..."]
    horizon: Float[Array, "..."]
    threshold: float = 0.9
    clock: str = "flow"

    def table(self, rows: int = 8) -> str:
        """A plain-text table of at most `rows` saved times, evenly chosen, and the horizon."""
        _one_run(self.ts)
        if rows < 1:
            raise ValueError(f"rows: need at least 1, got {rows}")
        chosen = np.unique(np.linspace(0, len(self.ts) - 1, min(rows, len(self.ts))).round().astype(int))
        columns = (self.ts, self.error, self.relative_error, self.displacement, self.skill)
        head = (f"time ({self.clock})", "error", "relative error", "displacement", "skill")
        cells = [[number(column[i], ".4g") for column in map(np.asarray, columns)] for i in chosen]
        widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
        lines = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in (head, *cells)]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], self._horizon_line()])

    def _horizon_line(self) -> str:
        horizon, end = float(self.horizon), float(self.ts[-1])
        at = "undefined" if np.isnan(horizon) else f"t={number(horizon, '.4g')}"
        where = f"beyond t={number(end, '.4g')}" if horizon == np.inf else at
        return f"horizon (skill < {self.threshold:g}): {where}"


def compare(
    reference: Trajectory,
    prediction: Trajectory,
    observable: Callable[[Any], Any] = lambda state: state,
    *,
    threshold: float = 0.9,
    resolution: float = 0.0,
) -> Comparison:
    """Compare an observable of two trajectories, saved at the same times of the same clock.

    For many seeds: `jax.vmap(lambda r, p: compare(r, p, observable))(references, predictions)`.

    Args:
        reference: what happened (training, or the exact flow).
        prediction: what was predicted (the exact flow, or a theory).
        observable: state -> array or tree of arrays, taken together as one vector; the state itself by default.
        threshold: the skill below which the prediction has failed.
        resolution: displacement, relative to the largest size so far, up to which nothing has moved: ten times the
            relative tolerance of the solvers, say; at least 8 eps of the dtype.

    Returns:
        A Comparison. Inside jit, where the times cannot be read, times that differ make every number NaN.

    Raises:
        ValueError: where clocks, times, or the shapes of what is compared differ.

    >>> ts = jnp.array([0.0, 1.0, 2.0])
    >>> exact = Trajectory(ts, jnp.array([[1.0], [2.0], [4.0]]))
    >>> print(compare(exact, Trajectory(ts, 1 + ts[:, None])).table())
    time (flow)  error  relative error  displacement      skill
    -----------------------------------------------------------
              0      0               0             0  undefined
              1      0               0             1          1
              2      1            0.25             3     0.6667
    horizon (skill < 0.9): t=1.3
    """
    _check_clocks(reference, prediction)
    truth, guess = _vectors(reference, prediction, observable)
    same_times = jnp.max(jnp.abs(_common(reference.ts) - _common(prediction.ts))) <= _time_tolerance(reference.ts)
    size, moved = _norm(truth), _norm(truth - truth[:1])
    finite = jnp.all(jnp.isfinite(guess), axis=1) | ~jnp.all(jnp.isfinite(truth), axis=1)
    error = jnp.where(finite, _norm(guess - truth), jnp.inf)
    error, moved = jnp.where(same_times, error, jnp.nan), jnp.where(same_times, moved, jnp.nan)
    still = moved <= jnp.maximum(8 * jnp.finfo(truth.dtype).eps, resolution) * jnp.maximum(size, size[:1])
    skill = 1 - error / jnp.where(still, jnp.nan, moved)
    failed = (skill < threshold) | jnp.isinf(error)
    horizon = _horizon(reference.ts.astype(truth.dtype), skill, failed, jnp.isnan(error), threshold)
    relative = error / jnp.where(size > 0, size, jnp.nan)
    return Comparison(reference.ts, error, relative, moved, skill, horizon, threshold, reference.clock)


def above(prediction: Comparison, control: Comparison, *, threshold: float = 0.5) -> Comparison:
    """A prediction measured against a control in place of "nothing moves": skill is 1 - error / the control's error.

    Late in training everything that saturates looks alike, and the control gains skill too: what the prediction knows
    beyond it is 1 where it is exact, 0 where it ties with the control, and negative where it is worse.

    Args:
        prediction: of `compare`.
        control: of the same reference and observable.
        threshold: the skill below which the prediction no longer tells more: one half asks for half the error.

    Returns:
        A Comparison whose displacement is the control's error; skill is NaN where that of the prediction is.

    Raises:
        ValueError: where the saved times differ in number.

    >>> ts = jnp.array([0.0, 1.0, 2.0])
    >>> exact, guess, control = (Trajectory(ts, x * ts[:, None]) for x in (1.0, 0.9, 0.5))
    >>> above(compare(exact, guess), compare(exact, control)).skill.round(3).tolist()
    [nan, 0.8, 0.8]
    """
    _one_run(prediction.ts)
    if prediction.ts.shape != control.ts.shape:
        raise ValueError(f"control: has {control.ts.shape[0]} saved times, the prediction {prediction.ts.shape[0]}")
    error, theirs = prediction.error, control.error
    exact = (error == 0) | (jnp.isinf(theirs) & jnp.isfinite(error))
    skill = jnp.where(exact, 1.0, 1 - error / jnp.where(theirs > 0, theirs, jnp.nan))
    skill = jnp.where(jnp.isinf(error), -jnp.inf, jnp.where(jnp.isnan(prediction.skill), jnp.nan, skill))
    failed = (skill < threshold) | jnp.isinf(error)
    horizon = _horizon(prediction.ts.astype(skill.dtype), skill, failed, jnp.isnan(error), threshold)
    return replace(prediction, skill=skill, displacement=theirs, horizon=horizon, threshold=threshold)


def frozen(reference: Trajectory) -> Trajectory:
    """The control that should fail: the prediction that nothing moves; its skill is 0 by construction.

    >>> still = frozen(Trajectory(jnp.array([0.0, 1.0]), {"embed": jnp.array([[1.0], [2.0]])}))
    >>> print(still.ys["embed"].ravel())
    [1. 1.]
    """
    _one_run(reference.ts)
    return replace(reference, ys=jax.tree.map(lambda y: jnp.broadcast_to(y[:1], y.shape), reference.ys), info={})


def _check_clocks(reference: Trajectory, prediction: Trajectory) -> None:
    if reference.clock != prediction.clock:
        named = [f"{t.clock} ({_CLOCKS.get(t.clock, 'its own unit')})" for t in (reference, prediction)]
        raise ValueError(
            f"clock: reference runs on {named[0]}, prediction on {named[1]}; compare trajectories of one clock, "
            "and give dt to train only for plain gradient descent, whose flow time is learning rate x step"
        )
    _one_run(reference.ts)
    _one_run(prediction.ts)
    if reference.ts.shape != prediction.ts.shape:
        raise ValueError(
            f"ts: reference has {reference.ts.shape[0]} saved times, prediction {prediction.ts.shape[0]}; "
            "save both at the same times, for example integrate(field, state0, reference.ts)"
        )
    try:
        a, b = np.asarray(reference.ts), np.asarray(prediction.ts)
    except jax.errors.TracerArrayConversionError:
        return
    if not np.all(np.abs(a - b) <= TIME_TOLERANCE * np.max(np.abs(a))):
        worst = int(np.argmax(np.abs(a - b)))
        raise ValueError(
            f"ts: saved time {worst} is {a[worst]:.6g} in reference and {b[worst]:.6g} in prediction; "
            "save both at the same times, for example integrate(field, state0, reference.ts)"
        )


def _one_run(ts: Array) -> None:
    if ts.ndim != 1 or ts.shape[0] == 0:
        raise ValueError(
            f"ts: need one run with ts[time], got shape {ts.shape}; map over seeds with jax.vmap, "
            "or pick a seed with jax.tree.map(lambda x: x[0], ...)"
        )


def _time_tolerance(ts: Array) -> Float[Array, ""]:
    return TIME_TOLERANCE * jnp.max(jnp.abs(_common(ts)))


def _common(x: Array) -> Array:
    return x.astype(jnp.result_type(float))


def _vectors(reference: Trajectory, prediction: Trajectory, observable: Callable[[Any], Any]) -> tuple[Array, Array]:
    """The observable at every saved time as one row per time, for both trajectories, in one dtype."""
    truth, guess = reference.map(observable).ys, prediction.map(observable).ys
    if jax.tree.structure(truth) != jax.tree.structure(guess):
        raise ValueError(
            f"observable: gives {jax.tree.structure(truth)} for reference and {jax.tree.structure(guess)} for "
            "prediction; choose one that gives the same tree for both"
        )
    shapes = [[x.shape for x in jax.tree.leaves(tree)] for tree in (truth, guess)]
    if shapes[0] != shapes[1] or not shapes[0]:
        raise ValueError(
            f"observable: gives shapes {shapes[0]} for reference and {shapes[1]} for prediction ([time] first); "
            "compare the same non-empty quantity of both"
        )
    dtypes = [x.dtype for x in jax.tree.leaves((truth, guess))]
    dtype = np.result_type(*dtypes, np.float32)
    rows = [[x.reshape(len(x), -1).astype(dtype) for x in jax.tree.leaves(tree)] for tree in (truth, guess)]
    return jnp.concatenate(rows[0], axis=1), jnp.concatenate(rows[1], axis=1)


def _norm(rows: Array) -> Float[Array, " time"]:
    peak = jnp.max(jnp.abs(rows), axis=1, initial=0)
    return peak * jnp.linalg.norm(rows / jnp.where(peak == 0, 1, peak)[:, None], axis=1)  # no underflow of squares


def _horizon(
    ts: Float[Array, " time"],
    skill: Float[Array, " time"],
    failed: Bool[Array, " time"],
    unknown: Bool[Array, " time"],
    threshold: float,
) -> Float[Array, ""]:
    """First fall of the skill, linear between saves; the saved time itself where the one before has no skill.

    Not `observables.crossing`: the fall is strict, what is unknown before it leaves no horizon, and this file is below
    all rooms.
    """
    at = jnp.argmax(failed | unknown)
    before = jnp.maximum(at - 1, 0)
    fall = (skill[before] - threshold) / (skill[before] - skill[at])
    crossing = ts[before] + fall * (ts[at] - ts[before])
    crossing = jnp.where((at > 0) & jnp.isfinite(skill[before]), crossing, ts[at])
    never = jnp.where(jnp.any(jnp.isfinite(skill)), jnp.inf, jnp.nan)
    return jnp.where(unknown[at], jnp.nan, jnp.where(failed[at], crossing, never))
